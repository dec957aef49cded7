"""Why a work package may not be claimed: one exact reason for every closed gate on its incoming edges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from kitty_flow.flow.edge_gates import Edge, Reason, ask, closed
from kitty_flow.flow.lease import Now, now, shown_s
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.policy.retry import retry_wait
from kitty_flow.flow.standing import ACTIVE, FINISHED, has_no_head, is_finished, is_noted_integrated, is_under_review
from kitty_flow.graph.ownership import Owners
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.machines.edge_kinds import EdgeKind, work_package_edges

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
        return tuple(i for i in ids if self._mission.work_package(i, self._view).state in ACTIVE)

    @cached_property
    def _now(self) -> Now:
        return now()

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
        if is_under_review(entity, self._view):
            return entity.facts.get("review_place") != "none"  # a person looks at the commits, not at the worktree
        return entity.state in ("claimed", "in_progress")

    def is_reviewed(self, work_package_id: str) -> bool:
        """Whether a reviewer holds the work package now."""
        return is_under_review(self._mission.work_package(work_package_id, self._view), self._view)

    def unsatisfied(self, work_package_id: str) -> tuple[str, ...]:
        """The prerequisites that are not approved and integrated yet.

        Which gates that takes depends on the kind of the edge: a canceled prerequisite stops a declared dependent, but
        not one that was only ordered because of shared files.
        """
        return tuple(e.other.entity_id for e in self._prerequisites(work_package_id) if any(self._closed(e)))

    def active_conflicts(self, work_package_id: str) -> tuple[str, ...]:
        """Work packages that somebody works on and that may not be worked on at the same time as this one.

        Either their owned files can overlap, or they are in the same execution lane, which has only one worktree.
        """
        return tuple(e.other.entity_id for e in self._neighbours(work_package_id) if any(self._closed(e)))

    def answers(self, work_package_id: str) -> Iterator[tuple[Edge, str, Reason | None]]:
        """Every edge that counts now with every gate on it, and what closes the gate; None for an open one.

        Edges of the kinds lane and overlap count while the work package at the other end is active.
        """
        for edge in self._edges(work_package_id):
            for gate in self._kinds[edge.kind].gates:
                yield edge, gate, ask(gate, edge)

    @cached_property
    def _kinds(self) -> Mapping[str, EdgeKind]:
        return work_package_edges().kinds

    def _closed(self, edge: Edge) -> Iterator[Reason]:
        return closed(self._kinds[edge.kind].gates, edge)

    def _edges(self, work_package_id: str) -> Iterator[Edge]:
        yield from self._prerequisites(work_package_id)
        yield from self._neighbours(work_package_id)

    def _prerequisites(self, work_package_id: str) -> Iterator[Edge]:
        mission = self._mission
        declared = mission.definition.work_package(work_package_id).dependencies
        for other in mission.plan.prerequisites(work_package_id):
            kind = "declared" if other in declared else "conflict"
            yield Edge(mission, kind, work_package_id, mission.work_package(other, self._view))

    def _neighbours(self, work_package_id: str) -> Iterator[Edge]:
        mission = self._mission
        sharing = self._owners.overlapping(mission.definition.work_package(work_package_id).owned_files)
        for other in self._active:
            if other == work_package_id:
                continue
            if self._same_lane(other, work_package_id):
                yield Edge(mission, "lane", work_package_id, mission.work_package(other, self._view))
            elif other in sharing:
                yield Edge(mission, "overlap", work_package_id, mission.work_package(other, self._view))

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
        if entity.state in ("for_review", "in_review") and not self.is_reviewed(work_package_id):
            yield _for_review(mission, entity, self.lane_users(work_package_id))
        elif entity.state != "planned":
            yield _not_planned(mission, work_package_id, entity)
        elif state not in ("planned", "running"):
            hint = f"kitty-flow mission show {mission.slug}"
            yield Reason(work_package_id, "MISSION_NOT_RUNNING", f"the mission is {state}", hint)
        else:
            for edge in self._edges(work_package_id):
                yield from self._closed(edge)
            if (wait_s := retry_wait(entity, self._now)) > 0:
                yield _later(mission, entity, wait_s)


def _later(mission: OpenMission, entity: EntityState, wait_s: float) -> Reason:
    facts, name = entity.facts, entity.entity_id
    message = (
        f"{name} waits {shown_s(wait_s)} for retry {facts.get('retry')}: "
        f"{facts.get('agent')} failed with {facts.get('failure_code')}"
    )
    return Reason(name, "RETRY_LATER", message, f"kitty-flow wp show {name}{mission.option}")


def _for_review(mission: OpenMission, entity: EntityState, in_the_way: tuple[str, ...]) -> Reason:
    name = entity.entity_id
    if in_the_way:
        other, lane = in_the_way[0], mission.plan.placements[name].execution_lane
        message = f"{name} is to be reviewed in {lane}, where {other} is being worked on"
        return Reason(name, "NOT_PLANNED", message, f"kitty-flow wp show {other}{mission.option}")
    who = entity.facts.get("implementer")
    message, command = f"{name} waits for a reviewer", f"kitty-flow wp show {name}{mission.option}"
    if who and not mission.project.allows_self_review:
        message += f"; {who} implemented it, so somebody else"
    if not has_no_head(entity):  # imported: there is nothing that an agent could look at
        ask = f"kitty-flow next --agent NAME --role review{mission.option}"
        command = f"{ask}, or kitty-flow wp review {name}{mission.option}"
    return Reason(name, "NOT_PLANNED", message, command)


def _not_planned(mission: OpenMission, work_package_id: str, entity: EntityState) -> Reason:
    role = {"for_review": "implementer", "in_review": "reviewer"}.get(entity.state, "holder")
    who = entity.facts.get(role) if entity.state in ACTIVE else None
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
