"""The steps of missions as records: the same model, made from the events in a mission's own ledger (ADR 2)."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from kitty_flow.errors import RefusedError
from kitty_flow.invocation.mission_rows import readable, started_fields
from kitty_flow.invocation.op_lines import fold_record
from kitty_flow.invocation.record import Completed, InvocationRecord, Outcome, RecordEvent, Started
from kitty_flow.ledger.catalog import CatalogEntry, catalog
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.ledger.query import EventFilter, find_events

if TYPE_CHECKING:
    from kitty_flow.flow.project import Project
    from kitty_flow.model.event import Event

__all__ = ["mission_invocation_ids", "mission_record", "refuse_mission_step"]


def mission_record(project: Project, entries: Iterable[CatalogEntry], invocation_id: str) -> InvocationRecord | None:
    """The record of a step, by its whole id; None when no mission has it.

    Raises:
        LedgerError: a ledger cannot be read.
    """
    for entry in readable(entries, []):
        with Ledger(project.repository, entry.mission_id, entry.slug) as ledger:
            events = find_events(ledger, EventFilter(entity_type="invocation", entity_id=invocation_id))
            record = _record(events, ledger.ref, ledger.view().superseded)
            if record is not None:
                return record
    return None


def mission_invocation_ids(project: Project, entries: Iterable[CatalogEntry], prefix: str) -> list[str]:
    """The ids of all steps of these missions that begin with `prefix`."""
    found: list[str] = []
    for entry in readable(entries, []):
        with Ledger(project.repository, entry.mission_id, entry.slug) as ledger:
            view = ledger.view()
            if len(prefix) == 26:
                found += [prefix] if view.entity("invocation", prefix) else []
            else:
                found += [name for name in view.of_type("invocation") if name.startswith(prefix)]
    return found


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
    return replace(record, completed=winner, superseded=others)


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
        yield Started(**common, **started_fields(facts, (event.mission_id, event.mission_slug)))
    elif event.to_state in ("done", "failed", "abandoned"):
        summary = facts.get("summary")
        yield Completed(
            **common,
            outcome=cast("Outcome", event.to_state),
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
