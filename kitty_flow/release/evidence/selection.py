"""Which events of a ledger say what landed: those of the landings, of the work that they carried, of the releases."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = ["proved_landings", "select"]


def proved_landings(events: Iterable[Event]) -> tuple[str, ...]:
    """The ids of the landings that were completed, in the ledger's order."""
    return tuple(e.entity_id for e in events if (e.entity_type, e.trigger) == ("merge", "prove"))


def select(events: Iterable[Event], landings: Collection[str]) -> tuple[Event, ...]:
    """The events that a bundle about these landings holds, in the ledger's order.

    Of a work package: the submission and the approval of the very commit that landed, its landing, and every transition
    that somebody forced. Of the mission: what was overridden on the way, and its own end. That it was pushed is no
    part of it: recorded after the ledger went out, it would be unknown to whoever checks the bundle.
    """
    ordered = sorted(events, key=lambda event: event.order)
    heads = {
        (name, head)
        for event in ordered
        if event.entity_type == "merge" and event.trigger == "prepare" and event.entity_id in landings
        for name, head in _heads(event).items()
    }
    names = {name for name, _ in heads}
    last: dict[tuple[str, str, str], str] = {}
    for event in ordered:
        head = _handed(event)
        if head is not None and (event.entity_id, head) in heads:
            last[event.entity_id, head, event.trigger] = event.event_id
    wanted = set(last.values())
    return tuple(e for e in ordered if e.event_id in wanted or _counts(e, landings, names))


def _heads(event: Event) -> dict[str, str]:
    found = event.evidence.get("heads")
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _handed(event: Event) -> str | None:
    """The commit that a work package's event submits or approves."""
    key = {"submit": "head_commit", "approve": "reviewed_commit"}.get(event.trigger)
    return str(event.evidence.get(key)) if key and event.entity_type == "work_package" else None


def _counts(event: Event, landings: Collection[str], names: Collection[str]) -> bool:
    if event.entity_type == "merge":
        return event.entity_id in landings and event.trigger != "push"
    if event.entity_type == "release":
        return True
    of_landing = event.evidence.get("merge_id") in landings
    if event.entity_type == "work_package":
        return of_landing or (event.force and event.entity_id in names)
    of_release = event.trigger == "ship" or bool(event.evidence.get("release_id"))
    return event.entity_type == "mission" and (of_landing or of_release)
