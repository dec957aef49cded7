"""What the HEAD files of the working trees say, read without a git process (gitrepository-layout(5), HEAD)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from kitty_flow.git.refs import Refs

__all__ = ["Position", "may_be_on", "read_head"]

_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BRANCH: Final = "ref: refs/heads/"
_STUB: Final = "ref: refs/heads/.invalid"
"""What stands in HEAD where the refs are not kept in files (git's reftable)."""


class Position(NamedTuple):
    """The commit of a working tree, None before the first one, and its branch (full ref) unless detached."""

    head: str | None
    branch: str | None


def read_head(git_dir: Path, refs: Refs) -> Position | None:
    """Where the working tree of a git directory is; None when only git can tell."""
    text = _text(git_dir / "HEAD")
    if text is None or text == _STUB:
        return None
    if _COMMIT.fullmatch(text):
        return Position(text if text.strip("0") else None, None)
    if not text.startswith(_BRANCH):
        return None
    branch = text.removeprefix("ref: ")
    return Position(refs.commit(branch), branch)


def may_be_on(common_dir: Path, branch: str) -> bool:
    """Whether some working tree may have `branch` (full ref) checked out; True where only git can tell."""
    heads = (common_dir / "HEAD", *common_dir.glob("worktrees/*/HEAD"))
    return any(_text(head) in (None, _STUB, f"ref: {branch}") for head in heads)


def _text(head: Path) -> str | None:
    """What a HEAD file says; None for one that cannot be read, or is a symbolic link, as old versions of git made."""
    try:
        if head.is_symlink():
            return None
        return head.read_bytes().decode("utf-8", "surrogateescape").strip()
    except OSError:
        return None
