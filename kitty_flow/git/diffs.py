"""Differences between two commits, for people: counted, as text, or in the pager that they are used to."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final, NamedTuple

from kitty_flow.git.process import Git, not_started

__all__ = ["FileStat", "diff_stat", "diff_text", "page_diff"]

_PLAIN: Final = ("--no-ext-diff", "--no-textconv")
"""What is reviewed comes from an agent, and so may the commands that a repository names for showing it."""


class FileStat(NamedTuple):
    """How many lines of one file were added and deleted; None for a binary file."""

    path: str
    added: int | None
    deleted: int | None


def diff_stat(git: Git, base: str, head: str) -> tuple[FileStat, ...]:
    """The changed files between two commits; a renamed file is one that went and one that came."""
    out = git.output("diff-tree", "-r", "-z", "--numstat", "--no-renames", *_PLAIN, base, head)
    rows = (row.split("\t", 2) for row in out.decode("utf-8", "surrogateescape").split("\0") if row)
    return tuple(FileStat(path, *(None if n == "-" else int(n) for n in counts)) for *counts, path in rows)


def diff_text(git: Git, base: str, head: str) -> str:
    """The difference as plain text."""
    return git.text("diff-tree", "-r", "-p", "--stat", "--patch", *_PLAIN, base, head)


def page_diff(git: Git, base: str, head: str) -> None:
    """Show the difference on the terminal as ``git diff`` does, in the user's pager, and wait until it is closed.

    Raises:
        ExternalToolError: GIT_MISSING or DIRECTORY_MISSING.
    """
    environment = {k: v for k, v in git.environment().items() if k != "GIT_PAGER"}
    words = ["git", "-C", str(Path(git.cwd)), "--paginate", "diff", "--stat", "--patch", *_PLAIN, base, head, "--"]
    try:
        process = subprocess.Popen(words, env=environment)
    except FileNotFoundError as error:
        raise not_started(git.cwd) from error
    while True:
        try:
            process.wait()
            return
        except KeyboardInterrupt:
            continue  # it is the pager's: Ctrl-C there ends a search, not the review
