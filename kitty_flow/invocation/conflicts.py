"""Requests that two clones closed without knowing of each other: which end counts, told as for work packages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kitty_flow.errors import KittyFlowError
from kitty_flow.flow.doctor.finding import DoctorFinding, ok
from kitty_flow.invocation.listing import stored_rows
from kitty_flow.invocation.op_lines import decode_record
from kitty_flow.ledger.fold import Conflict
from kitty_flow.ledger.op_changes import changed_ops
from kitty_flow.ledger.op_log import OPS_REF, OpLog, op_path

if TYPE_CHECKING:
    from kitty_flow.flow.project import Project
    from kitty_flow.flow.sync.exchange import SyncReport
    from kitty_flow.invocation.record import Completed, InvocationRecord
    from kitty_flow.model.diagnostic import Diagnostic

__all__ = ["examine_conflicts", "tell_exchanged"]

_TRIGGERS: Final = {"done": "complete", "failed": "fail", "abandoned": "abandon"}


def tell_exchanged(project: Project, report: SyncReport) -> None:
    """Complete what an exchange says of the log of requests: the events that came, and the ends that met."""
    for exchanged in report.logs:
        if exchanged.ref != OPS_REF or exchanged.commit in (None, exchanged.before):
            continue
        received, conflicts = 0, list[Conflict]()
        with OpLog(project.repository) as log:
            for changed in changed_ops(log.objects, exchanged.before, str(exchanged.commit)):
                received += len(set(changed.after) - set(changed.before))
                known = {conflict.loser for conflict in _of_lines(changed.before, changed.path)}
                conflicts += [each for each in _of_lines(changed.after, changed.path) if each.loser not in known]
        exchanged.received, exchanged.conflicts = received, tuple(conflicts)


def examine_conflicts(project: Project) -> Iterator[DoctorFinding]:
    """Every request with two ends. A rule settles them, and nothing goes on from an end, so none is a warning."""
    unread: list[Diagnostic] = []
    with OpLog(project.repository) as log:
        try:
            tip = log.tip()
            named = [row["invocation_id"] for row in stored_rows(log, tip, unread) if row["superseded"]]
            found = [decode_record(log.read(tip, each), op_path(each)) for each in named]
        except KittyFlowError:
            return  # `doctor ledger` says what is wrong with the log
    for record in found:
        for conflict in _conflicts(record):
            yield _finding(record, conflict)


def _of_lines(lines: tuple[bytes, ...], path: str) -> tuple[Conflict, ...]:
    """None where the lines cannot be read: `doctor ledger` says so."""
    try:
        return _conflicts(decode_record(b"\n".join(lines), path)) if lines else ()
    except KittyFlowError:
        return ()


def _conflicts(record: InvocationRecord) -> tuple[Conflict, ...]:
    winner = record.completed
    if winner is None:
        return ()
    return tuple(
        Conflict(
            "invocation", record.invocation_id,
            winner.event_id, _TRIGGERS[winner.outcome], winner.actor,
            loser.event_id, _TRIGGERS[loser.outcome], loser.actor,
            loser.writer, loser.at, (loser.event_id,),
        )
        for loser in record.superseded
    )  # fmt: skip


def _finding(record: InvocationRecord, conflict: Conflict) -> DoctorFinding:
    ends = {end.event_id: end for end in (record.completed, *record.superseded) if end is not None}
    winner, loser = ends[conflict.winner], ends[conflict.loser]
    message = f"settled: {_words(winner)} counts, {_words(loser)} is superseded"
    details = {
        "entity_type": "invocation",
        "entity_id": record.invocation_id,
        "open": False,
        "winner": _facts(winner),
        "loser": _facts(loser),
        "superseded": list(conflict.superseded),
    }
    return replace(ok("conflicts", f"requests/{record.invocation_id}", message), details=details)


def _words(end: Completed) -> str:
    return f"{_TRIGGERS[end.outcome]} by {end.actor} at {end.at[:19]}"


def _facts(end: Completed) -> dict[str, Any]:
    trigger = _TRIGGERS[end.outcome]
    return {"event_id": end.event_id, "trigger": trigger, "actor": end.actor, "at": end.at, "writer": end.writer}
