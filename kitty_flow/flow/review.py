"""One review: begin, reviewer process, verdict bound to the head, and what follows from it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.process import ProcessOutcome
from kitty_flow.agents.result import read_review_result
from kitty_flow.errors import ConflictError, KittyFlowError, LedgerError, RefusedError
from kitty_flow.flow.approval import carry
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.claim import Claim, refuse_unless_open
from kitty_flow.flow.ending import came_to_nothing, only_spent, timed
from kitty_flow.flow.integrate import integration_conflict, refuse_without_head
from kitty_flow.flow.invocation import Invocation, launch, prepare_invocation
from kitty_flow.flow.lease import Lease
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.outcome import AttemptFailure, process_failure
from kitty_flow.flow.policies import Policies
from kitty_flow.flow.policy.follow import Follow, nothing_follows
from kitty_flow.flow.policy.retry import NOT_COUNTED
from kitty_flow.flow.prompt_check import refuse_other_prompt
from kitty_flow.flow.readiness import is_under_review
from kitty_flow.flow.run_context import RunContext
from kitty_flow.flow.verdict import collect_begin, record_carried, record_verdict, refuse_taken
from kitty_flow.flow.workspace import describe, keep, prepare, salvage, workspace_path
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.machines import Facts
from kitty_flow.model.result import ReviewResult

__all__ = [
    "apply_verdict",
    "begin_review",
    "carried_over",
    "close_failed",
    "conclude_review",
    "refuse_tampered",
    "review",
    "review_invocation",
    "take_review",
]


def review(
    mission: OpenMission, work_package_id: str, agent: AgentSpec, run: RunContext, policies: Policies
) -> AttemptFailure | None:
    """Have the submitted head reviewed. Afterwards it is approved and integrated, or planned again with feedback.

    A reviewer that fails leaves the work package in_review, to be reviewed again; the failure is returned. So is the
    reason why a work package is blocked that was sent back too often, and the conflict of one that is approved and
    could not be integrated.

    Raises:
        RefusedError: SELF_REVIEW or REVIEW_PROMPT_METADATA_MISMATCH; nothing was launched.
    """
    try:
        if carried_over(mission, work_package_id, run):
            return None
    except ConflictError as error:
        if error.code != "INTEGRATION_CONFLICT":
            raise
        return AttemptFailure(error.code, error.message, False)  # the step that integrates sends it back
    invocation = begin_review(mission, work_package_id, agent, run)
    try:
        outcome = launch(mission, invocation, run)
    except RefusedError as error:
        close_failed(mission, invocation, error.code, error.message, run.id, error.details)
        raise
    except BaseException:
        stopped = AttemptFailure("INTERRUPTED", "the run was interrupted", False)
        follow = came_to_nothing(mission, policies, invocation, None, None, stopped)[1]
        close_failed(mission, invocation, stopped.code, stopped.message, run.id, follow=follow)
        raise
    with run.integrating:
        return conclude_review(mission, invocation, outcome, policies, run_id=run.id)


def carried_over(mission: OpenMission, work_package_id: str, run: RunContext | None = None) -> bool:
    """Whether the last approval holds for the submitted head too; then it is on record, and no review is needed.

    Raises:
        ConflictError: STATE_CHANGED, look again; INTEGRATION_CONFLICT, approved, but other work came in between.
        InterruptedRunError: INTERRUPTED, the run is being stopped.
    """
    entity = mission.work_package(work_package_id)
    if entity.state != "for_review" or not entity.facts.get("last_review"):
        return False
    carried = carry(mission, entity, run)
    if carried is None:
        return False
    try:
        with nullcontext() if run is None else run.integrating:
            if integration_conflict(mission, entity) is not None:
                return False
            invocation = review_invocation(mission, entity, AgentSpec(carried.approval.reviewer, ()))
            record_carried(mission, invocation, carried, None if run is None else run.id)
    except RefusedError as error:
        if error.code != "SELF_REVIEW":
            raise
        return False
    return True


def take_review(mission: OpenMission, work_package_id: str, agent: AgentSpec, *, lease_s: float) -> Invocation:
    """Begin a review for an agent that asked for one; an approval that holds anyway is recorded first.

    Raises:
        ConflictError: STATE_CHANGED, it is approved by now; and as `begin_review`.
        RefusedError: as `begin_review`.
    """
    if carried_over(mission, work_package_id):
        message = f"the approval of {work_package_id} holds for its new head too"
        raise ConflictError("STATE_CHANGED", message, hint=f"kitty-flow wp show {work_package_id}")
    return begin_review(mission, work_package_id, agent, lease_s=lease_s)


def review_invocation(mission: OpenMission, entity: EntityState, agent: AgentSpec) -> Invocation:
    """A review of the submitted head with its prompt written; nothing is on record yet.

    Raises:
        RefusedError: HEAD_UNKNOWN or PROMPT_REF_NOT_CANONICAL.
        DefinitionError: INVALID_PROMPT_TEMPLATE.
    """
    refuse_without_head(mission, entity)
    work_package_id, facts = entity.entity_id, entity.facts
    head, base = str(facts.get("head_commit", "")), str(facts.get("base_commit", ""))
    lane = mission.plan.placements[work_package_id].execution_lane
    workspace = describe(mission, lane, head, work_package_id=work_package_id, epoch=entity.epoch)
    return prepare_invocation(
        mission,
        "review",
        agent,
        Claim.on(entity),
        workspace,
        attempt=entity.counts.get("start", 0),
        base_commit=base,
        head_commit=head,
        feedback=facts.get("feedback"),
    )


def begin_review(
    mission: OpenMission,
    work_package_id: str,
    agent: AgentSpec,
    run: RunContext | None = None,
    *,
    lease_s: float | None = None,
) -> Invocation:
    """Put the submitted head into the lane's worktree, write the prompt, and record that the review has begun.

    Its lease is for `lease_s` seconds; without that for as long as one of a run, which renews it.

    Raises:
        RefusedError: SELF_REVIEW, REVIEW_PROMPT_METADATA_MISMATCH or HEAD_UNKNOWN.
        ConflictError: ALREADY_UNDER_REVIEW, LANE_BUSY or STATE_CHANGED; somebody was faster.
        InterruptedRunError: INTERRUPTED, the run is being stopped.
    """
    run_id = run.id if run is not None else None
    entity = mission.work_package(work_package_id)
    invocation = review_invocation(mission, entity, agent)
    head, place = invocation.workspace.start, invocation.workspace.checkout.path
    lane = mission.plan.placements[work_package_id].execution_lane
    lease = Lease.grant(mission.project.settings.run.lease_s if lease_s is None else lease_s)

    def build(view: LedgerView) -> Batch:
        now = mission.work_package(work_package_id, view)
        refuse_unless_open(mission, view)
        refuse_taken(mission, now, head, view, needs_worktree=True)
        if invocation.workspace.place == "worktree" and workspace_path(mission, lane, view) != place:
            raise ConflictError(
                "STATE_CHANGED",
                f"the worktree of {lane} was retired in the meantime",
                hint=f"kitty-flow wp show {work_package_id}",
            )
        builder = BatchBuilder(view, actor=agent.name, correlation_id=run_id)
        collect_begin(builder, mission, now, invocation, "worktree", lease=lease)
        return builder.build()

    with invocation.unless_refused():
        mission.ledger.record(build)
    try:
        # Only now that nobody else can use the lane, its worktree moves.
        prepared = prepare(mission, lane, head, work_package_id=work_package_id, epoch=entity.epoch, run=run)
    except KittyFlowError as error:
        close_failed(mission, invocation, error.code, error.message, run_id)
        raise
    begun = replace(invocation, workspace=prepared)
    refuse_tampered(mission, begun, run_id)
    return begun


def refuse_tampered(mission: OpenMission, invocation: Invocation, run_id: str | None = None) -> None:
    """Refuse to hand a review out whose prompt is not its own; its invocation is closed, the work stays reviewable.

    Raises:
        RefusedError: REVIEW_PROMPT_METADATA_MISMATCH or REVIEW_PROMPT_METADATA_MISSING.
    """
    try:
        refuse_other_prompt(mission, invocation)
    except RefusedError as error:
        close_failed(mission, invocation, error.code, error.message, run_id, error.details)
        raise


def conclude_review(
    mission: OpenMission, invocation: Invocation, outcome: ProcessOutcome | None, policies: Policies, *, run_id: str
) -> AttemptFailure | None:
    """Judge a finished review by its verdict file; exit status 0 alone says nothing."""
    invocation = timed(invocation, outcome)
    failure, result = process_failure(invocation, outcome), None
    if failure is None:
        try:
            result = read_review_result(invocation.result_path)
            return apply_verdict(mission, invocation, result, run_id, policies)
        except LedgerError:
            raise
        except KittyFlowError as error:
            failure = AttemptFailure(error.code, error.message, True)
    failure, follow = came_to_nothing(mission, policies, invocation, outcome, result, failure)
    close_failed(mission, invocation, failure.code, failure.message, run_id, follow=follow)
    return failure


def apply_verdict(
    mission: OpenMission,
    invocation: Invocation,
    result: ReviewResult,
    run_id: str | None = None,
    policies: Policies | None = None,
) -> AttemptFailure | None:
    """Record a verdict: approved and integrated, or planned again with the feedback, or blocked after the last cycle.

    What the reviewer changed in the worktree is kept under a salvage ref, and the worktree put right for its next user.
    `policies` say what follows in a run from a verdict that does not count.

    Returns:
        Why the work package is blocked now, if it is.

    Raises:
        ExternalToolError: git failed; nothing is decided, the same report may come again.
        RefusedError: REVIEWER_MOVED_HEAD, the verdict does not count; VERDICT_NOT_BOUND, it is about another commit;
            FEEDBACK_MISSING.
    """
    moved = _put_right(mission, invocation)
    if moved is not None:
        follow = only_spent(invocation, result)
        if policies is not None:
            failure = AttemptFailure(moved.code, moved.message, True)
            follow = came_to_nothing(mission, policies, invocation, None, result, failure)[1]
        close_failed(mission, invocation, moved.code, moved.message, run_id, moved.details, follow=follow)
        raise moved
    return record_verdict(mission, invocation, result, run_id)


def _put_right(mission: OpenMission, invocation: Invocation) -> RefusedError | None:
    """Take back what a reviewer changed; returns why its verdict does not count, if it moved the commit to judge."""
    name, view = invocation.work_package_id, mission.view()
    entity = mission.work_package(name, view)
    is_current = is_under_review(entity, view) and entity.facts.get("review_invocation_id") == invocation.id
    if not is_current or invocation.workspace.place == "scratch":
        return None  # the worktree is somebody else's by now, or there is none
    head, checkout, branch = (
        str(entity.facts.get("head_commit")),
        invocation.workspace.checkout,
        invocation.workspace.branch,
    )
    refs = mission.project.repository.refs
    found: list[str | None] = [refs.unpacked(branch) or refs.commit(branch)]
    ref = None
    if (checkout.path / ".git").exists():  # otherwise the reviewer took the worktree away; it is made anew below
        status = checkout.status()
        found.append(status.head)
        if found == [head, head] and not status.changes:
            return None
        label = f"review-{invocation.id}"
        ref = salvage(mission, checkout, work_package_id=name, label=label, held_by=head)
        if found[0] is not None and found[0] not in (head, found[1]):
            ref = keep(mission, found[0], work_package_id=name, label=label)
    lane = mission.plan.placements[name].execution_lane
    prepare(mission, lane, head, work_package_id=name, epoch=entity.epoch)
    if found == [head, head]:
        return None
    who, kept = invocation.agent.name, f"; it is kept under {ref}" if ref else ""
    return RefusedError(
        "REVIEWER_MOVED_HEAD",
        f"{who} moved the branch that it was to review, so its verdict on {name} does not count{kept}",
        hint=f"kitty-flow next --agent NAME --role review{mission.option}",
        details={"expected": head, "branch_and_head": found, "salvage_ref": ref},
    )


def close_failed(
    mission: OpenMission,
    invocation: Invocation,
    code: str,
    message: str,
    run_id: str | None,
    details: dict[str, Any] | None = None,
    *,
    follow: Follow = nothing_follows,
) -> None:
    """Close the invocation of a review that came to nothing; the work package stays in_review.

    `follow` says what else is recorded with it.
    """
    reason = message[:2000]
    trigger = "abandon" if code in NOT_COUNTED else "fail"
    evidence = {"code": code, **({"details": details} if details else {})}

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=invocation.agent.name, correlation_id=run_id)
        if builder.state("invocation", invocation.id) == "started":
            name = invocation.work_package_id
            told = follow(mission.recorded_work_package(name, view), view)
            facts, used = Facts(reason=reason), {**evidence, **told.used}
            builder.transition("invocation", invocation.id, trigger, facts, reason=reason, evidence=used)
            if told.evidence:
                builder.annotate("work_package", name, "review_failed", evidence=told.evidence, reason=reason)
            for note in told.annotations:
                builder.annotate(*note[:3], evidence=note.evidence, reason=reason)
        return builder.build()

    mission.ledger.record(build)
