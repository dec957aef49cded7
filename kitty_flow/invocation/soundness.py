"""Is the log of requests sound? The questions that the doctor asks of a mission's ledger, asked of this one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from kitty_flow.errors import KittyFlowError
from kitty_flow.flow.doctor.finding import DoctorFinding, broken, ok, problem
from kitty_flow.flow.doctor.mend import LogPlace, restore_by_hand
from kitty_flow.flow.doctor.soundness import Soundness, check_content, check_history, check_ref
from kitty_flow.flow.ledgers import KnownLedger
from kitty_flow.git.repository import Repository
from kitty_flow.invocation.conflicts import examine_conflicts
from kitty_flow.invocation.op_lines import line_problems
from kitty_flow.invocation.restore import bring_back
from kitty_flow.invocation.rows import plain_row
from kitty_flow.ledger.line import load_line
from kitty_flow.ledger.op_log import OPS_FOLDER, OPS_REF, OpLog
from kitty_flow.ledger.op_memory import acknowledged, memory_file
from kitty_flow.ledger.stored import Piece, pieces

if TYPE_CHECKING:
    from kitty_flow.flow.doctor.examination import Part
    from kitty_flow.flow.project import Project

__all__ = ["examine_op_log", "examine_requests"]

SUBJECT: Final = "requests"


def examine_requests(project: Project, part: Part) -> Iterator[DoctorFinding]:
    """What the doctor says of the log of requests in one of its parts; nothing where there never was one."""
    if part == "conflicts":
        yield from examine_conflicts(project)
    if part != "ledger":
        return
    sound = examine_op_log(project.repository)
    if sound is None:
        return
    yield from sound.findings
    if not sound.problems:
        events, requests = sound.counts["events"], sound.counts["requests"]
        yield ok("ledger", SUBJECT, f"{requests} requests with {events} events can be read")


def examine_op_log(repository: Repository, *, history: bool = False) -> Soundness | None:
    """Everything that can be said about the log without changing it; None when nothing was ever recorded.

    Args:
        history: as for `flow.doctor.soundness.examine_ledger`.
    """
    known, last = KnownLedger(OPS_REF, SUBJECT), acknowledged(repository)
    sound = Soundness(known)
    with OpLog(repository) as log:
        place = LogPlace(repository, log.objects, OPS_REF)
        if last is None and _is_absent(place):
            return None
        sound.findings += check_ref(place, sound, last, memory_file(repository), lambda: bring_back(repository))
        if sound.tip is None:
            return sound
        try:
            found = list(pieces(log.objects, sound.tip))
        except KittyFlowError as error:
            sound.findings.append(broken("ledger", SUBJECT, error, restore_by_hand(place)))
            return sound
        sound.findings += _stored(found, restore_by_hand(place))
        requests = [piece for piece in found if _is_request(piece)]
        events = {str(event_id) for piece in requests for event_id in _event_ids(piece.content)}
        sound.counts = {"requests": len(requests), "events": len(events)}
        if history:
            sound.findings += check_content(repository, known, found)
            sound.findings += check_history(repository, sound, events)
    return sound


def _is_absent(place: LogPlace) -> bool:
    try:
        return place.tip() is None
    except KittyFlowError:
        return False


def _is_request(piece: Piece) -> bool:
    return piece.entry.type == "blob" and piece.path.startswith(f"{OPS_FOLDER}/") and piece.path.endswith(".jsonl")


def _stored(found: Sequence[Piece], remedy: str) -> Iterator[DoctorFinding]:
    """Every file can be read, every line is an event of the request that its file is named by, and evidence is what its
    digest says."""
    digests = {piece.path: hashlib.sha256(piece.content).hexdigest() for piece in found if not piece.error}
    for piece in found:
        if piece.error is not None:
            yield broken("ledger", SUBJECT, piece.error, remedy)
        elif _is_request(piece):
            name = piece.path.rpartition("/")[2].removesuffix(".jsonl")
            for message in (*line_problems(piece.content, name), *_evidence_problems(piece.content, digests)):
                yield problem("ledger", SUBJECT, f"{name}: {message}", remedy)


def _evidence_problems(content: bytes, digests: dict[str, str]) -> Iterator[str]:
    row = plain_row(content, OPS_REF) if b"evidence_promoted" in content else None
    for kept in row["evidence"] if row else ():
        if digests.get(kept["ref"]) != kept["sha256"]:
            yield f"its evidence {kept['ref']} is not what its digest says, or is not there"


def _event_ids(content: bytes) -> Iterator[object]:
    for line in content.splitlines():
        try:
            yield load_line(line)["event_id"]
        except (ValueError, LookupError, TypeError, RecursionError):
            continue  # reported as damaged
