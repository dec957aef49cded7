"""The beginning of an attempt: its base, its worktree, its prompt, and the start on record."""

from __future__ import annotations

from typing import Any

from kitty_flow.agents.command import AgentSpec
from kitty_flow.flow.base import base_for, contains_prerequisites
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.claim import Claim
from kitty_flow.flow.invocation import Invocation, prepare_invocation
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.workspace import prepare
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.machines import Facts

__all__ = ["start"]


def start(mission: OpenMission, held: Claim, agent: AgentSpec, run_id: str | None = None) -> Invocation:
    """Begin a claimed work package: worktree at its base, prompt, and the start on record together with its invocation.

    Raises:
        RefusedError: STALE_EPOCH or WORKSPACE_NOT_READY.
        ExternalToolError: the worktree cannot be made.
    """
    view = mission.view()
    work_package_id, epoch = held.work_package_id, held.epoch
    entity = mission.work_package(work_package_id, view)
    tip = str(mission.project.repository.refs.commit(mission.branch))
    base, commit = base_for(mission, work_package_id, view, tip)
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
        evidence = {
            **place,
            "place": workspace.place,
            "start_commit": commit,
            "invocation_id": invocation.id,
            "attempt": attempt,
        }
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
