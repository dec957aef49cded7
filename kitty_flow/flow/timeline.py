"""The history of a mission: its events by filter, and the invocations of a work package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kitty_flow.flow.mission import OpenMission
from kitty_flow.model.event import Event

__all__ = ["EventFilter", "attempts", "select"]


@dataclass(frozen=True)
class EventFilter:
    """Which events to show; None and 0 let everything through. `limit` keeps the last ones."""

    work_package_id: str | None = None
    trigger: str | None = None
    since_clock: int = 0
    actor: str | None = None
    limit: int | None = None

    def admits(self, event: Event) -> bool:
        """Whether the event passes, the limit aside. An invocation belongs to its work package's events."""
        return (
            self._is_about_work_package(event)
            and self.trigger in (None, event.trigger)
            and event.lamport > self.since_clock
            and self.actor in (None, event.actor)
        )

    def _is_about_work_package(self, event: Event) -> bool:
        wanted = self.work_package_id
        if wanted is None:
            return True
        if event.entity_type == "work_package":
            return event.entity_id == wanted
        return bool(event.evidence.get("work_package_id") == wanted)


def select(mission: OpenMission, wanted: EventFilter) -> tuple[Event, ...]:
    """The events that pass the filter, in the ledger's order."""
    found = [event for event in mission.view().events if wanted.admits(event)]
    return tuple(found if wanted.limit is None else found[-wanted.limit :])


def attempts(mission: OpenMission, work_package_id: str) -> list[dict[str, Any]]:
    """Every invocation made for a work package, oldest first, JSON-ready."""
    found = []
    for entity in mission.view().of_type("invocation").values():
        facts = entity.facts
        if facts.get("work_package_id") != work_package_id:
            continue
        found.append(
            {
                "invocation_id": entity.entity_id,
                "action": facts.get("action"),
                "agent": facts.get("agent"),
                "epoch": facts.get("epoch"),
                "state": entity.state,
                "outcome": facts.get("outcome"),
                "summary": facts.get("summary"),
                "reason": entity.last_event.reason,
                "prompt_path": facts.get("prompt_path"),
                "result_path": facts.get("result_path"),
                "log_path": facts.get("log_path"),
            }
        )
    return found
