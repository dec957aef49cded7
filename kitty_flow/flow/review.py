"""One review: begin, reviewer process, verdict bound to the head, and what follows from it."""

from __future__ import annotations

import json
from dataclasses import replace

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.process import ProcessOutcome
from kitty_flow.agents.result import read_review_result
from kitty_flow.errors import ConflictError, KittyFlowError, LedgerError
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.claim import Claim, refuse_unless_open
from kitty_flow.flow.integrate import integrate, integration_conflict, refuse_without_head
from kitty_flow.flow.invocation import Invocation, launch, prepare_invocation
from kitty_flow.flow.lease import LEASE_GRACE_S, Lease
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.outcome import AttemptFailure, process_failure, usage
from kitty_flow.flow.readiness import Readiness, is_under_review
from kitty_flow.flow.run_context import RunContext
from kitty_flow.flow.workspace import describe, prepare, workspace_path
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.machines import Facts, decide, machine
from kitty_flow.model.result import ReviewResult

_FEEDBACK_BYTES = 32 * 1024

__all__ = ["apply_verdict", "begin_review", "close_failed", "conclude_review", "review"]


def review(mission: OpenMission, work_package_id: str, agent: AgentSpec, run: RunContext) -> AttemptFailure | None:
    """Have the submitted head reviewed. Afterwards it is approved and integrated, or planned again with feedback.

    A reviewer that fails leaves the work package in_review, to be reviewed again; the failure is returned.

    Raises:
        RefusedError: REVIEWER_IS_IMPLEMENTER or PROMPT_IDENTITY_MISMATCH; nothing was launched.
    """
    invocation = begin_review(mission, work_package_id, agent, run.id)
    try:
        outcome = launch(mission, invocation, run)
    except BaseException:
        close_failed(mission, invocation, "INTERRUPTED", "the run was interrupted", run.id)
        raise
    with run.integrating:
        return conclude_review(mission, invocation, outcome, run_id=run.id)


def begin_review(
    mission: OpenMission,
    work_package_id: str,
    agent: AgentSpec,
    run_id: str | None = None,
    *,
    lease_s: float | None = None,
) -> Invocation:
    """Put the submitted head into the lane's worktree, write the prompt, and record that the review has begun.

    Its lease is for `lease_s` seconds; without that, for as long as the agent may run.

    Raises:
        RefusedError: SELF_REVIEW, PROMPT_IDENTITY_MISMATCH or HEAD_UNKNOWN.
        ConflictError: ALREADY_UNDER_REVIEW, LANE_BUSY or STATE_CHANGED; somebody was faster.
    """
    entity = mission.work_package(work_package_id)
    refuse_without_head(mission, entity)
    facts = entity.facts
    head, base = str(facts.get("head_commit", "")), str(facts.get("base_commit", ""))
    lane = mission.plan.placements[work_package_id].execution_lane
    workspace = describe(mission, lane, head)
    invocation = prepare_invocation(
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

    lease = Lease.grant(agent.timeout_s + LEASE_GRACE_S if lease_s is None else lease_s)

    def build(view: LedgerView) -> Batch:
        now = mission.work_package(work_package_id, view)
        refuse_unless_open(mission, view)
        _refuse_taken(mission, now, head, view)
        if workspace_path(mission, lane, view) != workspace.checkout.path:
            raise ConflictError(
                "STATE_CHANGED",
                f"the worktree of {lane} was retired in the meantime",
                hint=f"kitty-flow wp show {work_package_id}",
            )
        builder = BatchBuilder(view, actor=agent.name, correlation_id=run_id)
        known = Facts(
            actor=agent.name,
            implementer=str(now.facts.get("implementer", "")),
            reviewer=agent.name,
            review_invocation_id=invocation.id,
            prompt_identity_matches=invocation.identity_matches,
        )
        evidence = {"review_invocation_id": invocation.id, "reviewer": agent.name}
        evidence |= {**lease.evidence(), "lease_for": invocation.id}
        if now.state == "in_review":
            decide(machine("work_package"), "for_review", "begin_review", known)  # the same guards hold
            builder.annotate("work_package", work_package_id, "review_again", evidence=evidence)
        else:
            builder.transition("work_package", work_package_id, "begin_review", known, evidence=evidence)
        builder.transition("invocation", invocation.id, "start", known, evidence=invocation.evidence())
        return builder.build()

    mission.ledger.record(build)
    try:
        # Only now that nobody else can use the lane, its worktree moves.
        prepared = prepare(mission, lane, head, work_package_id=work_package_id, epoch=entity.epoch)
    except KittyFlowError as error:
        close_failed(mission, invocation, error.code, error.message, run_id)
        raise
    return replace(invocation, workspace=prepared)


def _refuse_taken(mission: OpenMission, entity: EntityState, head: str, view: LedgerView) -> None:
    """Only one reviewer at a time, of the head that the prompt names, and nobody else in the lane's worktree."""
    if is_under_review(entity, view):
        who = entity.facts.get("reviewer")
        code, message = "ALREADY_UNDER_REVIEW", f"{entity.entity_id} is being reviewed by {who}"
    elif entity.facts.get("head_commit") != head:
        code, message = "STATE_CHANGED", f"{entity.entity_id} has another head by now"
    elif users := Readiness(mission, view).lane_users(entity.entity_id):
        code, message = "LANE_BUSY", f"{users[0]} uses the worktree of {entity.entity_id}'s execution lane"
    else:
        return
    raise ConflictError(code, message, hint=f"kitty-flow wp show {entity.entity_id}")


def conclude_review(
    mission: OpenMission, invocation: Invocation, outcome: ProcessOutcome | None, *, run_id: str
) -> AttemptFailure | None:
    """Judge a finished review by its verdict file; exit status 0 alone says nothing."""
    failure = process_failure(invocation, outcome)
    if failure is None:
        try:
            result = read_review_result(invocation.result_path)
            apply_verdict(mission, invocation, result, run_id)
            return None
        except LedgerError:
            raise
        except KittyFlowError as error:
            failure = AttemptFailure(error.code, error.message, True)
    close_failed(mission, invocation, failure.code, failure.message, run_id)
    return failure


def apply_verdict(
    mission: OpenMission, invocation: Invocation, result: ReviewResult, run_id: str | None = None
) -> None:
    """Record a verdict: approved and integrated, or planned again with the feedback.

    Raises:
        RefusedError: VERDICT_NOT_BOUND, it is about another commit; FEEDBACK_MISSING.
    """
    entity = mission.work_package(invocation.work_package_id)
    conflict = None
    if result.verdict == "approved":
        conflict = integration_conflict(mission, entity)
    if result.verdict == "approved" and conflict is None:
        _approve(mission, invocation, result, run_id)
        integrate(mission, invocation.work_package_id, run_id=run_id)
    else:
        _send_back(mission, invocation, result, conflict, run_id)


def _approve(mission: OpenMission, invocation: Invocation, result: ReviewResult, run_id: str | None) -> None:
    def build(view: LedgerView) -> Batch:
        entity = mission.work_package(invocation.work_package_id, view)
        _refuse_other_review(entity, invocation)
        builder = BatchBuilder(view, actor=invocation.agent.name, correlation_id=run_id)
        facts = Facts(
            actor=invocation.agent.name,
            verdict=result.verdict,
            reviewed_commit=result.reviewed_commit,
            head_commit=entity.facts.get("head_commit"),
            implementer=str(entity.facts.get("implementer", "")),
            reviewer=invocation.agent.name,
        )
        evidence = {
            "verdict": result.verdict,
            "reviewed_commit": result.reviewed_commit,
            "review_summary": result.summary[:4000],
            "feedback": None,
            "continue_at": None,
        }
        builder.transition("work_package", invocation.work_package_id, "approve", facts, evidence=evidence)
        _complete(builder, invocation, result)
        return builder.build(_review_record(invocation, result))

    mission.ledger.record(build)


def _send_back(
    mission: OpenMission, invocation: Invocation, result: ReviewResult, conflict: str | None, run_id: str | None
) -> None:
    feedback = result.feedback()
    if conflict is not None:
        feedback = {"summary": conflict, "findings": []}

    def build(view: LedgerView) -> Batch:
        entity: EntityState = mission.work_package(invocation.work_package_id, view)
        _refuse_other_review(entity, invocation)
        builder = BatchBuilder(view, actor=invocation.agent.name, correlation_id=run_id)
        facts = Facts(actor=invocation.agent.name, feedback=feedback, requested_state="planned")
        evidence = {
            "verdict": result.verdict,
            "reviewed_commit": result.reviewed_commit,
            "review_cycle_ref": f"review/{invocation.id}.json",
            "feedback": _bounded(feedback),
            "continue_at": entity.facts.get("head_commit") if conflict is None else None,
        }
        reason = str(feedback["summary"])[:2000] or None
        builder.transition(
            "work_package", invocation.work_package_id, "request_changes", facts, reason=reason, evidence=evidence
        )
        _complete(builder, invocation, result)
        return builder.build(_review_record(invocation, result))

    mission.ledger.record(build)


def _refuse_other_review(entity: EntityState, invocation: Invocation) -> None:
    """A verdict counts only from the review that the ledger has on the work package; another clone's may have won."""
    if entity.state == "in_review" and entity.facts.get("review_invocation_id") != invocation.id:
        raise ConflictError(
            "REVIEW_SUPERSEDED",
            f"{entity.entity_id} is being reviewed by {entity.facts.get('reviewer')}: "
            f"the review by {invocation.agent.name} does not count any more",
            hint=f"kitty-flow wp show {entity.entity_id}",
        )


def _bounded(feedback: dict[str, object]) -> dict[str, object]:
    """Feedback that fits into an event; the whole of it is the attachment that `review_cycle_ref` names."""
    findings = feedback.get("findings")
    rows = list(findings)[:40] if isinstance(findings, list) else []
    short = [{k: str(v)[:800] if isinstance(v, str) else v for k, v in row.items()} for row in rows]
    told: dict[str, object] = {"summary": str(feedback.get("summary", ""))[:4000], "findings": short}
    while short and len(json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")) > _FEEDBACK_BYTES:
        short.pop()
    return told


def _review_record(invocation: Invocation, result: ReviewResult) -> dict[str, bytes]:
    return {f"review/{invocation.id}.json": result.model_dump_json(indent=1).encode()}


def _complete(builder: BatchBuilder, invocation: Invocation, result: ReviewResult) -> None:
    facts = Facts(outcome=result.verdict)
    builder.transition("invocation", invocation.id, "complete", facts, evidence=usage(result.verdict, result))


def close_failed(mission: OpenMission, invocation: Invocation, code: str, message: str, run_id: str | None) -> None:
    """Close the invocation of a review that came to nothing; the work package stays in_review."""
    reason = message[:2000]
    trigger = "abandon" if code == "INTERRUPTED" else "fail"

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=invocation.agent.name, correlation_id=run_id)
        if builder.state("invocation", invocation.id) == "started":
            builder.transition(
                "invocation", invocation.id, trigger, Facts(reason=reason), reason=reason, evidence={"code": code}
            )
        return builder.build()

    mission.ledger.record(build)
