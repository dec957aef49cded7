"""Taking over what another clone recorded: fast-forward, or one commit that unites both sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kitty_flow.errors import ConflictError
from kitty_flow.git.history import History
from kitty_flow.git.objects import ObjectStore
from kitty_flow.git.refs import ABSENT, RefMovedError
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.exchange import Relation, relation, write_union
from kitty_flow.ledger.tip import TipReader
from kitty_flow.ledger.union import union

__all__ = ["receive"]

_TRIES = 5


def receive(
    repository: Repository,
    objects: ObjectStore,
    ref: str,
    theirs: str | None,
    trailers: Callable[[str], Sequence[str]],
) -> tuple[Relation, str | None]:
    """Bring a log of ours together with the commit `theirs` of another clone; returns how they met and our tip now.

    The caller holds the lock of the log. The ref moves only forward: what is in either is in the result.

    Args:
        trailers: gives the trailers of a commit with the tree that is passed, from that tree alone.

    Raises:
        LedgerError: an object is missing or damaged.
        ConflictError: LEDGER_BUSY, the ref kept moving.
    """
    history, tip_reader = History(repository.git), TipReader(repository, objects, ref)
    moved: RefMovedError | None = None
    for _ in range(_TRIES):
        ours = tip_reader.read()
        found = relation(history, ours, theirs)
        tip = _united(objects, found, ours, theirs, trailers)
        if tip in (ours, None):
            return found, ours
        try:
            repository.refs.swap(ref, str(tip), ours or ABSENT)
        except RefMovedError as error:
            moved = error
            continue
        return found, tip
    raise ConflictError("LEDGER_BUSY", f"{ref} kept moving", hint="kitty-flow sync") from moved


def _united(
    objects: ObjectStore,
    found: Relation,
    ours: str | None,
    theirs: str | None,
    trailers: Callable[[str], Sequence[str]],
) -> str | None:
    if ours is None or theirs is None or found in ("equal", "ahead"):
        return ours or theirs
    tree = union(objects, ours, theirs)
    if found == "behind" and tree == objects.tree_of(theirs):
        return theirs
    # Either both sides went on, or theirs contains our commit and yet not all of its lines: nothing is ever lost.
    return write_union(objects, tree, (ours, theirs), trailers(tree))
