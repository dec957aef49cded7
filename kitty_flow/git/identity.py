"""Who signs the commits that kitty-flow makes: the user where git knows one, kitty-flow itself otherwise."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from kitty_flow.git.process import Git

__all__ = ["OWN_IDENTITY", "stamp", "user_identity"]

OWN_IDENTITY: Final = "kitty-flow <kitty-flow@localhost>"


def user_identity(git: Git) -> str | None:
    """``Name <mail>`` as the user configured it for git, or None when nothing is configured."""
    done = git.call("-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT", ok=(0, 128))
    if done.returncode:
        return None
    return done.stdout.decode("utf-8", "replace").rpartition(">")[0] + ">"


def stamp(identity: str, at: datetime) -> str:
    """An ident line for a commit object: the identity and a moment (timezone-aware)."""
    offset = at.strftime("%z") or "+0000"
    return f"{identity} {int(at.timestamp())} {offset}"
