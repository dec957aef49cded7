"""The beginning of an attempt: its base, its worktree, its prompt, and the start on record."""

from __future__ import annotations

from typing import Any

from kitty_flow.agents.command import AgentSpec
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.claim import Claim
from kitty_flow.flow.invocation import Invocation, prepare_invocation
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.readiness import has_no_head
from kitty_flow.flow.workspace import prepare
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.machines import Facts

__all__ = ["base_for", "contains_prerequisites", "start"]


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
    """Whether `base` contains the heads of all prerequisites (DESIGN section 7, a must).

    Work that was done elsewhere (imported history) has no head to look for; it counts as part of the target.
    """
    history = mission.project.history
    for prerequisite in mission.plan.prerequisites(work_package_id):
        entity = mission.work_package(prerequisite, view)
        head = entity.facts.get("head_commit")
        if entity.state == "done" and has_no_head(entity):
            continue
        if entity.state != "canceled" and not (head and history.is_ancestor(str(head), base)):
            return False
    return True


def start(mission: OpenMission, held: Claim, agent: AgentSpec, run_id: str | None = None) -> Invocation:
    """Begin a claimed work package: worktree at its base, prompt, and the start on record together with its invocation.

    Raises:
        RefusedError: STALE_EPOCH or WORKSPACE_NOT_READY.
        ExternalToolError: the worktree cannot be made.
    """
    view = mission.view()
    work_package_id, epoch = held.work_package_id, held.epoch
    entity = mission.work_package(work_package_id, view)
    base, commit = base_for(mission, work_package_id, view)
    lane = mission.plan.placements[work_package_id].execution_lane
    workspace = prepare(mission, lane, commit, work_package_id=work_package_id, epoch=epoch)
    attempt = entity.counts.get("start", 0) + 1
    invocation = prepare_invocation(
        mission,
        "implement",
        agent,
        held,
        workspace,
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
            current_epoch=held.current_epoch(mission.work_package(work_package_id, view)),
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
