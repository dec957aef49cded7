"""The union of two ledger trees: what two clones recorded apart, in one tree that both compute alike.

git's own ``merge=union`` does not converge: the two directions give different bytes and duplicates stay. This union is
commutative, associative and idempotent, so clones that exchange in any order end at the same tree, and no line is lost.

A segment has one writer, so the two sides of one nearly always agree but for its last lines. Two clones that share a
writer id (a copied directory) or a damaged segment are the exception: the result is then a function of the *set* of
lines alone. Keeping the longer of two segments because it begins with the shorter would break that for a damaged one:
it would keep an order that no other way of exchange can reproduce. For a sound one it is the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from kitty_flow.git.objects import TreeEntry

__all__ = ["TreeStore", "union"]


class TreeStore(Protocol):
    """What the union needs of an object store; `git.objects.ObjectStore` is one."""

    def read_blob(self, oid: str) -> bytes:
        """Content of a blob."""

    def write_blob(self, content: bytes) -> str:
        """Store a blob and return its name."""

    def read_tree(self, oid: str) -> dict[str, TreeEntry]:
        """Entries of one tree, or of the tree of a commit."""

    def write_tree(self, entries: Mapping[str, TreeEntry]) -> str:
        """Store a tree and return its name."""


def union(objects: TreeStore, ours: str, theirs: str) -> str:
    """Unite two trees (or the trees of two commits) and return the name of the tree that holds all of both.

    What is equal on both sides is not read, so the work grows with the difference and not with the ledger. Files named
    ``*.jsonl`` are united line by line; of other files that differ, which no ledger has, one is chosen alike by all.

    Raises:
        LedgerError: OBJECT_MISSING or OBJECT_DAMAGED.
    """
    united = objects.read_tree(ours)
    for name, entry in objects.read_tree(theirs).items():
        united[name] = _unite(objects, name, united.get(name, entry), entry)
    return objects.write_tree(united)


def _unite(objects: TreeStore, name: str, one: TreeEntry, other: TreeEntry) -> TreeEntry:
    if one == other:
        return one
    if _rank(one) != _rank(other):
        return max(one, other, key=_rank)
    if one.type == "tree":
        return TreeEntry.tree(union(objects, one.oid, other.oid))
    if _rank(one) and name.endswith(".jsonl"):
        return TreeEntry.blob(objects.write_blob(_lines(objects.read_blob(one.oid), objects.read_blob(other.oid))))
    return max(one, other, key=lambda entry: (entry.mode, entry.oid))


def _rank(entry: TreeEntry) -> int:
    """Which kind stays where one name means two kinds: a folder, then a file, then a link of any sort."""
    return 2 if entry.type == "tree" else int(entry.mode.startswith("100"))


def _lines(one: bytes, other: bytes) -> bytes:
    """All lines of both, each once: events in the order of the log, then whatever is not an event, as it is."""
    lines = {line for content in (one, other) for line in content.split(b"\n") if line}
    return b"".join(line + b"\n" for line in sorted(lines, key=_order))


def _order(line: bytes) -> tuple[Any, ...]:
    # Not the segment's strict reader: events of a newer schema must be ordered alike by an older kitty-flow.
    try:
        data = json.loads(line)
        lamport, writer, event_id = data["lamport"], data["writer"], data["event_id"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return (1, line)
    if isinstance(lamport, int) and isinstance(writer, str) and isinstance(event_id, str):
        return (0, lamport, writer, event_id, line)
    return (1, line)
