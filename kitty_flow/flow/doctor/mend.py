"""What `doctor ledger --fix` does: it brings a ref back to what was acknowledged, and makes an index anew.

Each of these looks again under the ledger's lock before it does anything, so doing it twice is the same as once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from shlex import quote
from typing import NamedTuple

from kitty_flow.errors import KittyFlowError, LedgerError
from kitty_flow.flow.ledgers import KnownLedger
from kitty_flow.git.history import History
from kitty_flow.git.objects import ObjectStore
from kitty_flow.git.process import GitFailedError
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.ledger.segment import Damage, read_lines
from kitty_flow.ledger.stored import Piece, pieces
from kitty_flow.ledger.tip import TipReader

__all__ = [
    "LogPlace",
    "SoundLines",
    "bring_back",
    "holds_all",
    "is_contained",
    "is_in_packed_refs",
    "place_of",
    "put_aside",
    "rebuild_index",
    "restore_by_hand",
]


SoundLines = Callable[[Piece], Iterable[tuple[str, bytes]] | None]
"""The lines of a file of the log that can be read, each with what tells it from the same line elsewhere; None for a
file that is no part of the log."""


class LogPlace(NamedTuple):
    """Where a log is: a mission's ledger, or that of requests."""

    repository: Repository
    objects: ObjectStore
    ref: str

    def tip(self) -> str | None:
        """As `TipReader.read`."""
        return TipReader(self.repository, self.objects, self.ref).read()


def place_of(ledger: Ledger) -> LogPlace:
    """The place of a mission's ledger."""
    return LogPlace(ledger.repository, ledger.store.objects, ledger.ref)


def is_contained(repository: Repository, commit: str, tip: str) -> bool:
    """Whether `tip` contains `commit`; not when that is not here any more."""
    try:
        return commit == tip or History(repository.store_git).is_ancestor(commit, tip)
    except GitFailedError:
        return False


def is_in_packed_refs(place: LogPlace, error: KittyFlowError) -> bool:
    """Whether a ref is damaged in the file that holds the user's refs too; that is not ours to mend."""
    own = place.repository.common_dir / place.ref
    return error.code == "REF_DAMAGED" and error.details.get("path") != str(own)


def restore_by_hand(log: LogPlace) -> str:
    """The commands that take a ledger from another clone, for what cannot be mended here."""
    fetch = f"git fetch CLONE '+{log.ref}:{log.ref}', where CLONE is a clone or a backup that still has it"
    try:
        log.tip()
    except LedgerError as error:  # git fetches nothing as long as a ref of its own leads nowhere
        file = log.repository.common_dir / log.ref
        if is_in_packed_refs(log, error):
            return f"restore {error.details['path']}, or take the line of {log.ref} out of it: other refs are there too"
        away = f"rm -- {quote(str(file))}" if error.code == "REF_DAMAGED" else f"git update-ref -d {log.ref}"
        return f"{away} && {fetch}"
    return fetch


def bring_back(repository: Repository, known: KnownLedger) -> str:
    """Bring a ref that was lost, damaged or moved back together with what was seen there last; says what was done.

    Raises:
        LedgerError: LEDGER_NOT_MENDED, what was seen last is not here; an object is missing or damaged.
        ConflictError: LOCK_TIMEOUT or LEDGER_BUSY.
        OSError: a file cannot be written.
    """
    with Ledger(repository, known.mission_id, known.slug) as ledger:
        last = ledger.index.tip()
        if last is None or repository.refs.commit(last) != last:
            raise LedgerError(
                "LEDGER_NOT_MENDED",
                f"what was acknowledged in {known.ref} is not here",
                hint=restore_by_hand(place_of(ledger)),
            )
        with ledger.lock():
            aside = put_aside(place_of(ledger), last)
            tip = TipReader(repository, ledger.store.objects, known.ref).read()
            moved = tip is not None and not is_contained(repository, last, tip)
            if tip is not None and moved and holds_all(ledger.store.objects, tip, last, _segment_lines):
                ledger.index.remove()
                ledger.view()
                return f"{known.ref} stays at {tip[:12]}: it has everything of {last[:12]} that can be read"
        try:
            _, view = ledger.receive(last)
        except LedgerError as error:
            raise LedgerError(
                "LEDGER_NOT_MENDED",
                f"{last[:12]} cannot be united with {known.ref}: {error.message}",
                hint=f"{restore_by_hand(place_of(ledger))}; to go on without it: rm -- {quote(str(ledger.index.path))}",
            ) from error
    now = "again" if view.tip == last else f"at {str(view.tip)[:12]}, which unites both sides"
    return f"{known.ref} has {last[:12]} {now}{aside}"


def put_aside(log: LogPlace, last: str) -> str:
    """Free the ref of a value that leads nowhere; says where that is now. Nobody else can move such a ref: git refuses.

    When we are killed after it, the ref is gone or at an older commit, which is brought back all the same.
    """
    repository = log.repository
    try:
        log.tip()
    except LedgerError as error:
        if error.code == "OBJECT_MISSING":
            named = str(error.details["object"])
            repository.refs.swap(log.ref, last, named)
            return f"; it named {named}, which is not here"
        if error.code != "REF_DAMAGED" or is_in_packed_refs(log, error):
            raise
        file = repository.common_dir / log.ref
        name = f"{log.ref.rpartition('/')[2]}-{sha256(file.read_bytes()).hexdigest()[:8]}"
        kept = repository.state_dir / "damaged-refs" / name
        kept.parent.mkdir(parents=True, exist_ok=True)
        file.replace(kept)
        return f"; its damaged file was kept as {kept}"
    return ""


def holds_all(objects: ObjectStore, tip: str, last: str, lines: SoundLines) -> bool:
    """Whether a commit has every line and every file of another one that can be read; not while that is in doubt.

    So it is after somebody has taken a sound log from a clone: uniting both would bring the damaged lines back.
    """
    try:
        return set(_contents(objects, last, lines)) <= set(_contents(objects, tip, lines))
    except KittyFlowError:
        return False


def _contents(objects: ObjectStore, commit: str, lines: SoundLines) -> Iterator[tuple[str, bytes | str]]:
    for piece in pieces(objects, commit):
        if piece.error is not None:
            raise piece.error
        found = lines(piece)
        if found is not None:
            yield from found
        elif piece.entry.type == "blob":
            yield (piece.path, piece.entry.oid)


def _segment_lines(piece: Piece) -> list[tuple[str, bytes]] | None:
    if not piece.is_segment:
        return None
    return [("", line) for line, found in read_lines(piece.content, piece.path) if not isinstance(found, Damage)]


def rebuild_index(repository: Repository, known: KnownLedger) -> str:
    """Make the index of a ledger anew; says what was done.

    Raises:
        LedgerError: LEDGER_NOT_MENDED, it remembers a commit that the ref lost, or cannot be written; the log cannot
            be read.
        ConflictError: LOCK_TIMEOUT.
    """
    with Ledger(repository, known.mission_id, known.slug) as ledger, ledger.lock():
        last, tip = ledger.index.tip(), TipReader(repository, ledger.store.objects, known.ref).read()
        if last is not None and (tip is None or not is_contained(repository, last, tip)):
            raise LedgerError(
                "LEDGER_NOT_MENDED", f"the index remembers {last[:12]}, which {known.ref} lost", hint="kitty-flow sync"
            )
        ledger.index.remove()
        ledger.view()
        if not os.access(ledger.index.path, os.R_OK):
            raise LedgerError("LEDGER_NOT_MENDED", f"{ledger.index.path} cannot be written")
        return f"its index was made anew from {ledger.view().event_count} event(s)"
