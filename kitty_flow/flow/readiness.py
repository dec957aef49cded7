"""Why a work package may not be claimed: one exact reason for every closed gate on its incoming edges."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final, NamedTuple

from kitty_flow.flow.mission import OpenMission
from kitty_flow.graph.ownership import Owners
from kitty_flow.ledger.view import EntityState, LedgerView

__all__ = [
    "FINISHED",
    "Readiness",
    "Reason",
    "has_no_head",
    "is_finished",
    "is_integrated",
    "is_noted_integrated",
    "is_under_review",
    "unfinished",
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
    if entity.state != "in_review":
        return False
    known = view.entity("invocation", str(entity.facts.get("review_invocation_id")))
    return known is not None and known.state == "started"


def is_integrated(mission: OpenMission, entity: EntityState) -> bool:
    """Whether the submitted head is contained in the mission branch; asked of git, not of the log."""
    head = entity.facts.get("head_commit")
    tip = mission.project.repository.refs.commit(mission.branch)
    return bool(head and tip) and mission.project.history.is_ancestor(str(head), str(tip))


def unfinished(mission: OpenMission, view: LedgerView) -> tuple[str, ...]:
    """Work packages that are neither approved and integrated, nor done, nor canceled."""
    mission = mission.at(view)
    return tuple(w.id for w in mission.definition.work_packages if not is_finished(mission.work_package(w.id, view)))


class Readiness:
    """What stands between the work packages of a mission and their claims, as one view of the ledger has it.

    What all of them share, such as who is at work, is found out once: asking about every work package of a mission
    costs no more than its edges and the pairs of a planned and an active one.
    """

    def __init__(self, mission: OpenMission, view: LedgerView) -> None:
        self._mission = mission.at(view)
        self._view = view

    @cached_property
    def _active(self) -> tuple[str, ...]:
        """What somebody works on or has handed in, in the definition's order."""
        ids = (w.id for w in self._mission.definition.work_packages)
        return tuple(i for i in ids if self._mission.work_package(i, self._view).state in _ACTIVE)

    @cached_property
    def _owners(self) -> Owners:
        definition = self._mission.definition
        return Owners({i: definition.work_package(i).owned_files for i in self._active})

    def lane_users(self, work_package_id: str) -> tuple[str, ...]:
        """Other work packages whose agent or reviewer uses the worktree of this one's execution lane now."""
        return tuple(
            i
            for i in self._active
            if i != work_package_id and self._same_lane(i, work_package_id) and self._uses_worktree(i)
        )

    def _uses_worktree(self, work_package_id: str) -> bool:
        entity = self._mission.work_package(work_package_id, self._view)
        return entity.state in ("claimed", "in_progress") or is_under_review(entity, self._view)

    def unsatisfied(self, work_package_id: str) -> tuple[str, ...]:
        """The prerequisites that are not approved and integrated yet.

        A canceled prerequisite stops a declared dependent; one that was only ordered because of shared files does not.
        """
        return tuple(self._unsatisfied(work_package_id))

    def _unsatisfied(self, work_package_id: str) -> Iterator[str]:
        declared = self._mission.definition.work_package(work_package_id).dependencies
        for prerequisite in self._mission.plan.prerequisites(work_package_id):
            entity = self._mission.work_package(prerequisite, self._view)
            if not is_finished(entity) or (entity.state == "canceled" and prerequisite in declared):
                yield prerequisite

    def active_conflicts(self, work_package_id: str) -> tuple[str, ...]:
        """Work packages that somebody works on and that may not be worked on at the same time as this one.

        Either their owned files can overlap, or they are in the same execution lane, which has only one worktree.
        """
        sharing = self._owners.overlapping(self._mission.definition.work_package(work_package_id).owned_files)
        return tuple(
            i for i in self._active if i != work_package_id and (i in sharing or self._same_lane(i, work_package_id))
        )

    def _same_lane(self, one: str, other: str) -> bool:
        placements = self._mission.plan.placements
        return placements[one].execution_lane == placements[other].execution_lane

    def hindrances(self, work_package_id: str) -> tuple[Reason, ...]:
        """Every reason why the work package cannot be claimed now; empty when it is ready."""
        return tuple(self._hindrances(work_package_id))

    def is_ready(self, work_package_id: str) -> bool:
        """Whether the work package can be claimed now; the first reason against it ends the search."""
        return next(self._hindrances(work_package_id), None) is None

    def _hindrances(self, work_package_id: str) -> Iterator[Reason]:
        mission = self._mission
        entity = mission.work_package(work_package_id, self._view)
        state = mission.state(self._view)
        if entity.state != "planned":
            yield _not_planned(mission, work_package_id, entity)
        elif state not in ("planned", "running"):
            hint = f"kitty-flow mission show {mission.slug}"
            yield Reason(work_package_id, "MISSION_NOT_RUNNING", f"the mission is {state}", hint)
        else:
            for prerequisite in self._unsatisfied(work_package_id):
                yield _waits(mission, work_package_id, mission.work_package(prerequisite, self._view))
            for other in self.active_conflicts(work_package_id):
                yield self._disturbs(work_package_id, other)

    def _disturbs(self, work_package_id: str, other: str) -> Reason:
        if self._same_lane(work_package_id, other):
            lane = self._mission.plan.placements[other].execution_lane
            code = "LANE_BUSY"
            message = f"{other} is being worked on in {lane}, the execution lane of {work_package_id}"
        else:
            code, message = "OWNERSHIP_CONFLICT", f"{other} is being worked on and owns some of the same files"
        return Reason(work_package_id, code, message, f"kitty-flow wp show {other}{self._mission.option}")


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


def _waits(mission: OpenMission, work_package_id: str, prerequisite: EntityState) -> Reason:
    name = prerequisite.entity_id
    if prerequisite.state == "canceled":
        return Reason(
            work_package_id,
            "DEPENDENCY_CANCELED",
            f"{work_package_id} depends on {name}, which was canceled and will never be approved",
            f"kitty-flow mission amend {mission.slug} --drop-dependency {name}:{work_package_id} --reason TEXT",
        )
    declared = name in mission.definition.work_package(work_package_id).dependencies
    waits = " but not integrated yet" if prerequisite.state == "approved" else ""
    because = "depends on" if declared else "shares owned files with and comes after"
    return Reason(
        work_package_id,
        "DEPENDENCIES_NOT_SATISFIED",
        f"{work_package_id} {because} {name}, which is {prerequisite.state}{waits}",
        f"kitty-flow why {name}{mission.option}",
    )
