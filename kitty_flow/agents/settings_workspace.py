"""The `[workspace]` table of the settings: where agents work, and how their worktrees are made ready for them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from kitty_flow.agents.settings_types import Command, Count, Limit, Text
from kitty_flow.model.base import Model

__all__ = ["PortSettings", "WorkspaceSettings"]

_LAST_PORT: Final = 65535
_MOST_DAYS: Final = 100_000


def _words(value: object) -> object:
    """A list of texts becomes the tuple that the frozen model holds."""
    return tuple(value) if isinstance(value, list) else value


Words = Annotated[tuple[Text, ...], BeforeValidator(_words)]


def _days(value: object) -> object:
    """A number of days, or the word for no end."""
    if value == "always":
        return value
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < _MOST_DAYS:
        raise ValueError('must be a number of days, or "always"')
    return float(value)


Days = Annotated[float | Literal["always"], BeforeValidator(_days)]


class PortSettings(Model):
    """The `[workspace.ports]` table: every execution lane gets `count` ports, from `first` on."""

    first: Annotated[int, Field(strict=True, ge=1, le=_LAST_PORT)]
    count: Count

    @model_validator(mode="after")
    def _check_end(self) -> PortSettings:
        if self.first + self.count - 1 > _LAST_PORT:
            raise ValueError(f"first and count must end at port {_LAST_PORT} or before")
        return self


class WorkspaceSettings(Model):
    """The `[workspace]` table: where worktrees and invocation files live, and what makes a fresh worktree usable.

    `keep` is how many days a worktree is kept after its mission has landed; 0 removes it with the merge.
    """

    root: Text | None = None
    setup: Command | None = None
    setup_timeout_s: Limit = 600.0
    copy_files: Words = ()
    sparse: Words = ()
    ports: PortSettings | None = None
    keep: Days = 0.0
    planning_lane: Literal["checkout", "worktree"] = "checkout"

    @field_validator("root")
    @classmethod
    def _check_root(cls, root: str | None) -> str | None:
        if root is not None and ("\0" in root or Path(root) == Path()):
            raise ValueError("must name a folder other than the repository itself")
        return root

    @field_validator("copy_files")
    @classmethod
    def _check_copy_files(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            path = PurePosixPath(pattern)
            if "\0" in pattern or not path.parts or path.is_absolute() or Path(pattern).is_absolute():
                raise ValueError(f"{pattern!r} is no path below the repository root")
            if ".." in path.parts or path.parts[0].casefold() == ".git":
                raise ValueError(f"{pattern!r} leads out of the working tree")
        return patterns

    @field_validator("sparse")
    @classmethod
    def _check_sparse(cls, folders: tuple[str, ...]) -> tuple[str, ...]:
        for folder in folders:
            parts = PurePosixPath(folder).parts
            if not parts or folder.startswith("/") or ".." in parts or any(c in folder for c in '\0\n\\*?[]!#"'):
                raise ValueError(f"{folder!r} is no plain folder below the repository root")
        return folders
