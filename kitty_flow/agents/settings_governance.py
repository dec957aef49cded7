"""The `[governance]` table of the settings: which files are the project's charter."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

from pydantic import field_validator

from kitty_flow.agents.settings_types import Words
from kitty_flow.model.base import Model

__all__ = ["GovernanceSettings"]

_MOST: Final = 100


class GovernanceSettings(Model):
    """The `[governance]` table: `charter` are files or globs of the repository, in the order in which they are told.

    None looks in the default places; an empty list is no charter.
    """

    charter: Words | None = None

    @field_validator("charter")
    @classmethod
    def _check_paths(cls, paths: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for path in paths or ():
            parts = PurePosixPath(path).parts
            if not parts or path.startswith("/") or ".." in parts or parts[0] == ".git" or not path.isprintable():
                raise ValueError(f"{path!r} must be a path in the repository, relative to its root and without '..'")
            if "**" in path and "**" not in parts:
                raise ValueError(f"{path!r}: '**' must be a whole folder, such as docs/**/*.md")
        if len(paths or ()) > _MOST:
            raise ValueError(f"must have at most {_MOST} entries")
        return paths
