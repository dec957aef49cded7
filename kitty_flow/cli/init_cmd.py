"""`kitty-flow init`: the project's settings file and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from kitty_flow.cli.context_options import DirectoryArgument
from kitty_flow.cli.output import Result, command
from kitty_flow.errors import UsageError

if TYPE_CHECKING:
    from kitty_flow.model.diagnostic import Diagnostic

__all__ = ["init"]

_NEXT: Final = (
    ("kitty-flow mission create SLUG", "a mission to edit and to plan"),
    ("kitty-flow run SLUG", "drives agents, once the settings name some"),
    ("kitty-flow next --agent NAME", "or: each agent asks for its own steps"),
    ("kitty-flow profiles list", "whom you can ask without a mission"),
)
"""How it goes on: a mission, then the loop."""


@command(examples=["kitty-flow init", "kitty-flow init ~/projects/shop"])
def init(directory: DirectoryArgument = Path()) -> Result:
    """Write .kitty-flow/config.toml, a commented settings file, at the root of the repository.

    This one file is all: nothing of git's is touched, no hook, no skill. The same file is written every time; one that
    is there already is never overwritten, and the command says so. From there on, `run` drives agents of the settings,
    and `next` is what an agent asks that works by itself.

    Raises:
        UsageError: NO_DIRECTORY, BARE_REPOSITORY or SETTINGS_NOT_WRITABLE.
    """
    from kitty_flow.agents.settings import SETTINGS_PATH, settings_text

    root, remarks = _project_root(directory)
    path = root / SETTINGS_PATH
    written = _write_new(path, settings_text())
    data = {"root": root, "path": path, "written": written, "next_steps": [command for command, _ in _NEXT]}
    if written:
        return Result(data, f"wrote {path}\n{_next_steps()}", remarks)
    return Result(data, f"{path} is already there; nothing was changed", remarks)


def _next_steps() -> str:
    width = max(len(command) for command, _ in _NEXT)
    return "\n".join(("next:", *(f"  {command:<{width}}   {what}" for command, what in _NEXT)))


def _project_root(directory: Path) -> tuple[Path, tuple[Diagnostic, ...]]:
    """The root of the repository around `directory`, where the settings are looked for; else the folder itself."""
    from kitty_flow.git.repository import Repository
    from kitty_flow.model.diagnostic import Diagnostic

    start = directory.resolve()
    if not start.is_dir():
        raise UsageError("NO_DIRECTORY", f"{directory} is not a folder", hint=f"mkdir {directory}")
    try:
        repository = Repository.discover(start)
    except UsageError as error:
        if error.code != "NO_REPOSITORY":
            raise
        message = f"{start} is not inside a git repository yet; missions need one (git init)"
        return start, (Diagnostic(severity="warning", diagnostic_code="NO_REPOSITORY", message=message, phase="init"),)
    if repository.is_bare:
        raise UsageError(
            "BARE_REPOSITORY",
            f"{repository.root} is a bare repository; settings live in a checkout",
            hint="git clone it and type kitty-flow init there",
        )
    return repository.root, ()


def _write_new(path: Path, text: str) -> bool:
    """Create `path`; return False, touching nothing, when something has that name already."""
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            try:
                file.write(text)
                file.flush()
            except OSError:
                path.unlink()  # half a file would be kept by the next run
                raise
    except FileExistsError:
        if path.exists() or path.is_symlink():
            return False
        raise _not_writable(path, "a file has the folder's name") from None
    except OSError as error:
        raise _not_writable(path, error.strerror or str(error)) from error
    return True


def _not_writable(path: Path, why: str) -> UsageError:
    return UsageError(
        "SETTINGS_NOT_WRITABLE",
        f"{path} cannot be written: {why}",
        hint=f"ls -ld {path.parent}, mend it and type kitty-flow init again",
    )
