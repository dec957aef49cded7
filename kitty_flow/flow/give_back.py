"""Giving a work package back, with unsaved work kept; or blocking it for a person."""

from __future__ import annotations

from kitty_flow.errors import ExternalToolError
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.workspace import salvage, workspace_path
from kitty_flow.git.worktrees import Checkout
from kitty_flow.ledger.fold import LedgerView
from kitty_flow.ledger.ledger import Batch, Receipt
from kitty_flow.machines import Facts

__all__ = ["block", "give_back"]

_NOT_THE_AGENTS_FAULT = ("INTERRUPTED", "RUN_LOST", "RELEASED")


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
