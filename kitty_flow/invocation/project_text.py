"""Texts that a project keeps for us: read with bounds, and only from inside of the project."""

from __future__ import annotations

from pathlib import Path

from kitty_flow.errors import DefinitionError
from kitty_flow.missions.files import is_inside, read_text

__all__ = ["read_inside"]


def read_inside(root: Path, path: Path, *, limit: int) -> str:
    """The text of a regular file of at most `limit` bytes in the project at `root`; `where` in errors is its name.

    A symbolic link may lead to another file of the project, and nowhere else: what is read here is handed on to agents.

    Raises:
        DefinitionError: OUTSIDE_PROJECT, UNREADABLE_FILE, FILE_TOO_LARGE or NOT_UTF8.
    """
    where = path.relative_to(root).as_posix()
    if not is_inside(path, root) or is_inside(path, root / ".git"):
        raise DefinitionError(
            "OUTSIDE_PROJECT",
            f"{where} leads out of the project's files",
            hint=f"ls -l {where}, and put the file itself in its place",
            details={"where": where},
        )
    return read_text(path, where, limit=limit)
