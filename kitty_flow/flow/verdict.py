"""What a review comes to: its beginning and its verdict on record, bound to the head, and what follows from it."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any, Final, Literal

from kitty_flow.errors import ConflictError
from kitty_flow.flow.approval import Carried, LastReview, task_digest
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.claim import refuse_unless_open
from kitty_flow.flow.cycles import cycles_exhausted, cycles_left, cycles_used
from kitty_flow.flow.give_back import block
from kitty_flow.flow.integrate import integrate, integration_conflict
from kitty_flow.flow.invocation import Invocation
from kitty_flow.flow.lease import Lease
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.outcome import AttemptFailure, usage
from kitty_flow.flow.policy.budget import Spent, added
from kitty_flow.flow.readiness import Readiness, is_under_review
from kitty_flow.flow.spending import spent_in
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.machines import Facts, decide, machine
from kitty_flow.model.result import ReviewResult
from kitty_flow.model.text import is_same_actor

__all__ = ["ReviewPlace", "collect_begin", "record_carried", "record_verdict", "refuse_other_state", "refuse_taken"]

ReviewPlace = Literal["worktree", "none"]
"""Where a review looks: in the lane's worktree, which nobody else uses meanwhile; or, a person, at the commits only."""

_FEEDBACK_BYTES: Final = 32 * 1024
_REMEMBERED_HEADS: Final = 16


def collect_begin(
    builder: BatchBuilder,
    mission: OpenMission,
    entity: EntityState,
    invocation: Invocation,
    place: ReviewPlace,
    *,
    lease: Lease | None = None,
    is_shown: bool = False,
    more: dict[str, Any] | None = None,
) -> None:
    """Collect the beginning of a review: also of one that begins again after a review that came to nothing.

    `lease` is for how long nobody else may review it; a person has no limit. `is_shown` remembers the head as the one
    that this person has looked at; `more` goes to the invocation's record.
    """
    known = _facts(mission, entity, invocation)
    head = entity.facts.get("head_commit")
    evidence: dict[str, Any] = {
        "review_invocation_id": invocation.id,
        "reviewer": invocation.agent.name,
        "review_place": place,
        "self_review": _is_self_review(entity, invocation),
        **({} if lease is None else {**lease.evidence(), "lease_for": invocation.id}),
    }
    if is_shown:
        shown = dict(entity.facts.get("shown_heads") or {}) | {invocation.agent.name: head}
        evidence["shown_heads"] = dict(list(shown.items())[-_REMEMBERED_HEADS:])
    if builder.state("work_package", entity.entity_id) == "in_review":
        decide(machine("work_package"), "for_review", "begin_review", known)  # the same guards hold
        builder.annotate("work_package", entity.entity_id, "review_again", evidence=evidence)
    else:
        builder.transition("work_package", entity.entity_id, "begin_review", known, evidence=evidence)
    told = invocation.evidence() | {"head_commit": head} | (more or {})
    builder.transition("invocation", invocation.id, "start", known, evidence=told)


def record_verdict(
    mission: OpenMission,
    invocation: Invocation,
    result: ReviewResult,
    run_id: str | None = None,
    *,
    begin: bool = False,
) -> AttemptFailure | None:
    """Record a verdict: approved and integrated, or planned again with the feedback; after the last cycle blocked.

    An approval of what does not merge any more sends the work back with the conflict as feedback; it is remembered.

    Args:
        begin: the review begins in the same batch.

    Returns:
        Why the work package is blocked now, if it is.

    Raises:
        RefusedError: VERDICT_NOT_BOUND, it is about another commit; FEEDBACK_MISSING; SELF_REVIEW.
        ConflictError: REVIEW_SUPERSEDED; or, where the review begins only now, STATE_CHANGED or ALREADY_UNDER_REVIEW.
    """
    name = invocation.work_package_id
    conflict = None
    if result.verdict == "approved":
        conflict = integration_conflict(mission, mission.work_package(name))
    blocked: list[str] = []
    spent = spent_in(invocation, result)

    def build(view: LedgerView) -> Batch:
        entity = mission.work_package(name, view)
        builder = BatchBuilder(view, actor=invocation.agent.name, correlation_id=run_id)
        if begin:
            refuse_unless_open(mission, view)
            refuse_other_state(mission, entity)
            refuse_taken(mission, entity, result.reviewed_commit, view, needs_worktree=False)
            collect_begin(builder, mission, entity, invocation, "none")
        else:
            _refuse_other_review(entity, invocation)
        if result.verdict == "approved" and conflict is None:
            _approve(builder, mission, entity, invocation, result, view, spent)
        else:
            blocked[:] = _send_back(builder, mission, entity, invocation, result, conflict, spent)
        facts, told = Facts(outcome=result.verdict), usage(result.verdict, result, spent)
        builder.transition("invocation", invocation.id, "complete", facts, evidence=told)
        return builder.build({f"review/{invocation.id}.json": result.model_dump_json(indent=1).encode()})

    with invocation.unless_refused() if begin else nullcontext():
        mission.ledger.record(build)
    if result.verdict == "approved" and conflict is None:
        integrate(mission, name, run_id=run_id)
    if not blocked:
        return None
    code, _, message = blocked[0].partition(": ")
    return AttemptFailure(code, message, False)


def refuse_other_state(mission: OpenMission, entity: EntityState) -> None:
    """A review begins with work that is handed in, or again where one came to nothing.

    Raises:
        ConflictError: STATE_CHANGED.
    """
    if entity.state not in ("for_review", "in_review"):
        raise ConflictError(
            "STATE_CHANGED",
            f"{entity.entity_id} is {entity.state}, there is nothing to review",
            hint=f"kitty-flow why {entity.entity_id}{mission.option}",
        )


def refuse_taken(
    mission: OpenMission, entity: EntityState, head: str, view: LedgerView, *, needs_worktree: bool
) -> None:
    """Only one reviewer at a time, of the head that the prompt names, and nobody else in the lane's worktree.

    Raises:
        ConflictError: ALREADY_UNDER_REVIEW, STATE_CHANGED or LANE_BUSY.
    """
    if is_under_review(entity, view):
        who = entity.facts.get("reviewer")
        code, message = "ALREADY_UNDER_REVIEW", f"{entity.entity_id} is being reviewed by {who}"
    elif entity.facts.get("head_commit") != head:
        code, message = "STATE_CHANGED", f"{entity.entity_id} has another head by now"
    elif needs_worktree and (users := Readiness(mission, view).lane_users(entity.entity_id)):
        code, message = "LANE_BUSY", f"{users[0]} uses the worktree of {entity.entity_id}'s execution lane"
    else:
        return
    raise ConflictError(code, message, hint=f"kitty-flow wp show {entity.entity_id}")


def _facts(mission: OpenMission, entity: EntityState, invocation: Invocation, **more: Any) -> Facts:
    """What the guards of a review want to know; the policy is asked only where it makes a difference."""
    allowed = _is_self_review(entity, invocation) and mission.project.allows_self_review
    return Facts(
        actor=invocation.agent.name,
        implementer=str(entity.facts.get("implementer", "")),
        reviewer=invocation.agent.name,
        review_invocation_id=invocation.id,
        prompt_identity_matches=invocation.seal is not None and invocation.seal.matches,
        self_review_allowed=allowed,
        **more,
    )


def _is_self_review(entity: EntityState, invocation: Invocation) -> bool:
    return is_same_actor(str(entity.facts.get("implementer", "")), invocation.agent.name)


def _approve(
    builder: BatchBuilder,
    mission: OpenMission,
    entity: EntityState,
    invocation: Invocation,
    result: ReviewResult,
    view: LedgerView,
    spent: Spent,
) -> None:
    head = entity.facts.get("head_commit")
    facts = _facts(
        mission, entity, invocation, verdict=result.verdict, reviewed_commit=result.reviewed_commit, head_commit=head
    )
    both = (str(entity.facts.get("invocation_id")), invocation.id)
    made, judged = (_command(view.entity("invocation", one)) for one in both)
    evidence = {
        "verdict": result.verdict,
        "reviewed_commit": result.reviewed_commit,
        "review_summary": result.summary[:4000],
        "review_findings": len(result.findings),
        "self_review": _is_self_review(entity, invocation),
        "same_command": made is not None and made == judged,
        "last_review": _seen(mission, entity, invocation, result),
        "carried_from": None,
        "feedback": None,
        "continue_at": None,
        **added(entity, spent),
    }
    builder.transition("work_package", invocation.work_package_id, "approve", facts, evidence=evidence)


def _command(invocation: EntityState | None) -> str | None:
    return invocation.facts.get("command_digest") if invocation is not None else None


def _send_back(
    builder: BatchBuilder,
    mission: OpenMission,
    entity: EntityState,
    invocation: Invocation,
    result: ReviewResult,
    conflict: str | None,
    spent: Spent,
) -> list[str]:
    """Collect the return of the work; returns why it is blocked then, if it is."""
    feedback: dict[str, object] = result.feedback() if conflict is None else {"summary": conflict, "findings": []}
    facts = _facts(mission, entity, invocation, feedback=feedback, requested_state="planned")
    evidence = {
        "verdict": result.verdict,
        "reviewed_commit": result.reviewed_commit,
        "review_cycle_ref": f"review/{invocation.id}.json",
        "last_review": _seen(mission, entity, invocation, result),
        "feedback": _bounded(feedback),
        "continue_at": entity.facts.get("head_commit") if conflict is None else None,
        **added(entity, spent),
    }
    if conflict is not None:
        evidence["cycles_before"] = int(entity.facts.get("cycles_before", 0)) + 1
    summary = str(feedback["summary"])
    name = invocation.work_package_id
    builder.transition("work_package", name, "request_changes", facts, reason=summary[:2000] or None, evidence=evidence)
    if conflict is not None or cycles_left(entity, mission.project.settings.review) > 1:
        return []
    why = cycles_exhausted(cycles_used(entity) + 1, invocation.agent.name, _told(result))[:2000]
    block(builder, name, why)
    return [why]


def _told(result: ReviewResult) -> str:
    """The gist of a rejection on one line; all of it is in the feedback."""
    return result.summary.strip() or "; ".join(finding.message for finding in result.findings)


def _seen(
    mission: OpenMission, entity: EntityState, invocation: Invocation, result: ReviewResult
) -> dict[str, str] | None:
    """What this review has seen, for the next one; nothing when the verdict is about another commit."""
    if result.reviewed_commit != entity.facts.get("head_commit"):
        return None
    return LastReview(
        str(entity.facts.get("base_commit")),
        result.reviewed_commit,
        result.verdict,
        invocation.agent.name,
        invocation.id,
        task_digest(mission.definition.work_package(entity.entity_id)),
    ).as_evidence()


def record_carried(mission: OpenMission, invocation: Invocation, carried: Carried, run_id: str | None) -> None:
    """Record that an approval holds for the head that is submitted now, and integrate it.

    Raises:
        RefusedError: SELF_REVIEW, the reviewer of then is the implementer of now.
        ConflictError: STATE_CHANGED, there is another head by now.
    """
    name, seen, test = invocation.work_package_id, carried.approval, carried.test
    head = invocation.workspace.start

    def build(view: LedgerView) -> Batch:
        entity = mission.work_package(name, view)
        if entity.state != "for_review" or entity.facts.get("head_commit") != head:
            refuse_other_state(mission, entity)
            raise ConflictError("STATE_CHANGED", f"{name} has another head by now", hint=f"kitty-flow wp show {name}")
        builder = BatchBuilder(view, actor=invocation.agent.name, correlation_id=run_id)
        collect_begin(builder, mission, entity, invocation, "none", more={"carried_from": seen.head})
        facts = _facts(mission, entity, invocation, verdict="approved", reviewed_commit=head, head_commit=head)
        summary = (
            f"the same changes as {seen.head[:12]}, which {seen.reviewer} approved; the tests pass on the new base"
        )
        evidence = {
            "verdict": "approved",
            "reviewed_commit": head,
            "carried_from": seen.head,
            "carried_review": seen.invocation_id,
            "test_duration_ms": round(test.outcome.duration_s * 1000),
            "test_log": str(test.log_path),
            "review_summary": summary,
            "last_review": seen._replace(base=str(entity.facts.get("base_commit")), head=head).as_evidence(),
            "feedback": None,
            "continue_at": None,
        }
        builder.transition("work_package", name, "approve", facts, evidence=evidence)
        builder.transition(
            "invocation",
            invocation.id,
            "complete",
            Facts(outcome="approved"),
            evidence={"outcome": "approved", "summary": summary},
        )
        return builder.build()

    mission.ledger.record(build)
    integrate(mission, name, run_id=run_id)


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
