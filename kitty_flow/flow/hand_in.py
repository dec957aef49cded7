"""One step of the agents' loop at a time: handing in what is held, or a sign of life for it."""

from __future__ import annotations

from typing import Any

from kitty_flow.errors import RefusedError
from kitty_flow.flow.claim import Claim
from kitty_flow.flow.invocation import Invocation
from kitty_flow.flow.late_report import report_command
from kitty_flow.flow.lease import holder_of, lease_of, renew
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.next_step import report
from kitty_flow.flow.peek import held
from kitty_flow.flow.readiness import is_under_review
from kitty_flow.ledger.view import EntityState

__all__ = ["hand_in", "sign_of_life"]


def hand_in(
    mission: OpenMission, work_package_id: str, agent: str, *, epoch: int | None = None, result: str | None = None
) -> str:
    """Submit the work package that `agent` holds and claim nothing else; returns its state.

    Without a `result` file the one that the prompt names counts, and where there is none, what is committed.

    Raises:
        As `report`; RefusedError REVIEW_HELD, the agent reviews it.
    """
    view = mission.view()
    mission.work_package(work_package_id, view)
    holding = held(mission.at(view), agent, view)
    if holding is not None and holding.work_package_id == work_package_id:
        if holding.action == "review":
            raise RefusedError(
                "REVIEW_HELD",
                f"{agent} reviews {work_package_id}; a review ends with a verdict",
                hint=report_command(mission, agent, str(holding.result_path), "review"),
            )
        result = result or _written(holding)
    report(mission, agent, result or "success", epoch=epoch, work_package_id=work_package_id)
    return mission.work_package(work_package_id).state


def _written(holding: Invocation) -> str | None:
    return str(holding.result_path) if holding.result_path.is_file() else None


def sign_of_life(mission: OpenMission, work_package_id: str, agent: str, *, epoch: int | None = None) -> dict[str, Any]:
    """Renew the lease of who holds or reviews the work package; says until when it holds.

    Raises:
        UsageError: UNKNOWN_WORK_PACKAGE.
        RefusedError: STALE_EPOCH, somebody else holds it by now, or nobody; NO_LEASE, it is held without one.
    """
    view = mission.view()
    entity = mission.work_package(work_package_id, view)
    review = str(entity.facts.get("review_invocation_id")) if is_under_review(entity, view) else None
    is_held = review is not None or entity.state in ("claimed", "in_progress")
    if not is_held or holder_of(entity) != agent or epoch not in (None, entity.epoch):
        raise _stale(mission, entity, agent, is_held)
    facts = entity.facts
    claim = Claim(facts.get("claim_id"), work_package_id, agent, entity.epoch, "", review=review)
    lost = renew(mission, [claim])
    now = mission.work_package(work_package_id)
    if lost:
        raise _stale(mission, now, agent, is_held)
    lease = lease_of(now)
    if lease is None:
        hint = f"kitty-flow wp show {work_package_id}{mission.option}"
        raise RefusedError("NO_LEASE", f"{agent} holds {work_package_id} without a lease", hint=hint)
    return {
        "wp_id": work_package_id,
        "agent": agent,
        "epoch": entity.epoch,
        "lease_expires_at": lease.expires_at,
        "lease_s": lease.lease_s,
    }


def _stale(mission: OpenMission, entity: EntityState, agent: str, is_held: bool) -> RefusedError:
    who = f"{holder_of(entity)} holds it with epoch {entity.epoch}" if is_held else f"it is {entity.state}"
    return RefusedError(
        "STALE_EPOCH",
        f"{agent} does not hold {entity.entity_id} under that claim: {who}; no lease was renewed",
        hint=f"kitty-flow next --agent {agent}{mission.option}",
        details={"work_package_id": entity.entity_id, "epoch": entity.epoch, "state": entity.state},
    )
