"""The steps of missions as rows of a list, from the folded states of their ledgers: no event is read for that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from kitty_flow.errors import KittyFlowError
from kitty_flow.invocation.rows import Row, row_of
from kitty_flow.ledger.catalog import UNREADABLE, CatalogEntry
from kitty_flow.ledger.ledger import Ledger

if TYPE_CHECKING:
    from kitty_flow.flow.project import Project
    from kitty_flow.ledger.state import EntityState
    from kitty_flow.model.diagnostic import Diagnostic

__all__ = ["left_out", "mission_rows", "readable", "started_fields"]

_PROFILES: Final = {"implement": "implementer", "review": "reviewer"}
"""The profile of a step's role; the other steps are those of planning."""


def started_fields(facts: Mapping[str, Any], mission: tuple[str, str]) -> dict[str, Any]:
    """What a record says of a step's start, from the evidence of its start; `mission` is (id, slug)."""
    action, wp_id = str(facts.get("action") or "step"), facts.get("work_package_id")
    return {
        "profile_id": _PROFILES.get(action, "planner"),
        "action": action,
        "request_text": f"{action} {wp_id or ''}".strip() + f" of {mission[1]}",
        "governance_context_hash": "",
        "governance_context_available": False,
        "router_confidence": None,
        "mode_of_work": "mission_step",
        "mission_id": mission[0],
        "wp_id": wp_id if isinstance(wp_id, str) else None,
    }


def readable(entries: Iterable[CatalogEntry], warnings: list[Diagnostic]) -> Iterator[CatalogEntry]:
    """The missions whose ledger can be read; of the others it is told that they were left out."""
    for entry in entries:
        if entry.state == UNREADABLE:
            warnings.append(left_out(entry, "its commit is damaged"))
        else:
            yield entry


def left_out(entry: CatalogEntry, why: str) -> Diagnostic:
    """The warning that the steps of a mission are missing in a list."""
    from kitty_flow.model.diagnostic import Diagnostic

    return Diagnostic(
        severity="warning",
        diagnostic_code="LEDGER_UNREADABLE",
        message=f"the ledger of {entry.slug} cannot be read, and its invocations were left out: {why}; "
        "kitty-flow doctor ledger",
        phase="read",
    )


def mission_rows(project: Project, entries: Iterable[CatalogEntry], warnings: list[Diagnostic]) -> Iterator[Row]:
    """The rows of all steps of these missions, in no order. `started_at` is when the prompt was written."""
    for entry in readable(entries, warnings):
        try:
            with Ledger(project.repository, entry.mission_id, entry.slug) as ledger:
                view = ledger.view()
                known = view.of_type("invocation")
        except KittyFlowError as error:
            warnings.append(left_out(entry, error.message))
            continue
        lost: dict[str, list[str]] = {}
        for conflict in view.conflicts:
            if conflict.entity_type == "invocation":
                lost.setdefault(conflict.entity_id, []).append(conflict.loser)
        for name, state in known.items():
            yield _row(state, (entry.mission_id, entry.slug), ledger.ref, lost.get(name, ()))


def _row(state: EntityState, mission: tuple[str, str], ref: str, lost: Sequence[str]) -> Row:
    facts, last = state.facts, state.last_event
    start = {
        "event": "started",
        "event_id": "",
        "invocation_id": state.entity_id,
        "actor": str(facts.get("agent") or last.actor),
        "at": str(facts.get("created_at") or last.at),
        **started_fields(facts, mission),
    }
    if state.state == "started":
        return row_of([start], ref)
    end = {
        "event": "completed",
        "event_id": last.event_id,
        "at": last.at,
        "actor": last.actor,
        "outcome": state.state,
        "closed_by": "agent",
        "summary": facts.get("summary"),
        "reason": last.reason,
    }
    return row_of([start, end], ref) | {"superseded": list(lost)}
