"""The beginning of an attempt: its base, its worktree, its prompt, and the start on record."""

from __future__ import annotations

from typing import Any

from kitty_flow.agents.command import AgentSpec
from kitty_flow.flow.base import base_for, contains_prerequisites
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.claim import Claim
from kitty_flow.flow.invocation import Invocation, prepare_invocation
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.planning_checkout import main_checkout, reserve, wants_checkout
from kitty_flow.flow.run_context import RunContext
from kitty_flow.flow.withdrawal import withdraw_rejected
from kitty_flow.flow.workspace import Workspace, in_checkout, prepare
from kitty_flow.flow.workspace_ports import claim_ports
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.machines import Facts

__all__ = ["start"]


def start(mission: OpenMission, held: Claim, agent: AgentSpec, run: RunContext | None = None) -> Invocation:
    """Begin a claimed work package: worktree at its base, prompt, and the start on record together with its invocation.

    Raises:
        RefusedError: STALE_EPOCH or WORKSPACE_NOT_READY.
        ExternalToolError: the worktree cannot be made.
        InterruptedRunError: INTERRUPTED, the run is being stopped.
    """
    view = mission.view()
    work_package_id, epoch = held.work_package_id, held.epoch
    entity = mission.work_package(work_package_id, view)
    base, commit, workspace, elsewhere = _place(mission, entity, epoch, view, run)
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
        builder = BatchBuilder(view, actor=agent.name, correlation_id=run.id if run is not None else None)
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
            "place_reason": elsewhere,
            "start_commit": commit,
            "invocation_id": invocation.id,
            "attempt": attempt,
        }
        builder.transition("work_package", work_package_id, "start", facts, epoch=epoch, evidence=evidence)
        builder.transition("invocation", invocation.id, "start", facts, epoch=epoch, evidence=invocation.evidence())
        return builder.build()

    mission.ledger.record(build)
    return invocation


def _place(
    mission: OpenMission, entity: EntityState, epoch: int, view: LedgerView, run: RunContext | None
) -> tuple[str, str, Workspace, str | None]:
    """Base, start and workspace of an attempt; for planning work also why it is not done in the main checkout."""
    name, elsewhere = entity.entity_id, None
    if wants_checkout(mission, name):
        withdraw_rejected(mission, entity)
        found = reserve(mission, entity, view)
        elsewhere = found.hindrance
        checkout = main_checkout(mission) if elsewhere is None else None
        if checkout is not None:
            if mission.project.settings.workspace.ports is not None:
                claim_ports(mission.project, checkout.path)
            return found.base, found.start, in_checkout(mission, checkout, found.start), None
    tip = str(mission.project.repository.refs.commit(mission.branch))
    base, commit = base_for(mission, name, view, tip)
    lane = mission.plan.placements[name].execution_lane
    workspace = prepare(mission, lane, commit, work_package_id=name, epoch=epoch, run=run)
    return base, commit, workspace, elsewhere


def _feedback(entity: EntityState) -> dict[str, Any] | None:
    """What the next attempt should know: the last review's findings, and why the last attempt came to nothing."""
    review, failure = entity.facts.get("feedback"), entity.facts.get("last_failure")
    if failure is None:
        return review
    note = f"The attempt before this one came to nothing: {failure}"
    if review is None:
        return {"summary": note, "findings": []}
    return {**review, "summary": f"{review.get('summary', '')}\n\n{note}"}
