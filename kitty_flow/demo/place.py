"""The folder of a demo: new or empty, and invisible to a repository that it may lie in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from kitty_flow.errors import UsageError
from kitty_flow.git.process import Git, check_version

__all__ = ["DemoPlace", "make_place", "not_writable"]


@dataclass(frozen=True)
class DemoPlace:
    """Where everything of one demo is; `directory` is absolute."""

    directory: Path

    @property
    def project(self) -> Path:
        """The repository."""
        return self.directory / "project"

    @property
    def agents(self) -> Path:
        """The scripts that stand where coding agents would be."""
        return self.directory / "agents"

    @property
    def workspace(self) -> Path:
        """Worktrees, prompts, results and logs; the sample's settings name it."""
        return self.directory / "project.kitty"

    def picture(self, name: str) -> Path:
        """A picture of the DAG."""
        return self.directory / name

    def shown(self, path: Path) -> str:
        """A path of the demo as people type it: relative where it lies below the current directory."""
        try:
            return os.fspath(path.relative_to(Path.cwd()))
        except (OSError, ValueError):
            return os.fspath(path)


def make_place(directory: Path) -> DemoPlace:
    """Make the folder. Nothing is written before it is known that git can do what the demo needs.

    Raises:
        UsageError: DEMO_DIR_NOT_EMPTY or DEMO_DIR_NOT_WRITABLE.
        ExternalToolError: GIT_MISSING or GIT_TOO_OLD.
    """
    check_version(Git(Path(os.sep)))
    try:
        place = DemoPlace(directory.absolute())
        os.fspath(place.directory).encode()  # the sample's settings, a UTF-8 file, have to name it
        if place.directory.is_symlink() or place.directory.exists():
            _check_empty(directory)
        place.directory.mkdir(parents=True, exist_ok=True)
        # The folder hides itself: inside another repository, `git status` there does not even show it.
        (place.directory / ".gitignore").write_text("*\n", encoding="ascii")
        place = DemoPlace(place.directory.resolve())
        place.project.mkdir()
    except (OSError, UnicodeEncodeError) as error:
        raise not_writable(directory, error) from error
    return place


def not_writable(path: Path, error: OSError | UnicodeEncodeError) -> UsageError:
    """The error for a folder or file of the demo that the system refuses."""
    why = error.strerror if isinstance(error, OSError) else "its name is not UTF-8"
    shown = os.fsencode(path).decode("utf-8", "replace")
    return UsageError(
        "DEMO_DIR_NOT_WRITABLE",
        f"{shown} cannot be written: {why or error}",
        hint="kitty-flow demo --dir DIR, with a DIR that can be written",
        details={"path": shown},
    )


def _check_empty(directory: Path) -> None:
    if directory.is_dir() and not any(directory.iterdir()):
        return
    raise UsageError(
        "DEMO_DIR_NOT_EMPTY",
        f"{directory} is already there and is not an empty folder; the demo changes nothing that exists",
        hint="kitty-flow demo --dir DIR, with a DIR that does not exist yet",
        details={"path": str(directory)},
    )
