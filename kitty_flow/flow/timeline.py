"""Histories: the invocations that were made for a work package, the amendments of a mission."""

from __future__ import annotations

from typing import Any

from kitty_flow.flow.mission import OpenMission
from kitty_flow.ledger.query import EventFilter, find_events

__all__ = ["amendments", "attempts"]


def amendments(mission: OpenMission) -> list[dict[str, Any]]:
    """Every amendment of the mission in the ledger's order, JSON-ready; a superseded one is marked."""
    view = mission.view()
    entity = view.entity("mission", mission.id)
    if entity is None or not (entity.counts.get("amend") or view.superseded):
        return []
    found = []
    for event in find_events(mission.ledger, EventFilter(mission.id, trigger="amend")):
        if event.entity_type == "mission":
            changes = dict(event.evidence.get("amendment", {}))
            changes.pop("request", None)
            found.append(
                {
                    "event_id": event.event_id,
                    "at": event.at,
                    "actor": event.actor,
                    "reason": event.reason,
                    "from_digest": changes.pop("from", None),
                    "definition_digest": event.evidence.get("definition_digest"),
                    "changes": changes,
                    "superseded": event.event_id in view.superseded,
                }
            )
    return found


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
