"""What the log of requests has more at one commit than at another; folders that are equal are not read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kitty_flow.errors import LedgerError
from kitty_flow.git.objects import ObjectStore
from kitty_flow.ledger.op_log import OPS_FOLDER

__all__ = ["ChangedOp", "changed_ops"]


class ChangedOp(NamedTuple):
    """The lines of one invocation at two commits; none before where it is new. `path` is below ``kitty-ops``."""

    path: str
    before: tuple[bytes, ...]
    after: tuple[bytes, ...]


def changed_ops(objects: ObjectStore, before: str | None, after: str) -> Iterator[ChangedOp]:
    """The invocations that are new or have changed, in the order of their ids.

    Args:
        before: a commit of the log; None, or one that is gone, is an empty log.

    Raises:
        LedgerError: an object of `after` is missing or damaged.
    """
    found = _changed(objects, _folder(objects, before), _folder(objects, after), "")
    for path, old, new in sorted(found, key=lambda each: each[0]):
        yield ChangedOp(path, _lines(objects, old) if old else (), _lines(objects, new))


def _folder(objects: ObjectStore, commit: str | None) -> str | None:
    """The tree of the invocations at a commit; None when there is none, or the commit is gone."""
    if commit is None:
        return None
    try:
        entry = objects.read_tree(commit).get(OPS_FOLDER)
    except LedgerError:
        return None
    return entry.oid if entry is not None else None


def _changed(
    objects: ObjectStore, before: str | None, after: str | None, path: str
) -> Iterator[tuple[str, str | None, str]]:
    """(path, blob before, blob after) of each file that is new or has changed."""
    if after is None or before == after:
        return
    old = objects.read_tree(before) if before else {}
    for name, entry in objects.read_tree(after).items():
        known = old.get(name)
        known_oid = known.oid if known is not None and known.type == entry.type else None
        if entry.type == "tree":
            yield from _changed(objects, known_oid, entry.oid, f"{path}/{name}")
        elif entry.oid != known_oid:
            yield f"{path}/{name}", known_oid, entry.oid


def _lines(objects: ObjectStore, oid: str) -> tuple[bytes, ...]:
    return tuple(line for line in objects.read_blob(oid).split(b"\n") if line)
