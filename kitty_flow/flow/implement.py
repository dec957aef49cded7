"""One attempt at a work package: claim, workspace, agent, and the submission of committed work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.process import ProcessOutcome
from kitty_flow.agents.result import read_implement_result
from kitty_flow.errors import ExternalToolError, KittyFlowError, RefusedError
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.claim import claim
from kitty_flow.flow.invocation import Invocation, launch, prepare_invocation
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.workspace import prepare, salvage, workspace_path
from kitty_flow.git.worktrees import Checkout
from kitty_flow.graph.ownership import owns
from kitty_flow.ledger.fold import EntityState, LedgerView
from kitty_flow.ledger.ledger import Batch, Receipt
from kitty_flow.machines import Facts
from kitty_flow.model.mission import WorkPackage
from kitty_flow.model.result import ImplementResult, ReviewResult

__all__ = [
    "AttemptFailure",
    "base_for",
    "block",
    "conclude",
    "contains_prerequisites",
    "give_back",
    "implement",
    "process_failure",
    "start",
    "submit",
    "usage",
]

_LEASE_GRACE_S = 60.0
_NOT_THE_AGENTS_FAULT = ("INTERRUPTED", "RUN_LOST", "RELEASED")


@dataclass(frozen=True)
class AttemptFailure:
    """Why an attempt came to nothing. `by_agent`: the agent failed to do its part, nothing refused the work."""

    code: str
    message: str
    by_agent: bool


def base_for(mission: OpenMission, work_package_id: str, view: LedgerView) -> tuple[str, str]:
    """(base, start) commits of the next attempt.

    Rework continues on the head that was sent back, as long as its base still contains every prerequisite; anything
    else starts at the tip of the mission branch, which contains all approved work.
    """
    entity = mission.work_package(work_package_id, view)
    tip = str(mission.project.repository.refs.commit(mission.branch))
    head, base = entity.facts.get("continue_at"), entity.facts.get("base_commit")
    if head and base and contains_prerequisites(mission, work_package_id, str(base), view):
        return str(base), str(head)
    return tip, tip


def contains_prerequisites(mission: OpenMission, work_package_id: str, base: str, view: LedgerView) -> bool:
    """Whether `base` contains the heads of all prerequisites (DESIGN section 7, a must)."""
    history = mission.project.history
    for prerequisite in mission.plan.prerequisites(work_package_id):
        entity = mission.work_package(prerequisite, view)
        head = entity.facts.get("head_commit")
        if entity.state != "canceled" and not (head and history.is_ancestor(str(head), base)):
            return False
    return True


async def implement(
    mission: OpenMission, work_package_id: str, agent: AgentSpec, *, run_id: str
) -> AttemptFailure | None:
    """Make one attempt. Afterwards the work package is for_review (None is returned), or planned again.

    Raises:
        RefusedError: it could not be claimed.
    """
    lease = agent.timeout_s + _LEASE_GRACE_S
    held = claim(mission, work_package_id, actor=agent.name, lease_s=lease, run_id=run_id)
    try:
        invocation = start(mission, work_package_id, agent, held.epoch, run_id)
    except KittyFlowError as error:
        give_back(mission, work_package_id, None, error.code, error.message, actor=agent.name, run_id=run_id)
        raise
    try:
        outcome = await launch(mission, invocation)
    except BaseException:
        reason = "the run was interrupted"
        give_back(mission, work_package_id, invocation.id, "INTERRUPTED", reason, actor=agent.name, run_id=run_id)
        raise
    return conclude(mission, invocation, outcome, run_id=run_id)


def start(
    mission: OpenMission, work_package_id: str, agent: AgentSpec, epoch: int, run_id: str | None = None
) -> Invocation:
    """Begin a claimed work package: worktree at its base, prompt, and the start on record together with its invocation.

    Raises:
        RefusedError: STALE_EPOCH or WORKSPACE_NOT_READY.
        ExternalToolError: the worktree cannot be made.
    """
    view = mission.view()
    entity = mission.work_package(work_package_id, view)
    base, commit = base_for(mission, work_package_id, view)
    lane = mission.plan.placements[work_package_id].execution_lane
    workspace = prepare(mission, lane, commit, work_package_id=work_package_id, epoch=epoch)
    attempt = entity.counts.get("start", 0) + 1
    invocation = prepare_invocation(
        mission,
        "implement",
        agent,
        work_package_id,
        workspace,
        epoch=epoch,
        attempt=attempt,
        base_commit=base,
        feedback=_feedback(entity),
    )

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=agent.name, correlation_id=run_id)
        place = {"worktree": str(workspace.checkout.path), "branch": workspace.branch, "base_commit": base}
        facts = Facts(
            actor=agent.name,
            epoch=epoch,
            current_epoch=mission.work_package(work_package_id, view).epoch,
            base_contains_dependencies=contains_prerequisites(mission, work_package_id, base, view),
            worktree=place["worktree"],
            branch=workspace.branch,
            base_commit=base,
        )
        evidence = {**place, "start_commit": commit, "invocation_id": invocation.id, "attempt": attempt}
        builder.transition("work_package", work_package_id, "start", facts, epoch=epoch, evidence=evidence)
        builder.transition("invocation", invocation.id, "start", facts, epoch=epoch, evidence=invocation.evidence())
        return builder.build()

    mission.ledger.record(build)
    return invocation


def _feedback(entity: EntityState) -> dict[str, Any] | None:
    """What the next attempt should know: the last review's findings, and why the last attempt came to nothing."""
    review, failure = entity.facts.get("feedback"), entity.facts.get("last_failure")
    if failure is None:
        return review
    note = f"The attempt before this one came to nothing: {failure}"
    if review is None:
        return {"summary": note, "findings": []}
    return {**review, "summary": f"{review.get('summary', '')}\n\n{note}"}


def conclude(
    mission: OpenMission, invocation: Invocation, outcome: ProcessOutcome | None, *, run_id: str
) -> AttemptFailure | None:
    """Judge a finished attempt by its result file and its commits, never by its exit status alone.

    `outcome` is None when the process ended while no runner was watching.
    """
    failure = process_failure(invocation, outcome)
    result: ImplementResult | None = None
    if failure is None:
        try:
            result = read_implement_result(invocation.result_path)
            failure = _reported_failure(result)
        except KittyFlowError as error:
            failure = AttemptFailure(error.code, error.message, True)
    if failure is None and result is not None:
        try:
            submit(mission, invocation, result, run_id=run_id)
            return None
        except RefusedError as error:
            failure = AttemptFailure(error.code, error.message, False)
    assert failure is not None
    give_back(
        mission,
        invocation.work_package_id,
        invocation.id,
        failure.code,
        failure.message,
        actor=invocation.agent.name,
        run_id=run_id,
        blocked=result is not None and result.outcome == "blocked",
    )
    return failure


def process_failure(invocation: Invocation, outcome: ProcessOutcome | None) -> AttemptFailure | None:
    """What went wrong with the process itself, if anything; None also when nobody watched it end."""
    if outcome is None or (outcome.reason == "exited" and outcome.exit_code == 0):
        return None
    words = {
        "timeout": f"ran longer than {invocation.agent.timeout_s:.0f} s and was stopped",
        "stalled": f"printed nothing for {invocation.agent.stall_s:.0f} s and was stopped",
        "not_found": "could not be started",
        "killed": "was killed by a signal",
        "exited": f"ended with status {outcome.exit_code}",
    }
    last = outcome.tail.strip().splitlines()[-1:] or [""]
    said = f"; its last line: {last[0][:200]}" if last[0] else ""
    code = {"timeout": "AGENT_TIMEOUT", "stalled": "AGENT_STALLED"}.get(outcome.reason, "AGENT_FAILED")
    return AttemptFailure(code, f"{invocation.agent.name} {words[outcome.reason]}{said}", True)


def _reported_failure(result: ImplementResult) -> AttemptFailure | None:
    if result.outcome == "success":
        return None
    code = "AGENT_BLOCKED" if result.outcome == "blocked" else "AGENT_REPORTED_FAILURE"
    reason = result.reason or result.summary or "no reason given"
    return AttemptFailure(code, f"the agent reports {result.outcome}: {reason[:500]}", result.outcome == "failed")


def submit(mission: OpenMission, invocation: Invocation, result: ImplementResult, *, run_id: str | None = None) -> None:
    """Record the submission of the worktree's head.

    Raises:
        RefusedError: a guard says no: nothing committed, tree not clean, files outside ownership, open subtasks.
    """
    work_package = mission.definition.work_package(invocation.work_package_id)
    checkout = invocation.workspace.checkout
    head = checkout.git.text("rev-parse", "--verify", "HEAD")
    history, base = mission.project.history, invocation.base_commit
    if not history.is_ancestor(base, head):
        raise RefusedError(
            "HISTORY_REWRITTEN",
            f"the head {head[:12]} of {work_package.id} does not contain the base {base[:12]} that it was started from",
            hint=f"kitty-flow wp show {work_package.id}",
        )
    changed = history.changed_paths(base, head)
    dirty = checkout.changes()

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=invocation.agent.name, correlation_id=run_id)
        facts = Facts(
            actor=invocation.agent.name,
            epoch=invocation.epoch,
            current_epoch=mission.work_package(work_package.id, view).epoch,
            base_commit=base,
            head_commit=head,
            worktree_clean=not dirty,
            out_of_scope_paths=_out_of_scope(work_package, changed),
            open_subtasks=_open_subtasks(work_package, result),
        )
        evidence = {
            "head_commit": head,
            "base_commit": base,
            "changed_files": list(changed[:200]),
            "changed_file_count": len(changed),
            "summary": result.summary[:4000],
            "implementer": invocation.agent.name,
            "subtasks_reported": bool(result.subtasks),
            "last_failure": None,
        }
        builder.transition("work_package", work_package.id, "submit", facts, epoch=invocation.epoch, evidence=evidence)
        builder.transition(
            "invocation",
            invocation.id,
            "complete",
            Facts(outcome=result.outcome),
            epoch=invocation.epoch,
            evidence=usage(result.outcome, result),
        )
        return builder.build()

    mission.ledger.record(build)


def _out_of_scope(work_package: WorkPackage, changed: tuple[str, ...]) -> tuple[str, ...]:
    if not work_package.owned_files:
        return ()
    return tuple(path for path in changed if not owns(work_package.owned_files, path))


def _open_subtasks(work_package: WorkPackage, result: ImplementResult) -> tuple[str, ...]:
    """Declared subtasks that the result does not call done; a result that names none speaks for all of them."""
    if not result.subtasks:
        return ()
    return tuple(s.id for s in work_package.subtasks if result.subtasks.get(s.id, "").lower() != "done")


def usage(outcome: str, result: ImplementResult | ReviewResult) -> dict[str, object]:
    """What an invocation reports of itself, as evidence."""
    return {
        "outcome": outcome,
        "summary": result.summary[:4000],
        "tokens": result.tokens.model_dump(),
        "cost_usd": result.cost_usd,
    }


def give_back(
    mission: OpenMission,
    work_package_id: str,
    invocation_id: str | None,
    code: str,
    message: str,
    *,
    actor: str,
    run_id: str | None = None,
    blocked: bool = False,
) -> Receipt:
    """Return a claimed or started work package to planned, with unsaved work kept; or block it for a person."""
    lane = mission.plan.placements[work_package_id].execution_lane
    ref = _salvaged(mission, work_package_id, lane, invocation_id or "claim")
    reason = message[:2000]

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=actor, correlation_id=run_id)
        if invocation_id and builder.state("invocation", invocation_id) == "started":
            trigger = "abandon" if code == "INTERRUPTED" else "fail"
            facts = Facts(reason=reason)
            builder.transition("invocation", invocation_id, trigger, facts, reason=reason, evidence={"code": code})
        if builder.state("work_package", work_package_id) in ("claimed", "in_progress"):
            told = None if code in _NOT_THE_AGENTS_FAULT else reason
            evidence = {"salvage_ref": ref, "failure_code": code, "last_failure": told}
            facts = Facts(reason=reason)
            builder.transition("work_package", work_package_id, "release", facts, reason=reason, evidence=evidence)
        if blocked:
            block(builder, work_package_id, reason)
        return builder.build()

    return mission.ledger.record(build)


def block(builder: BatchBuilder, work_package_id: str, reason: str) -> None:
    """Collect the blocking of a work package, remembering the state it comes back to."""
    state = builder.state("work_package", work_package_id)
    evidence = {"state_before_block": state}
    builder.transition("work_package", work_package_id, "block", Facts(reason=reason), reason=reason, evidence=evidence)


def _salvaged(mission: OpenMission, work_package_id: str, lane: str, label: str) -> str | None:
    checkout: Checkout | None = mission.project.worktrees.at(workspace_path(mission, lane))
    entity = mission.work_package(work_package_id)
    if checkout is None or entity.state != "in_progress":
        return None  # a claim that was not started has nothing in the worktree
    start_commit = str(entity.facts.get("start_commit", ""))
    try:
        return salvage(mission, checkout, work_package_id=work_package_id, label=label, held_by=start_commit)
    except ExternalToolError:
        # The worktree itself is broken; it stays as it is and is looked at again before it is used again.
        return None
