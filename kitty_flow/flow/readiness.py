"""Why a work package may not be claimed: one exact reason for every closed gate on its incoming edges."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from kitty_flow.flow.mission import OpenMission
from kitty_flow.graph.ownership import patterns_overlap
from kitty_flow.ledger.fold import EntityState, LedgerView

__all__ = ["FINISHED", "SATISFIED", "Reason", "active_conflicts", "hindrances", "unsatisfied"]

SATISFIED: Final = ("approved", "done")
"""States of a prerequisite that open the gate for its dependents."""

FINISHED: Final = ("approved", "done", "canceled")
"""States in which nothing more is to be done before the merge."""

_ACTIVE: Final = ("claimed", "in_progress", "for_review", "in_review")


class Reason(NamedTuple):
    """Why one work package is not ready: stable code, sentence, and the command that helps."""

    wp_id: str
    code: str
    message: str
    hint: str

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return self._asdict()


def unsatisfied(mission: OpenMission, work_package_id: str, view: LedgerView) -> tuple[str, ...]:
    """The prerequisites that are not approved yet.

    A canceled prerequisite stops a declared dependent; one that was only ordered because of shared files does not.
    """
    declared = set(mission.definition.work_package(work_package_id).dependencies)
    states = {p: mission.work_package(p, view).state for p in mission.plan.prerequisites(work_package_id)}
    return tuple(
        p for p, state in states.items() if state not in SATISFIED and not (state == "canceled" and p not in declared)
    )


def active_conflicts(mission: OpenMission, work_package_id: str, view: LedgerView) -> tuple[str, ...]:
    """Work packages that somebody works on and that may not be worked on at the same time as this one.

    Either their owned files can overlap, or they are in the same execution lane, which has only one worktree.
    """
    own = mission.definition.work_package(work_package_id).owned_files
    return tuple(
        w.id
        for w in mission.definition.work_packages
        if w.id != work_package_id
        and mission.work_package(w.id, view).state in _ACTIVE
        and (
            _same_lane(mission, w.id, work_package_id)
            or any(patterns_overlap(a, b) for a in own for b in w.owned_files)
        )
    )


def _same_lane(mission: OpenMission, one: str, other: str) -> bool:
    placements = mission.plan.placements
    return placements[one].execution_lane == placements[other].execution_lane


def hindrances(mission: OpenMission, work_package_id: str, view: LedgerView) -> tuple[Reason, ...]:
    """Every reason why the work package cannot be claimed now; empty when it is ready."""
    entity = mission.work_package(work_package_id, view)
    if entity.state != "planned":
        return (_not_planned(work_package_id, entity),)
    state = mission.state(view)
    if state not in ("planned", "running"):
        hint = f"kitty-flow mission show {mission.slug}"
        return (Reason(work_package_id, "MISSION_NOT_RUNNING", f"the mission is {state}", hint),)
    found = [_waits(mission, work_package_id, p, view) for p in unsatisfied(mission, work_package_id, view)]
    found += [_disturbs(mission, work_package_id, other) for other in active_conflicts(mission, work_package_id, view)]
    return tuple(found)


def _disturbs(mission: OpenMission, work_package_id: str, other: str) -> Reason:
    if _same_lane(mission, work_package_id, other):
        lane = mission.plan.placements[other].execution_lane
        code, message = "LANE_BUSY", f"{other} is being worked on in {lane}, the execution lane of {work_package_id}"
    else:
        code, message = "OWNERSHIP_CONFLICT", f"{other} is being worked on and owns some of the same files"
    return Reason(work_package_id, code, message, f"kitty-flow wp show {other}")


def _not_planned(work_package_id: str, entity: EntityState) -> Reason:
    who = entity.facts.get("holder") if entity.state in _ACTIVE else None
    by = f" by {who}" if who else ""
    why = f": {entity.last_event.reason}" if entity.last_event.reason else ""
    hint = "kitty-flow wp unblock" if entity.state == "blocked" else "kitty-flow wp show"
    return Reason(
        work_package_id, "NOT_PLANNED", f"{work_package_id} is {entity.state}{by}{why}", f"{hint} {work_package_id}"
    )


def _waits(mission: OpenMission, work_package_id: str, prerequisite: str, view: LedgerView) -> Reason:
    entity = mission.work_package(prerequisite, view)
    declared = prerequisite in mission.definition.work_package(work_package_id).dependencies
    if entity.state == "canceled":
        return Reason(
            work_package_id,
            "DEPENDENCY_CANCELED",
            f"{work_package_id} depends on {prerequisite}, which was canceled and will never be approved",
            f"kitty-flow wp cancel {work_package_id} --reason TEXT",
        )
    because = "depends on" if declared else "shares owned files with and comes after"
    return Reason(
        work_package_id,
        "DEPENDENCIES_NOT_SATISFIED",
        f"{work_package_id} {because} {prerequisite}, which is {entity.state}",
        f"kitty-flow why {prerequisite}",
    )
