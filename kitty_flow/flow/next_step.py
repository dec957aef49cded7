"""The agents' loop: report the last step, claim the next one, or learn exactly why there is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.result import read_implement_result, read_review_result
from kitty_flow.errors import ConflictError, KittyFlowError, RefusedError, UsageError
from kitty_flow.flow.board import order_of_work
from kitty_flow.flow.claim import Claim, claim
from kitty_flow.flow.give_back import give_back
from kitty_flow.flow.invocation import Action, Invocation, rebuild_invocation
from kitty_flow.flow.life import accept_if_finished, begin, unfinished
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.provisional import provisional
from kitty_flow.flow.readiness import Reason, has_no_head, hindrances, is_under_review, lane_users
from kitty_flow.flow.review import apply_verdict, begin_review
from kitty_flow.flow.start import base_for, start
from kitty_flow.flow.submission import submit
from kitty_flow.flow.sync.claims import refuse_superseded
from kitty_flow.flow.workspace import workspace_path
from kitty_flow.ledger.ledger import new_ulid
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.model.result import ImplementResult

__all__ = ["NextStep", "Role", "next_step", "peek", "report"]

Role = Literal["implement", "review", "any"]
Kind = Literal["step", "wait", "blocked", "terminal"]

_RETRY_AFTER_S = 30
_TRIES = 20
_LOST = (
    "ALREADY_CLAIMED",
    "ALREADY_UNDER_REVIEW",
    "DEPENDENCIES_NOT_SATISFIED",
    "ILLEGAL_TRANSITION",
    "LANE_BUSY",
    "OWNERSHIP_CONFLICT",
    "STATE_CHANGED",
)
"""Refusals that mean: somebody else was faster, look again."""


@dataclass(frozen=True)
class NextStep:
    """The answer to "what next": a step with all that is needed to do it, or the reasons why there is none."""

    kind: Kind
    fields: dict[str, Any] = field(default_factory=dict)
    reasons: tuple[Reason, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """The JSON shape of `next` (CLI reference)."""
        if self.kind == "step":
            return {"kind": self.kind, **self.fields}
        data: dict[str, Any] = {"kind": self.kind, "reasons": [r.as_data() for r in self.reasons]}
        return data | ({"retry_after_s": _RETRY_AFTER_S} if self.kind == "wait" else {})


def next_step(mission: OpenMission, agent: str, *, role: Role = "implement") -> NextStep:
    """What `agent` is to do now: the step it holds already, else the most urgent one, claimed for it.

    Raises:
        UsageError: TARGET_BRANCH_MISSING.
        RefusedError: MISSION_NOT_RUNNABLE, or WORKTREE_MISSING for a held step.
        ConflictError: CLAIM_LOST, others were faster again and again.
    """
    held = _held(mission, agent)
    if held is not None:
        return _step(mission, held)
    claimed = _claimed(mission, agent)
    if claimed is not None:
        begin(mission, run_id=new_ulid())
        return _step(mission, _start(mission, Claim.on(claimed)))
    for _ in range(_TRIES):
        found = _choose(mission, agent, role)
        if found is None:
            return _nothing(mission)
        try:
            return _step(mission, _take(mission, agent, *found))
        except (RefusedError, ConflictError) as error:
            if error.code not in _LOST:
                raise
    raise ConflictError(
        "CLAIM_LOST", "other agents were faster each time", hint=f"kitty-flow next --agent {agent} -m {mission.slug}"
    )


def _take(mission: OpenMission, agent: str, action: Literal["implement", "review"], work_package_id: str) -> Invocation:
    """Claim and start a step; a claim that cannot be started is given back at once."""
    if action == "review":
        return begin_review(mission, work_package_id, AgentSpec(agent, ()))
    begin(mission, run_id=new_ulid())
    won = claim(mission, work_package_id, actor=agent, lease_s=mission.project.settings.run.lease_s)
    return _start(mission, won)


def _start(mission: OpenMission, held: Claim) -> Invocation:
    try:
        return start(mission, held, AgentSpec(held.actor, ()))
    except KittyFlowError as error:
        give_back(mission, held, None, "RELEASED", error.message)
        raise


def peek(mission: OpenMission, agent: str, *, role: Role = "implement") -> NextStep:
    """The same answer without claiming, starting or writing anything."""
    held = _held(mission, agent)
    if held is not None:
        return _step(mission, held)
    claimed = _claimed(mission, agent)
    found = ("implement", claimed.entity_id) if claimed is not None else _choose(mission, agent, role)
    if found is None:
        return _nothing(mission)
    action, work_package_id = found
    entity = mission.work_package(work_package_id)
    lane = mission.plan.placements[work_package_id].execution_lane
    base = entity.facts.get("base_commit")
    if action == "implement":
        tip = mission.project.repository.refs.commit(mission.branch)
        base = base_for(mission, work_package_id, mission.view())[0] if tip else None
    fields = {
        "action": action,
        "mission": mission.slug,
        "wp_id": work_package_id,
        "invocation_id": None,
        "epoch": entity.epoch + (entity.state == "planned"),
        "lease_expires_at": None,
        "worktree": str(workspace_path(mission, lane)),
        "branch": mission.lane_branch(lane).removeprefix("refs/heads/"),
        "base_commit": base,
        "prompt_path": None,
        "result_path": None,
    }
    return NextStep("step", fields)


def report(mission: OpenMission, agent: str, result: str) -> str:
    """Report how the held step ended: a result file, or ``success``, ``failed``, ``blocked``; returns the WP's id.

    Raises:
        UsageError: NOTHING_HELD, or RESULT_FILE_NEEDED for a review.
        ConflictError: CLAIM_SUPERSEDED, another clone's claim counts.
        RefusedError: the submission or the verdict was refused; the step is still held and can be mended.
    """
    invocation = _held(mission, agent)
    if invocation is None:
        refuse_superseded(mission, agent)
        raise UsageError(
            "NOTHING_HELD", f"{agent} holds no work package of {mission.slug}", hint=f"kitty-flow next --agent {agent}"
        )
    if invocation.action == "review":
        if result in ("success", "failed", "blocked"):
            raise UsageError(
                "RESULT_FILE_NEEDED",
                "a review is reported with a verdict file",
                hint=f"write {invocation.result_path}, then kitty-flow next --agent {agent} --result FILE",
            )
        apply_verdict(mission, invocation, read_review_result(Path(result)))
    else:
        _report_work(mission, invocation, result)
    accept_if_finished(mission, run_id=None)
    return invocation.work_package_id


def _report_work(mission: OpenMission, invocation: Invocation, result: str) -> None:
    if result in ("success", "failed", "blocked"):
        told = ImplementResult.model_validate({"outcome": result})
    else:
        told = read_implement_result(Path(result))
    if told.outcome == "success":
        submit(mission, invocation, told)
        return
    reason = told.reason or told.summary or f"{invocation.agent.name} reports {told.outcome}"
    code = "AGENT_BLOCKED" if told.outcome == "blocked" else "AGENT_REPORTED_FAILURE"
    give_back(
        mission,
        invocation.claim,
        invocation.id,
        code,
        reason,
        then="block" if told.outcome == "blocked" else None,
    )


def _held(mission: OpenMission, agent: str) -> Invocation | None:
    """The step that the agent took by `next` and has not reported; steps of a run are the run's own."""
    view = mission.view()
    for work_package in mission.definition.work_packages:
        entity = mission.work_package(work_package.id, view)
        facts = entity.facts
        if entity.state == "in_progress" and facts.get("holder") == agent and not facts.get("run_id"):
            return _rebuilt(mission, entity, str(facts.get("invocation_id")), "implement")
        if is_under_review(entity, view) and facts.get("reviewer") == agent:
            invocation_id = str(facts.get("review_invocation_id"))
            known = view.entity("invocation", invocation_id)
            if known is not None and not known.last_event.correlation_id:
                return _rebuilt(mission, entity, invocation_id, "review")
    return None


def _claimed(mission: OpenMission, agent: str) -> EntityState | None:
    """What the agent claimed by `next` without getting to its start: it was killed in between."""
    view = mission.view()
    for entity in view.of_type("work_package").values():
        facts = entity.facts
        if entity.state == "claimed" and facts.get("holder") == agent and not facts.get("run_id"):
            return entity
    return None


def _rebuilt(mission: OpenMission, entity: EntityState, invocation_id: str, action: Action) -> Invocation:
    invocation = rebuild_invocation(mission, entity.entity_id, invocation_id, action)
    if invocation is None:
        hint = f"kitty-flow wp release {entity.entity_id} --reason TEXT{mission.option}"
        if action == "review":
            hint = f"kitty-flow wp block {entity.entity_id} --reason TEXT{mission.option}; then unblock it"
        message = f"the worktree in which {entity.entity_id} was started is gone"
        raise RefusedError("WORKTREE_MISSING", message, hint=hint)
    return invocation


def _choose(mission: OpenMission, agent: str, role: Role) -> tuple[Literal["implement", "review"], str] | None:
    """Reviews first where both are wanted: they set dependents free."""
    view = mission.view()
    if mission.state(view) not in ("planned", "running"):
        return None
    ids = sorted((w.id for w in mission.definition.work_packages), key=lambda i: order_of_work(mission, i))
    if role in ("review", "any"):
        for work_package_id in ids:
            if _is_reviewable(mission, work_package_id, agent, view):
                return "review", work_package_id
    if role in ("implement", "any"):
        for work_package_id in ids:
            ready = mission.work_package(work_package_id, view).state == "planned"
            if ready and not hindrances(mission, work_package_id, view):
                return "implement", work_package_id
    return None


def _is_reviewable(mission: OpenMission, work_package_id: str, agent: str, view: LedgerView) -> bool:
    """Submitted, by somebody else, with no reviewer at work, and the lane's worktree free."""
    entity = mission.work_package(work_package_id, view)
    waiting = entity.state in ("for_review", "in_review") and not is_under_review(entity, view)
    waiting = waiting and not has_no_head(entity)  # imported: there is nothing here to look at
    return waiting and entity.facts.get("implementer") != agent and not lane_users(mission, work_package_id, view)


def _nothing(mission: OpenMission) -> NextStep:
    view = mission.view()
    left = unfinished(mission, view)
    if mission.state(view) not in ("planned", "running", "accepted") and left:
        reason = Reason(mission.slug, "MISSION_NOT_RUNNING", f"{mission.slug} is {mission.state(view)}", "")
        return NextStep("blocked", reasons=(reason._replace(hint=f"kitty-flow mission show {mission.slug}"),))
    if not left:
        reason = Reason(mission.slug, "NOTHING_LEFT", f"every work package of {mission.slug} is finished", "")
        command = "verify" if mission.state(view) in ("merged", "shipped") else "merge"
        return NextStep("terminal", reasons=(reason._replace(hint=f"kitty-flow {command} {mission.slug}"),))
    reasons = tuple(r for i in left for r in hindrances(mission, i, view) or (_other_role(mission, i),))
    ready = any(not hindrances(mission, i, view) for i in left)
    active = ready or any(mission.work_package(i, view).state not in ("planned", "blocked") for i in left)
    return NextStep("wait" if active else "blocked", reasons=reasons)


def _other_role(mission: OpenMission, work_package_id: str) -> Reason:
    message = f"{work_package_id} is ready to be implemented, which was not asked for"
    return Reason(work_package_id, "OTHER_ROLE", message, f"kitty-flow next --agent NAME --role any{mission.option}")


def _step(mission: OpenMission, invocation: Invocation) -> NextStep:
    if not invocation.identity_matches:
        raise RefusedError(
            "PROMPT_IDENTITY_MISMATCH",
            "the prompt that was written belongs to something else; nothing was started",
            hint=f"kitty-flow next --agent {invocation.agent.name}",
        )
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
        },
    )


def _confirmation(mission: OpenMission, entity: EntityState) -> str | None:
    """Whether the remote has the claim; None where no remote is to confirm claims."""
    if not entity.facts.get("confirm_at"):
        return None
    return "provisional" if entity.entity_id in provisional(mission, mission.view()) else "confirmed"
