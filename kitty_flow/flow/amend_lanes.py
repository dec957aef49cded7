"""Which execution lane a work package is bound to because it was started there, and a plan that respects that. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.model.ids import natural_key
from kitty_flow.model.plan import ExecutionLane, Plan

__all__ = ["has_started", "keep_lanes", "lane_on_record", "lanes_of", "unblocked_state", "used_lanes"]

_PLANNING_LANE: Final = "lane-planning"  # as in `graph`, whose import would cost every reading command its start
_LANE: Final = "-lane-"


def has_started(entity: EntityState) -> bool:
    """Whether somebody holds the work package or has ever begun it: its lane, branch and base are then in use.

    One that waits, was blocked while it waited, or was canceled before anybody began it has not started.
    """
    return entity.counts.get("start", 0) > 0 or unblocked_state(entity) not in ("planned", "canceled")


def unblocked_state(entity: EntityState) -> str:
    """The state of the work package, for a blocked one the state that it comes back to."""
    return str(entity.facts.get("state_before_block")) if entity.state == "blocked" else entity.state


def used_lanes(view: LedgerView, plan: Plan) -> dict[str, str]:
    """The execution lane of each work package of `plan` that has started: the one whose branch is on record."""
    found = {}
    for work_package_id, placement in plan.placements.items():
        entity = view.entity("work_package", work_package_id)
        if entity is not None and has_started(entity):
            found[work_package_id] = lane_on_record(entity) or placement.execution_lane
    return found


def lane_on_record(entity: EntityState) -> str | None:
    """The execution lane that the work package was started in last, by the name of its branch."""
    _, is_lane, name = str(entity.facts.get("branch", "")).rpartition(_LANE)
    return _LANE[1:] + name if is_lane else None


def keep_lanes(plan: Plan, lanes: Mapping[str, str]) -> Plan:
    """The plan with the given work packages in the given lanes, everything else where it was."""
    lane_of = {i: lanes.get(i, placement.execution_lane) for i, placement in plan.placements.items()}
    if all(lane_of[i] == placement.execution_lane for i, placement in plan.placements.items()):
        return plan
    placements = {i: placement._replace(execution_lane=lane_of[i]) for i, placement in plan.placements.items()}
    return replace(plan, placements=placements, execution_lanes=lanes_of(lane_of, plan.merge_order))


def lanes_of(lane_of: Mapping[str, str], merge_order: tuple[str, ...]) -> tuple[ExecutionLane, ...]:
    """The execution lanes in the order of their names, `lane-planning` last; members in merge order."""
    members: dict[str, list[str]] = {}
    for work_package_id in merge_order:
        members.setdefault(lane_of[work_package_id], []).append(work_package_id)

    def key(name: str) -> tuple[object, ...]:
        return name == _PLANNING_LANE, len(name), natural_key(name)

    return tuple(ExecutionLane(id=name, work_packages=tuple(members[name])) for name in sorted(members, key=key))
