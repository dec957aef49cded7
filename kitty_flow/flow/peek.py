"""What an agent would be told to do next: only looked at, nothing claimed, nothing written."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from kitty_flow.errors import RefusedError
from kitty_flow.flow.base import base_for
from kitty_flow.flow.board import order_of_work
from kitty_flow.flow.lease import lease_reason, leases, next_expiry, now
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.planning_checkout import find_place, main_checkout, wants_checkout
from kitty_flow.flow.policy_reasons import BudgetGate, next_due, pool_reasons
from kitty_flow.flow.provisional import provisional
from kitty_flow.flow.readiness import Readiness, Reason, has_no_head, is_under_review, unfinished
from kitty_flow.flow.standing import ACTIVE
from kitty_flow.flow.workspace import describe, in_checkout
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.model.text import is_same_actor

if TYPE_CHECKING:
    from kitty_flow.flow.invocation import Action, Invocation

__all__ = ["Kind", "NextStep", "Role", "choose", "claimed", "held", "nothing", "peek", "step_of"]

Role: TypeAlias = Literal["implement", "review", "any"]
Kind: TypeAlias = Literal["step", "wait", "blocked", "decision_required", "terminal"]

_RETRY_AFTER_S: Final = 30
"""When to ask again, at the latest, where others are at work: what they do is not foreseen."""

_PASSES: Final = ("RETRY_LATER",)
"""Reasons that pass by waiting although nobody is at work. A parked pool is told, but alone it holds up no hand."""


@dataclass(frozen=True)
class NextStep:
    """The answer to "what next": a step with all that is needed to do it, or the reasons why there is none.

    `due_s` is when the first of the reasons passes by itself, in seconds; None when that is not known. Where somebody
    `is_at_work`, or is to review, something may become ready at any time before.
    """

    kind: Kind
    fields: dict[str, Any] = field(default_factory=dict)
    reasons: tuple[Reason, ...] = ()
    due_s: float | None = None
    is_at_work: bool = False

    def as_data(self) -> dict[str, Any]:
        """The JSON shape of `next` (CLI reference)."""
        if self.kind == "step":
            return {"kind": self.kind, **self.fields}
        data: dict[str, Any] = {"kind": self.kind, "reasons": [r.as_data() for r in self.reasons]}
        after = _RETRY_AFTER_S if self.due_s is None else max(1, math.ceil(self.due_s))
        after = min(after, _RETRY_AFTER_S) if self.is_at_work else after
        return data | ({"retry_after_s": after} if self.kind == "wait" else {})


def peek(mission: OpenMission, agent: str, *, role: Role = "implement") -> NextStep:
    """What `next_step` would answer, without claiming, starting or writing anything."""
    if not mission.definition.work_packages:
        from kitty_flow.flow.phase_step import peek_phase

        return peek_phase(mission, agent, role)
    view = mission.view()
    mission = mission.at(view)
    holding = held(mission, agent, view)
    if holding is not None:
        from kitty_flow.flow.prompt_check import refuse_other_prompt  # late: without a step there is no prompt

        refuse_other_prompt(mission, holding)
        return step_of(mission, holding)
    begun = claimed(mission, agent, view)
    found = ("implement", begun.entity_id) if begun is not None else choose(mission, agent, role, view)
    if found is None:
        return nothing(mission, view)
    action, work_package_id = found
    entity = mission.work_package(work_package_id, view)
    lane = mission.plan.placements[work_package_id].execution_lane
    base = entity.facts.get("base_commit")
    if action == "implement":
        tip = mission.project.repository.refs.commit(mission.branch)
        base = base_for(mission, work_package_id, view, tip)[0] if tip else None
    epoch = entity.epoch + (entity.state == "planned")
    place = describe(mission, lane, str(base), work_package_id=work_package_id, epoch=epoch)
    if action == "implement" and wants_checkout(mission, work_package_id):
        here, checkout = find_place(mission, work_package_id, view), main_checkout(mission)
        if here.hindrance is None and checkout is not None:
            base, place = here.base, in_checkout(mission, checkout, here.start)
    fields = {
        "action": action,
        "mission": mission.slug,
        "wp_id": work_package_id,
        "invocation_id": None,
        "epoch": epoch,
        "lease_expires_at": None,
        "worktree": str(place.checkout.path),
        "branch": place.branch.removeprefix("refs/heads/"),
        "base_commit": base,
        "prompt_path": None,
        "result_path": None,
    }
    return NextStep("step", fields)


def held(mission: OpenMission, agent: str, view: LedgerView) -> Invocation | None:
    """The step that the agent took by `next` and has not reported; steps of a run are the run's own.

    Raises:
        RefusedError: WORKTREE_MISSING.
    """
    for work_package in mission.definition.work_packages:
        entity = mission.work_package(work_package.id, view)
        facts = entity.facts
        if entity.state == "in_progress" and facts.get("holder") == agent and not facts.get("run_id"):
            return _rebuilt(mission, entity, str(facts.get("invocation_id")), "implement")
        if is_under_review(entity, view) and facts.get("reviewer") == agent and facts.get("review_place") != "none":
            invocation_id = str(facts.get("review_invocation_id"))
            known = view.entity("invocation", invocation_id)
            if known is not None and not known.last_event.correlation_id:
                return _rebuilt(mission, entity, invocation_id, "review")
    return None


def claimed(mission: OpenMission, agent: str, view: LedgerView) -> EntityState | None:
    """What the agent claimed by `next` without getting to its start: it was killed in between."""
    for name, entity in view.of_type("work_package").items():
        facts = entity.facts
        if name not in mission.definition.by_id:
            continue  # the amendment that had brought it in was superseded
        if entity.state == "claimed" and facts.get("holder") == agent and not facts.get("run_id"):
            return entity
    return None


def _rebuilt(mission: OpenMission, entity: EntityState, invocation_id: str, action: Action) -> Invocation:
    from kitty_flow.flow.invocation import rebuild_invocation  # late: it can also start processes

    invocation = rebuild_invocation(mission, entity.entity_id, invocation_id, action)
    if invocation is None:
        hint = f"kitty-flow wp release {entity.entity_id} --reason TEXT{mission.option}"
        if action == "review":
            hint = f"kitty-flow wp block {entity.entity_id} --reason TEXT{mission.option}; then unblock it"
        message = f"the worktree in which {entity.entity_id} was started is gone"
        raise RefusedError("WORKTREE_MISSING", message, hint=hint)
    return invocation


def choose(mission: OpenMission, agent: str, role: Role, view: LedgerView) -> tuple[Action, str] | None:
    """The most urgent step that nobody holds. Reviews first where both are wanted: they set dependents free."""
    if mission.state(view) not in ("planned", "running"):
        return None
    readiness, budget = Readiness(mission, view), BudgetGate(mission, view)
    ids = sorted((w.id for w in mission.definition.work_packages), key=lambda i: order_of_work(mission, i))
    if role in ("review", "any"):
        for work_package_id in ids:
            entity = mission.work_package(work_package_id, view)
            is_within = budget.reason(work_package_id) is None
            if is_within and _is_reviewable(mission, entity, agent, view, readiness):
                return "review", work_package_id
    if role in ("implement", "any"):
        for work_package_id in ids:
            if readiness.is_ready(work_package_id) and budget.reason(work_package_id) is None:
                return "implement", work_package_id
    return None


def _is_reviewable(
    mission: OpenMission, entity: EntityState, agent: str, view: LedgerView, readiness: Readiness
) -> bool:
    """Submitted, by somebody else (or so the policy allows), with no reviewer at work, and the lane's worktree free."""
    waiting = entity.state in ("for_review", "in_review") and not is_under_review(entity, view)
    waiting = waiting and not has_no_head(entity)  # imported: there is nothing here to look at
    is_own = is_same_actor(str(entity.facts.get("implementer")), agent)
    return waiting and (not is_own or mission.project.allows_self_review) and not readiness.lane_users(entity.entity_id)


def nothing(mission: OpenMission, view: LedgerView) -> NextStep:
    """Why there is no step: exact reasons, and whether waiting helps."""
    left = unfinished(mission, view)
    if mission.state(view) not in ("planned", "running", "accepted") and left:
        reason = Reason(mission.slug, "MISSION_NOT_RUNNING", f"{mission.slug} is {mission.state(view)}", "")
        return NextStep("blocked", reasons=(reason._replace(hint=f"kitty-flow mission show {mission.slug}"),))
    if not left:
        reason = Reason(mission.slug, "NOTHING_LEFT", f"every work package of {mission.slug} is finished", "")
        command = "verify" if mission.state(view) in ("merged", "shipped") else "merge"
        return NextStep("terminal", reasons=(reason._replace(hint=f"kitty-flow {command} {mission.slug}"),))
    readiness, at = Readiness(mission, view), now()
    leased = {entity.entity_id for entity, _ in leases(view)}
    found = {
        i: (lease_reason(mission, mission.work_package(i, view), at),) if i in leased else readiness.hindrances(i)
        for i in left
    }
    budget = BudgetGate(mission, view)
    spent = {i: (*found[i], why) for i in left if i not in leased and (why := budget.reason(i)) is not None}
    found |= spent
    reasons = tuple(r for i, hindrances in found.items() for r in hindrances or (_other_role(mission, i),))
    reasons += pool_reasons(mission, view, at)
    ready = not all(found.values()) or any(r.code in _PASSES for r in reasons)
    active = ready or any(mission.work_package(i, view).state not in ("planned", "blocked") for i in left)
    active = active and len(spent) < len(left)
    due = [s for s in (next_expiry(mission, view), next_due(mission, view, at)) if s is not None]
    at_work = any(mission.work_package(i, view).state in ACTIVE for i in left)
    return NextStep("wait" if active else "blocked", reasons=reasons, due_s=min(due, default=None), is_at_work=at_work)


def _other_role(mission: OpenMission, work_package_id: str) -> Reason:
    message = f"{work_package_id} is ready to be implemented, which was not asked for"
    return Reason(work_package_id, "OTHER_ROLE", message, f"kitty-flow next --agent NAME --role any{mission.option}")


def step_of(mission: OpenMission, invocation: Invocation) -> NextStep:
    """An invocation, whose prompt was checked, as the step that its agent is to do."""
    entity = mission.work_package(invocation.work_package_id)
    return NextStep(
        "step",
        {
            "action": invocation.action,
            "mission": mission.slug,
            "wp_id": invocation.work_package_id,
            "invocation_id": invocation.id,
            "epoch": invocation.epoch,
            "lease_expires_at": entity.facts.get("lease_expires_at"),
            "confirmation": _confirmation(mission, entity),
            "worktree": str(invocation.workspace.checkout.path),
            "branch": invocation.workspace.branch.removeprefix("refs/heads/"),
            "base_commit": invocation.base_commit,
            "prompt_path": str(invocation.prompt_path),
            "result_path": str(invocation.result_path),
            "environment": dict(invocation.workspace.env),
        },
    )


def _confirmation(mission: OpenMission, entity: EntityState) -> str | None:
    """Whether the remote has the claim; None where no remote is to confirm claims."""
    if not entity.facts.get("confirm_at"):
        return None
    return "provisional" if entity.entity_id in provisional(mission, mission.view()) else "confirmed"
