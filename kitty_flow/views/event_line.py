"""One event of the ledger as a line for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kitty_flow.model.text import clean

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = ["event_line"]

_TOLD: Final = ("retry_scheduled", "pool_parked", "budget_exhausted", "wave_gate")
"""Annotations that say why nothing moves."""

_REASON: Final = 120


def event_line(event: Event) -> str | None:
    """One transition, or wait, of a work package or the mission; None for events that only matter to the log."""
    if event.entity_type not in ("work_package", "mission"):
        return None
    name = event.mission_slug if event.entity_type == "mission" else event.entity_id
    reason = f": {_gist(event.reason)}" if event.reason and event.reason.strip() else ""
    if event.kind == "annotation":
        return clean(f"{event.at[11:19]} {name} {_wait(event)}{reason}") if event.trigger in _TOLD else None
    forced = " by force" if event.force else ""
    return clean(
        f"{event.at[11:19]} {name} {event.from_state or 'new'} -> {event.to_state}{forced} ({event.actor}){reason}"
    )


def _gist(text: str) -> str:
    """The first line; dots say that there is more."""
    first = text.strip().splitlines()[0]
    kept = first if len(first) <= _REASON else first[: _REASON - 2].rstrip()
    return kept if kept == text.strip() else f"{kept}.."


def _wait(event: Event) -> str:
    facts = event.evidence
    if event.trigger == "retry_scheduled":
        delay = facts.get("delay_s")
        soon = f"in {delay:.0f} s" if isinstance(delay, (int, float)) else "later"
        return f"is tried again {soon}, after {facts.get('failure_code', 'a failure')}"
    if event.trigger == "pool_parked":
        until = f" until {facts['until']}" if facts.get("until") else ""
        return f"pool {facts.get('pool', '?')} is parked{until}: {facts.get('reason', '')}"
    if event.trigger == "budget_exhausted":
        return f"budget {facts.get('budget_key', '')} is exhausted"
    gate = facts.get("wave_gate")
    found = gate if isinstance(gate, dict) else {}
    return f"gate after wave {found.get('wave', '?')} {'passed' if found.get('passed') is True else 'is red'}"
