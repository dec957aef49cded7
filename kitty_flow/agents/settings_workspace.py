"""The `[workspace]` table of the settings: where worktrees and invocation files live."""

from __future__ import annotations

from pathlib import Path

from pydantic import field_validator

from kitty_flow.agents.settings_types import Text
from kitty_flow.model.base import Model

__all__ = ["WorkspaceSettings"]


class WorkspaceSettings(Model):
    """The `[workspace]` table: where worktrees and invocation files live."""

    root: Text | None = None

    @field_validator("root")
    @classmethod
    def _check_root(cls, root: str | None) -> str | None:
        if root is not None and ("\0" in root or Path(root) == Path()):
            raise ValueError("must name a folder other than the repository itself")
        return root
