"""The history of a work package: the invocations that were made for it."""

from __future__ import annotations

from typing import Any

from kitty_flow.flow.mission import OpenMission

__all__ = ["attempts"]


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
