"""Are the objects of a history all here, and are they what their names say? Nothing that git caches is trusted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from kitty_flow.git.process import Git

__all__ = ["commit_messages", "missing_in", "object_name"]

_AS_STORED: Final = ("-c", "core.commitGraph=false", "rev-list")
"""With a commit-graph git would walk past a commit that is missing."""


def object_name(kind: str, content: bytes, algorithm: str) -> str:
    """The name that git gives to an object (git-scm.com, "Git Internals - Git Objects")."""
    data = b"%s %d\0" % (kind.encode("ascii"), len(content)) + content
    return hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()


def missing_in(git: Git, commit: str) -> str | None:
    """Why not everything that a commit reaches is here, in git's words; None when all of it is."""
    done = git.call(*_AS_STORED, "--objects", "--quiet", "--end-of-options", commit, ok=(0, 1, 128))
    if done.returncode == 0:
        return None
    return (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["git rev-list failed"])[-1]


def commit_messages(git: Git, commit: str) -> Iterator[tuple[str, str]]:
    """(commit, message) of everything that a commit reaches.

    Raises:
        GitFailedError: a commit is missing or damaged.
    """
    form = ("--no-commit-header", "--encoding=UTF-8", "--format=%H%n%B%x00")
    for entry in git.output(*_AS_STORED, *form, "--end-of-options", commit).split(b"\0"):
        name, _, message = entry.lstrip(b"\n").partition(b"\n")
        if name:
            yield name.decode("ascii"), message.decode("utf-8", "replace")
