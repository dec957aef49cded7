"""What a run can do now: every step that is possible, the most urgent first. A pure decision on one view."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple

from kitty_flow.flow.board import order_of_work
from kitty_flow.flow.lease import now
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.policy.retry import failures_against, retry_wait
from kitty_flow.flow.readiness import Readiness, is_noted_integrated, is_under_review
from kitty_flow.ledger.view import EntityState, LedgerView

__all__ = ["Schedule", "Step", "StepKind", "attempts_exhausted", "attempts_left", "possible_steps"]

Schedule = Literal["waves", "eager"]

StepKind = Literal["integrate", "review", "implement", "give_up", "gate"]

_URGENCY: dict[StepKind, int] = {"integrate": 0, "give_up": 0, "review": 1, "implement": 2}
"""What was begun is finished before anything else is begun."""


class Step(NamedTuple):
    """One thing to be done for one work package. ``give_up`` blocks it: its attempts are used up.

    ``gate`` is done for a whole wave, and for no work package.
    """

    kind: StepKind
    work_package_id: str


def possible_steps(
    mission: OpenMission,
    view: LedgerView,
    *,
    schedule: Schedule = "waves",
    until: int | None = None,
    max_attempts: int,
    has_reviewer: bool,
    busy: Collection[str] = (),
    closed: Collection[str] = (),
) -> list[Step]:
    """Every step that can be begun now, the most urgent first.

    Args:
        until: the last wave to be driven.
        busy: the work packages that this run is at work on.
        closed: work packages on which this run does nothing any more.
    """
    mission = mission.at(view)
    if mission.state(view) != "running":
        return []
    readiness = Readiness(mission, view)
    placements, at = mission.plan.placements, now()
    lanes = {placements[i].execution_lane for i in busy if i in placements}
    found: list[Step] = []
    occupied = {placements[i].wave for i in busy if i in placements}
    for work_package in mission.definition.work_packages:
        name = work_package.id
        placement, entity = placements[name], mission.work_package(name, view)
        waits = entity.state == "planned" and name not in closed and retry_wait(entity, at) > 0
        if waits or entity.state in ("claimed", "in_progress") or is_under_review(entity, view):
            occupied.add(placement.wave)
        if name in busy or name in closed or (until is not None and placement.wave > until):
            continue
        kind = _kind(entity, view, readiness, max_attempts, has_reviewer)
        # A lane has one worktree: what waits for it is possible again when the lane is free.
        is_free = placement.execution_lane not in lanes and not readiness.lane_users(name)
        if kind is not None and (is_free or kind not in ("review", "implement")):
            found.append(Step(kind, name))
    if schedule == "waves" and found:
        occupied.update(placements[step.work_package_id].wave for step in found)
        found = [step for step in found if placements[step.work_package_id].wave == min(occupied)]
    return sorted(found, key=lambda s: (_URGENCY[s.kind], order_of_work(mission, s.work_package_id)))


def _kind(
    entity: EntityState, view: LedgerView, readiness: Readiness, max_attempts: int, has_reviewer: bool
) -> StepKind | None:
    if entity.state == "planned" and readiness.is_ready(entity.entity_id):
        return "implement" if attempts_left(entity, max_attempts) else "give_up"
    if entity.state in ("for_review", "in_review") and has_reviewer and not is_under_review(entity, view):
        return "review" if failures_against(entity, "review") < max_attempts else "give_up"
    if entity.state == "approved" and not is_noted_integrated(entity):
        return "integrate"
    return None


def attempts_left(entity: EntityState, max_attempts: int) -> bool:
    """Whether another attempt is allowed; a person's unblock starts the count again."""
    return entity.counts.get("start", 0) - int(entity.facts.get("attempts_before", 0)) < max_attempts


def attempts_exhausted(entity: EntityState, last: str) -> str:
    """Why a work package is blocked after its last attempt; `last` is what that came to."""
    return f"{entity.counts.get('start', 0)} attempts came to nothing; the last: {last}"
