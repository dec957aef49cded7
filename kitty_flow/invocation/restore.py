"""What `doctor ledger --fix` does about the log of requests: it brings back what was acknowledged.

It looks again under the log's lock before it does anything, so doing it twice is the same as once.
"""

from __future__ import annotations

from shlex import quote

from kitty_flow.errors import LedgerError
from kitty_flow.flow.doctor.mend import LogPlace, holds_all, put_aside, restore_by_hand
from kitty_flow.git.repository import Repository
from kitty_flow.invocation.record import parse_event
from kitty_flow.ledger.line import load_line
from kitty_flow.ledger.op_log import OPS_REF, OpLog
from kitty_flow.ledger.op_memory import acknowledged, contains, memory_file, remember
from kitty_flow.ledger.receive import receive
from kitty_flow.ledger.stored import Piece

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
        if tip is not None and not contains(repository, tip, last) and holds_all(log.objects, tip, last, _op_lines):
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


def _op_lines(piece: Piece) -> list[tuple[str, bytes]] | None:
    if not piece.path.endswith(".jsonl"):
        return None
    return [(piece.path, line) for line in piece.content.split(b"\n") if _is_event(line)]


def _is_event(line: bytes) -> bool:
    try:
        parse_event(load_line(line))
    except (ValueError, TypeError, RecursionError):
        return False
    return True
