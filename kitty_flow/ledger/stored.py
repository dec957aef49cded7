"""A ledger's commit as it is stored, piece by piece, so that each damaged piece is named and hides no other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from kitty_flow.errors import KittyFlowError, LedgerError
from kitty_flow.git.objects import ObjectStore, TreeEntry
from kitty_flow.ledger.index_rows import Located
from kitty_flow.ledger.segment import Damage, decode_lines

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = ["Piece", "StoredLog", "pieces", "read_log"]

_LOG = "log"


class Piece(NamedTuple):
    """A folder or a file of a commit's tree: its path (empty for the root), its entry, and its content as stored.

    `error` says why it cannot be read; then `content` is empty.
    """

    path: str
    entry: TreeEntry
    content: bytes
    error: KittyFlowError | None = None

    @property
    def is_segment(self) -> bool:
        """Whether it holds events."""
        return self.entry.type == "blob" and self.path.startswith(f"{_LOG}/")


@dataclass
class StoredLog:
    """The events of a commit by segment, the path and object of all that is below ``log``, and what cannot be read."""

    paths: dict[str, str] = field(default_factory=dict)
    segments: dict[str, tuple[Event, ...]] = field(default_factory=dict)
    damage: list[Damage] = field(default_factory=list)
    unreadable: list[Piece] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether every line of every segment is an event."""
        return not (self.damage or self.unreadable)

    @property
    def located(self) -> list[Located]:
        """Every event with its segment."""
        return [Located(event, path) for path, events in self.segments.items() for event in events]


def pieces(objects: ObjectStore, commit: str) -> Iterator[Piece]:
    """Every folder and file of a commit's tree; a folder comes before what is in it.

    Raises:
        LedgerError: OBJECT_MISSING or OBJECT_DAMAGED, the commit itself cannot be read.
    """
    yield from _below(objects, "", TreeEntry.tree(objects.tree_of(commit)))


def _below(objects: ObjectStore, path: str, entry: TreeEntry) -> Iterator[Piece]:
    if entry.type == "commit":  # a submodule: no ledger has one, and its commit is in another repository
        return
    children: dict[str, TreeEntry] = {}
    try:
        found = objects.read(entry.oid)
        if found is None or found[0] != entry.type:
            raise _unreadable(path, entry, "is not in the repository")
        if entry.type == "tree":
            children = objects.read_tree(entry.oid)
    except KittyFlowError as error:
        yield Piece(path, entry, b"", error)
        return
    except ValueError:  # a tree that is none
        yield Piece(path, entry, b"", _unreadable(path, entry, "is damaged"))
        return
    yield Piece(path, entry, found[1])
    for name, child in children.items():
        yield from _below(objects, f"{path}/{name}" if path else name, child)


def _unreadable(path: str, entry: TreeEntry, why: str) -> LedgerError:
    return LedgerError(
        "OBJECT_DAMAGED",
        f"{path or 'the tree'} cannot be read: the {entry.type} {entry.oid} {why}",
        hint="kitty-flow doctor ledger",
        details={"path": path, "object": entry.oid},
    )


def read_log(found: Iterable[Piece]) -> StoredLog:
    """The log in the pieces of a commit. A segment of a newer schema counts as unreadable."""
    log = StoredLog()
    for piece in found:
        if piece.path == _LOG or piece.path.startswith(f"{_LOG}/"):
            log.paths[piece.path] = piece.entry.oid
        if piece.error is not None:
            log.unreadable.append(piece)
        elif piece.is_segment:
            try:
                events, damage = decode_lines(piece.content, piece.path)
            except LedgerError as error:
                log.unreadable.append(piece._replace(error=error))
                continue
            log.segments[piece.path] = tuple(events)
            log.damage += damage
    return log
