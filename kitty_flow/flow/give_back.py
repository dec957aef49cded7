"""Giving a work package back, with unsaved work kept; or taking it out of the way for a person's reason."""

from __future__ import annotations

from typing import Any, Final, Literal

from kitty_flow.errors import ExternalToolError
from kitty_flow.flow.amend_lanes import lane_on_record
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.claim import Claim
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.policy.follow import Follow, nothing_follows
from kitty_flow.flow.policy.retry import NOT_COUNTED
from kitty_flow.flow.withdrawal import withdraw
from kitty_flow.flow.workspace import salvage, workspace_path
from kitty_flow.ledger.ledger import Batch, Receipt
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.machines import Facts

__all__ = ["abandon_invocation", "block", "cancel", "give_back", "keep_work", "open_invocation"]

_HELD: Final = ("claimed", "in_progress")


def give_back(
    mission: OpenMission,
    held: Claim,
    invocation_id: str | None,
    code: str,
    message: str,
    *,
    actor: str | None = None,
    run_id: str | None = None,
    then: Literal["block", "cancel"] | None = None,
    why: str | None = None,
    follow: Follow = nothing_follows,
) -> Receipt:
    """Return a claim: planned again, or blocked or canceled, with unsaved work kept. `actor` is the holder by default.

    `why` is the reason of the block, `message` by default; `follow` says what else is recorded with the end.

    A claim that was fenced off by another one gives nothing back: then only the invocation is closed.
    """
    reason = message[:2000]
    work_package_id = held.work_package_id
    ref = keep_work(mission, held, invocation_id or "claim")

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=actor or held.actor, correlation_id=run_id)
        entity = mission.recorded_work_package(work_package_id, view)
        is_held = held.current_epoch(entity) == held.epoch and entity.state in _HELD
        # Without an id: a start that failed may be on record, when only its way to the disk is uncertain.
        closed = invocation_id or (open_invocation(entity, view) if is_held else None)
        told = follow(entity, view)
        if closed and builder.state("invocation", closed) == "started":
            trigger = "abandon" if code in NOT_COUNTED else "fail"
            facts, used = Facts(reason=reason), {"code": code, **told.used}
            builder.transition("invocation", closed, trigger, facts, reason=reason, evidence=used)
        if is_held:
            counted = _counted(entity, code, reason)
            evidence = {"salvage_ref": ref, "failure_code": code, **counted, **told.evidence}
            facts = Facts(reason=reason)
            builder.transition("work_package", work_package_id, "release", facts, reason=reason, evidence=evidence)
            for note in told.annotations:
                builder.annotate(*note[:3], evidence=note.evidence, reason=reason)
            if then == "block":
                block(builder, work_package_id, (why or message)[:2000])
            elif then == "cancel":
                cancel(builder, work_package_id, reason)
        return builder.build()

    return mission.ledger.record(build)


def _counted(entity: EntityState, code: str, reason: str) -> dict[str, Any]:
    """What the failure means for the next attempt: feedback and one attempt less; or neither."""
    if code not in NOT_COUNTED:
        return {"last_failure": reason}
    started = entity.state == "in_progress"
    return {"attempts_before": int(entity.facts.get("attempts_before", 0)) + started}


def block(builder: BatchBuilder, work_package_id: str, reason: str) -> None:
    """Collect the blocking of a work package, remembering the state it comes back to."""
    evidence = {"state_before_block": builder.state("work_package", work_package_id)}
    builder.transition("work_package", work_package_id, "block", Facts(reason=reason), reason=reason, evidence=evidence)


def cancel(builder: BatchBuilder, work_package_id: str, reason: str) -> None:
    """Collect the canceling of a work package."""
    builder.transition("work_package", work_package_id, "cancel", Facts(reason=reason), reason=reason)


def open_invocation(entity: EntityState, view: LedgerView) -> str | None:
    """The invocation that works on a work package now, or that reviews it; None when there is none."""
    name = {"in_progress": "invocation_id", "in_review": "review_invocation_id"}.get(entity.state)
    known = view.entity("invocation", str(entity.facts.get(name))) if name else None
    return known.entity_id if known is not None and known.state == "started" else None


def abandon_invocation(builder: BatchBuilder, invocation_id: str, reason: str) -> None:
    """Collect the end of an invocation that nobody waits for any more."""
    builder.transition("invocation", invocation_id, "abandon", Facts(reason=reason), reason=reason)


def keep_work(mission: OpenMission, held: Claim, label: str) -> str | None:
    """Keep what the holder left, under a salvage ref; nothing was left before it started.

    In the main checkout the target goes back too, as far as only this attempt moved it.
    """
    entity = mission.recorded_work_package(held.work_package_id)
    if entity.state != "in_progress" or held.current_epoch(entity) != held.epoch:
        return None
    place = entity.facts.get("place")
    if place == "scratch":
        return None
    return withdraw(mission, entity, label) if place == "checkout" else _salvaged(mission, entity, label)


def _salvaged(mission: OpenMission, entity: EntityState, label: str) -> str | None:
    """Keep what was left in the lane's worktree."""
    work_package_id = entity.entity_id
    placement = mission.plan.placements.get(work_package_id)
    lane = placement.execution_lane if placement else lane_on_record(entity)
    if lane is None:
        return None
    checkout = mission.project.worktrees.at(workspace_path(mission, lane))
    if checkout is None:
        return None
    start_commit = str(entity.facts.get("start_commit", ""))
    try:
        return salvage(mission, checkout, work_package_id=work_package_id, label=label, held_by=start_commit)
    except ExternalToolError:
        # The worktree itself is broken; it stays as it is and is looked at again before it is used again.
        return None
