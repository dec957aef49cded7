"""What `doctor ledger --fix` does about the log of requests: it brings back what was acknowledged.

It looks again under the log's lock before it does anything, so doing it twice is the same as once.
"""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from kitty_flow.errors import KittyFlowError, LedgerError
from kitty_flow.flow.doctor.mend import LogPlace, put_aside, restore_by_hand
from kitty_flow.git.objects import ObjectStore
from kitty_flow.git.repository import Repository
from kitty_flow.invocation.record import parse_event
from kitty_flow.ledger.line import load_line
from kitty_flow.ledger.op_log import OPS_REF, OpLog
from kitty_flow.ledger.op_memory import acknowledged, contains, memory_file, remember
from kitty_flow.ledger.receive import receive
from kitty_flow.ledger.stored import pieces

__all__ = ["bring_back"]


def bring_back(repository: Repository) -> str:
    """Bring the ref together with what was acknowledged last; says what was done.

    Raises:
        LedgerError: LEDGER_NOT_MENDED, what was acknowledged is not here or cannot be united with the ref.
        ConflictError: LOCK_TIMEOUT or LEDGER_BUSY.
        OSError: a file cannot be written.
    """
    with OpLog(repository) as log, log.lock():
        place, last = LogPlace(repository, log.objects, OPS_REF), acknowledged(repository)
        if last is None or repository.refs.commit(last) != last:
            raise LedgerError(
                "LEDGER_NOT_MENDED", f"what was acknowledged in {OPS_REF} is not here", hint=restore_by_hand(place)
            )
        aside = put_aside(place, last)
        tip = place.tip()
        if tip is not None and not contains(repository, tip, last) and _holds_all(log.objects, tip, last):
            remember(repository, tip)
            return f"{OPS_REF} stays at {tip[:12]}: it has everything of {last[:12]} that can be read"
        try:
            _, united = receive(repository, log.objects, OPS_REF, last, lambda tree: ())
        except LedgerError as error:
            raise LedgerError(
                "LEDGER_NOT_MENDED",
                f"{last[:12]} cannot be united with {OPS_REF}: {error.message}",
                hint=f"{restore_by_hand(place)}; to go on without it: rm -- {quote(str(memory_file(repository)))}",
            ) from error
        remember(repository, str(united))
    now = "again" if united == last else f"at {str(united)[:12]}, which unites both sides"
    return f"{OPS_REF} has {last[:12]} {now}{aside}"


def _holds_all(objects: ObjectStore, tip: str, last: str) -> bool:
    """Whether a commit has every line and every file of another one that can be read; not while that is in doubt.

    So it is after somebody has taken a sound log from a clone: uniting both would bring the damaged lines back.
    """
    try:
        return set(_contents(objects, last)) <= set(_contents(objects, tip))
    except KittyFlowError:
        return False


def _contents(objects: ObjectStore, commit: str) -> Iterator[tuple[str, bytes | str]]:
    for piece in pieces(objects, commit):
        if piece.error is not None:
            raise piece.error
        if piece.path.endswith(".jsonl"):
            yield from ((piece.path, line) for line in piece.content.split(b"\n") if _is_event(line))
        elif piece.entry.type == "blob":
            yield (piece.path, piece.entry.oid)


def _is_event(line: bytes) -> bool:
    try:
        parse_event(load_line(line))
    except (ValueError, TypeError, RecursionError):
        return False
    return True
