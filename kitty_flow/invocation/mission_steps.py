"""The steps of missions as records: the same model, made from the events in a mission's own ledger (ADR 2)."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from kitty_flow.errors import KittyFlowError, RefusedError
from kitty_flow.invocation.op_lines import fold_record
from kitty_flow.invocation.record import Completed, InvocationRecord, Outcome, RecordEvent, Started
from kitty_flow.ledger.catalog import UNREADABLE, CatalogEntry, catalog
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.ledger.query import EventFilter, find_events
from kitty_flow.model.diagnostic import Diagnostic

if TYPE_CHECKING:
    from kitty_flow.flow.project import Project
    from kitty_flow.model.event import Event

__all__ = ["mission_invocation_ids", "mission_records", "refuse_mission_step"]

_PROFILES: Final = {"implement": "implementer", "review": "reviewer"}
"""The profile of a step's role; the other steps are those of planning."""


def mission_records(
    project: Project,
    entries: Iterable[CatalogEntry],
    limit: int | None,
    warnings: list[Diagnostic],
    only: str | None = None,
) -> Iterator[InvocationRecord]:
    """The records of missions, in no order: of each at least the last `limit`, or the one called `only`."""
    for entry in _readable(entries, warnings):
        try:
            with Ledger(project.repository, entry.mission_id, entry.slug) as ledger:
                yield from _records(ledger, limit, only)
        except KittyFlowError as error:
            warnings.append(_unreadable(entry, error.message))


def mission_invocation_ids(project: Project, entries: Iterable[CatalogEntry], prefix: str) -> list[str]:
    """The ids of all steps of these missions that begin with `prefix`."""
    found: list[str] = []
    for entry in _readable(entries, []):
        with Ledger(project.repository, entry.mission_id, entry.slug) as ledger:
            view = ledger.view()
            if len(prefix) == 26:
                found += [prefix] if view.entity("invocation", prefix) else []
            else:
                found += [name for name in view.of_type("invocation") if name.startswith(prefix)]
    return found


def _readable(entries: Iterable[CatalogEntry], warnings: list[Diagnostic]) -> Iterator[CatalogEntry]:
    for entry in entries:
        if entry.state == UNREADABLE:
            warnings.append(_unreadable(entry, "its commit is damaged"))
        else:
            yield entry


def _unreadable(entry: CatalogEntry, why: str) -> Diagnostic:
    return Diagnostic(
        severity="warning",
        diagnostic_code="LEDGER_UNREADABLE",
        message=f"the ledger of {entry.slug} cannot be read, and its invocations were left out: {why}; "
        "kitty-flow doctor ledger",
        phase="read",
    )


def _records(ledger: Ledger, limit: int | None, only: str | None) -> Iterator[InvocationRecord]:
    since = 0
    if limit is not None and only is None:
        starts = find_events(ledger, EventFilter(entity_type="invocation", trigger="start", limit=limit))
        if not starts:
            return
        since = starts[0].lamport - 1
    wanted = EventFilter(entity_type="invocation", entity_id=only, since_clock=since)
    by_id: dict[str, list[Event]] = {}
    for event in find_events(ledger, wanted):
        by_id.setdefault(event.entity_id, []).append(event)
    superseded = ledger.view().superseded
    for events in by_id.values():
        record = _record(events, ledger.ref, superseded)
        if record is not None:
            yield record


def _record(events: Iterable[Event], ref: str, superseded: frozenset[str]) -> InvocationRecord | None:
    told = [each for event in events for each in _told(event)]
    record = fold_record(told, ref)
    if record is None or record.completed is None:
        return record
    # In a mission the ledger's fold has the word: with the work package, an end may count that is not the last made.
    ends = (record.completed, *record.superseded)
    counted = [end for end in ends if end.event_id not in superseded]
    winner = counted[0] if counted else None
    others = tuple(end for end in ends if end is not winner)
    return record.model_copy(update={"completed": winner, "superseded": others})


def _told(event: Event) -> Iterator[RecordEvent]:
    """The event in the words of a record; what is no start and no end of an invocation has none."""
    if event.kind != "transition":
        return
    facts = event.evidence
    common: dict[str, Any] = {
        name: getattr(event, name) for name in ("event_id", "parent", "lamport", "writer", "at", "machine")
    }
    common |= {
        "invocation_id": event.entity_id,
        "actor": event.actor or "unknown",
        "machine_digest": event.machine_digest,
    }
    if event.to_state == "started":
        action, wp_id = str(facts.get("action") or "step"), facts.get("work_package_id")
        yield Started(
            **common,
            profile_id=_PROFILES.get(action, "planner"),
            action=action,
            request_text=f"{action} {wp_id or ''}".strip() + f" of {event.mission_slug}",
            governance_context_hash="",
            governance_context_available=False,
            mode_of_work="mission_step",
            mission_id=event.mission_id,
            wp_id=wp_id if isinstance(wp_id, str) else None,
        )
    elif event.to_state in ("done", "failed", "abandoned"):
        summary = facts.get("summary")
        yield Completed(
            **common,
            outcome=event.to_state,
            closed_by="agent",
            summary=summary if isinstance(summary, str) else None,
            reason=event.reason,
        )


def refuse_mission_step(project: Project, record: InvocationRecord, outcome: Outcome) -> None:
    """A step of a mission ends together with the state of its work package, by the command that moves both.

    Args:
        outcome: what was to be reported; the hint is the command that reports it.

    Raises:
        RefusedError: INVOCATION_OF_MISSION.
    """
    mission_id, wp_id = str(record.started.mission_id), record.started.wp_id
    slug = next((e.slug for e in catalog(project.repository) if e.mission_id == mission_id), mission_id)
    of = f" ({record.action} {wp_id})" if wp_id else ""
    raise RefusedError(
        "INVOCATION_OF_MISSION",
        f"invocation {record.invocation_id} is a step of {slug}{of}, which ends in the mission's ledger together with "
        "its work",
        hint=f"kitty-flow {_reporting(record, slug, outcome)}",
        details={"invocation_id": record.invocation_id, "mission_id": mission_id, "wp_id": wp_id},
    )


def _reporting(record: InvocationRecord, slug: str, outcome: Outcome) -> str:
    if record.completed is not None:
        return f"invocations show {record.invocation_id}"
    if outcome == "abandoned" and record.started.wp_id and record.action != "review":
        return f"wp release {record.started.wp_id} --reason WHY --mission {slug}"
    agent = f"next --agent {shlex.quote(record.started.actor)}"
    if record.action == "review":  # a verdict is more than a word
        return f"{agent} --role review --mission {slug} --result FILE"
    return f"{agent} --mission {slug} --result {'success' if outcome == 'done' else 'failed'}"
