"""How two tips of one ledger meet: which contains which, and the commit that unites two that went apart.

Decisions only; no ref is moved here. Two clones that unite the same two tips make the same commit, to the byte.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

from kitty_flow.git.history import History
from kitty_flow.git.identity import OWN_IDENTITY
from kitty_flow.git.objects import CommitText, ObjectStore

__all__ = ["Relation", "relation", "write_union"]

Relation = Literal["equal", "behind", "ahead", "diverged"]
"""Seen from our tip: the same, theirs contains ours, ours contains theirs, or neither contains the other."""

_COMMITTED_AT: Final = re.compile(rb"^committer [^\n]*> (\d{1,12}) [-+]\d{4}$", re.MULTILINE)


def relation(history: History, ours: str | None, theirs: str | None) -> Relation:
    """Compare two tips whose commits are both here; None is a ledger that does not exist on that side.

    Raises:
        GitFailedError: a commit is missing.
    """
    if ours == theirs:
        return "equal"
    if ours is None or (theirs is not None and history.is_ancestor(ours, theirs)):
        return "behind"
    if theirs is None or history.is_ancestor(theirs, ours):
        return "ahead"
    return "diverged"


def write_union(objects: ObjectStore, tree: str, tips: tuple[str, str], trailers: Sequence[str]) -> str:
    """Write the commit that unites two tips, and return its name.

    Everything in it follows from the arguments: parents sorted, kitty-flow as author, the later of both moments, UTC.

    Args:
        tree: what `union` made of both.
        trailers: lines such as ``Kitty-Mission: slug state``, as `diary` writes them. They must follow from `tree`
            alone, or two clones would make two commits.

    Raises:
        LedgerError: OBJECT_MISSING.
    """
    one, other = sorted(tips)
    ident = f"{OWN_IDENTITY} {max(_committed_at(objects, one), _committed_at(objects, other))} +0000"
    message = f"sync: {one[:12]} and {other[:12]} united\n\n" + "".join(f"{line}\n" for line in trailers)
    return objects.write_commit(CommitText(tree, (one, other), ident, ident, message))


def _committed_at(objects: ObjectStore, commit: str) -> int:
    """The moment in a commit, in seconds; 0 where a foreign tool wrote none that makes sense."""
    moment = _COMMITTED_AT.search(objects.read_commit_head(commit))
    return int(moment[1]) if moment else 0
