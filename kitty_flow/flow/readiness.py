"""Why a work package may not be claimed: one exact reason for every closed gate on its incoming edges."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from kitty_flow.flow.mission import OpenMission
from kitty_flow.graph.ownership import patterns_overlap
from kitty_flow.ledger.view import EntityState, LedgerView

__all__ = [
    "FINISHED",
    "Reason",
    "active_conflicts",
    "has_no_head",
    "hindrances",
    "is_finished",
    "is_noted_integrated",
    "is_under_review",
    "lane_users",
    "unsatisfied",
]

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


def has_no_head(entity: EntityState) -> bool:
    """Whether no commit is on record: nothing was submitted yet, or the work was done elsewhere (imported history)."""
    return entity.facts.get("head_commit") is None


def is_noted_integrated(entity: EntityState) -> bool:
    """Whether the ledger says that the submitted head was brought into the mission branch."""
    head = entity.facts.get("head_commit")
    return head is not None and entity.facts.get("integrated_head") == head


def is_finished(entity: EntityState) -> bool:
    """Whether nothing more is to be done before the merge: done, canceled, or approved and integrated."""
    return entity.state in FINISHED and (entity.state != "approved" or is_noted_integrated(entity))


def is_under_review(entity: EntityState, view: LedgerView) -> bool:
    """Whether a reviewer holds the work package: its review has begun and nobody has closed it."""
    known = view.entity("invocation", str(entity.facts.get("review_invocation_id")))
    return entity.state == "in_review" and known is not None and known.state == "started"


def lane_users(mission: OpenMission, work_package_id: str, view: LedgerView) -> tuple[str, ...]:
    """Other work packages whose agent or reviewer uses the worktree of this one's execution lane now."""
    return tuple(
        w.id
        for w in mission.definition.work_packages
        if w.id != work_package_id
        and _same_lane(mission, w.id, work_package_id)
        and _uses_worktree(mission.work_package(w.id, view), view)
    )


def _uses_worktree(entity: EntityState, view: LedgerView) -> bool:
    return entity.state in ("claimed", "in_progress") or is_under_review(entity, view)


def unsatisfied(mission: OpenMission, work_package_id: str, view: LedgerView) -> tuple[str, ...]:
    """The prerequisites that are not approved and integrated yet.

    A canceled prerequisite stops a declared dependent; one that was only ordered because of shared files does not.
    """
    declared = set(mission.definition.work_package(work_package_id).dependencies)
    entities = {p: mission.work_package(p, view) for p in mission.plan.prerequisites(work_package_id)}
    return tuple(
        p for p, entity in entities.items() if not is_finished(entity) or (entity.state == "canceled" and p in declared)
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
        return (_not_planned(mission, work_package_id, entity),)
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
    return Reason(work_package_id, code, message, f"kitty-flow wp show {other}{mission.option}")


def _not_planned(mission: OpenMission, work_package_id: str, entity: EntityState) -> Reason:
    role = {"for_review": "implementer", "in_review": "reviewer"}.get(entity.state, "holder")
    who = entity.facts.get(role) if entity.state in _ACTIVE else None
    by = f" by {who}" if who else ""
    why = f": {entity.last_event.reason}" if entity.last_event.reason else ""
    blocked = entity.state == "blocked"
    verb = f"unblock {work_package_id} --reason TEXT" if blocked else f"show {work_package_id}"
    return Reason(
        work_package_id,
        "BLOCKED" if blocked else "NOT_PLANNED",
        f"{work_package_id} is {entity.state}{by}{why}",
        f"kitty-flow wp {verb}{mission.option}",
    )


def _waits(mission: OpenMission, work_package_id: str, prerequisite: str, view: LedgerView) -> Reason:
    entity = mission.work_package(prerequisite, view)
    declared = prerequisite in mission.definition.work_package(work_package_id).dependencies
    if entity.state == "canceled":
        return Reason(
            work_package_id,
            "DEPENDENCY_CANCELED",
            f"{work_package_id} depends on {prerequisite}, which was canceled and will never be approved",
            f"kitty-flow wp cancel {work_package_id} --reason TEXT{mission.option}",
        )
    waits = " but not integrated yet" if entity.state == "approved" else ""
    because = "depends on" if declared else "shares owned files with and comes after"
    return Reason(
        work_package_id,
        "DEPENDENCIES_NOT_SATISFIED",
        f"{work_package_id} {because} {prerequisite}, which is {entity.state}{waits}",
        f"kitty-flow why {prerequisite}{mission.option}",
    )
