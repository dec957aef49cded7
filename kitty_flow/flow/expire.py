"""Taking back what somebody held longer than the lease allows, and fencing off who may still be at work.

The old holder may be a process that nobody here can kill and that goes on writing. So what it left is kept under a
salvage ref, and then comes the event: from then on its epoch is refused, and its worktree is never used again; the
lane gets a fresh one (`workspace.lane_generation`). Only after that its processes on this machine are killed and the
worktree is taken off the lane's branch where it stands. Who is killed in between leaves that to whoever prepares the
lane next. What the old holder still writes is kept when it reports (`flow/late_report.py`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kitty_flow.errors import ConflictError, ExternalToolError, UsageError
from kitty_flow.flow.lease import Now, holder_of, is_foreign, lease_of, leases, now, run_out, shown_s
from kitty_flow.ledger.lock import exclusive

if TYPE_CHECKING:
    from kitty_flow.flow.claim import Claim
    from kitty_flow.flow.mission import OpenMission
    from kitty_flow.git.worktrees import Checkout
    from kitty_flow.ledger.ledger import Batch
    from kitty_flow.ledger.view import EntityState, LedgerView

__all__ = ["EXPIRED", "expire", "expire_due"]

EXPIRED: Final = "LEASE_EXPIRED"
"""The code of an invocation that was abandoned because its lease ran out."""

_ACTOR: Final = "kitty-flow"
_PATIENCE_S: Final = 30.0


class _Left(NamedTuple):
    """What the old holder leaves: lane, worktree, and the salvage ref of what was unsaved in it."""

    lane: str | None
    worktree: Path | None
    checkout: Checkout | None
    salvage_ref: str | None

    def evidence(self, entity: EntityState) -> dict[str, Any]:
        told = {"retired_worktree": None if self.worktree is None else str(self.worktree)}
        if self.lane is None:
            return told
        known = entity.facts.get("retired_lanes") or {}
        return told | {"retired_lanes": {**known, self.lane: known.get(self.lane, 0) + 1}}


def expire_due(mission: OpenMission) -> tuple[str, ...]:
    """Take back every work package and review whose lease has run out; returns their ids.

    For `next` before it chooses, and for a run at its start and while it waits; reading commands only tell.

    Raises:
        As `Ledger.record`.
    """
    view, at = mission.view(), now()
    if all(lease.remaining_s(at) > 0 for _, lease in leases(view)):
        return ()
    path = mission.project.repository.state_dir / "locks" / f"{mission.id}.expire.lock"
    try:
        # Who waits for the same lease wakes at the same moment: one looks through the worktree, the others see it done.
        with exclusive(path, timeout_s=_PATIENCE_S, what="the taking back of claims"):
            due = [entity.entity_id for entity, lease in leases(mission.view()) if lease.remaining_s(at) <= 0]
            return tuple(work_package_id for work_package_id in due if expire(mission, work_package_id))
    except ConflictError as error:
        if error.details.get("lock") != str(path):
            raise
        return ()  # somebody is at it


def expire(mission: OpenMission, work_package_id: str) -> bool:
    """Take back one work package, or the review of it, if its lease has run out; says whether it did.

    A claim that was made in another clone is only taken back when the remote, asked first, knows of no sign of life.

    Raises:
        As `Ledger.record`.
    """
    at = now()
    view = mission.view()
    if not run_out(mission.recorded_work_package(work_package_id, view), view, at):
        return False
    mission = mission.at(view)
    if is_foreign(mission, mission.recorded_work_package(work_package_id, view)):
        if not _asked_elsewhere(mission):
            return False
        view = mission.view()
    entity = mission.recorded_work_package(work_package_id, view)
    if not run_out(entity, view, at):
        return False
    held = _claim_on(entity)
    left = _left(mission, entity, held, view)
    receipt = mission.ledger.record(lambda v: _decide(mission, v, held, left, at))
    if not receipt.events:
        return False  # renewed, given back or taken back by somebody who was faster
    # Only now: a sign of life in the last moment must not find its agent killed.
    if _end_processes(entity, view):
        _left(mission, entity, held, view)  # what they had written by then is kept too
    if left.checkout is not None:
        with suppress(ExternalToolError):  # whoever prepares the lane next does it
            left.checkout.detach()
    elif entity.state == "in_progress" and entity.facts.get("place") == "checkout":
        from kitty_flow.flow.withdrawal import leave_checkout

        leave_checkout(mission, entity)
    return True


def _asked_elsewhere(mission: OpenMission) -> bool:
    """Learn what other clones recorded; False when the remote cannot be reached, or there is none."""
    from kitty_flow.flow.sync.exchange import exchange_ledger

    try:
        exchange_ledger(mission.project, mission.ledger, None)
    except (ExternalToolError, UsageError):
        return False
    return True


def _claim_on(entity: EntityState) -> Claim:
    from kitty_flow.flow.claim import Claim

    review = str(entity.facts.get("review_invocation_id")) if entity.state == "in_review" else None
    return replace(Claim.on(entity), review=review)


def _end_processes(entity: EntityState, view: LedgerView) -> int:
    """Kill what is left of the invocation on this machine; returns how many processes that were."""
    from kitty_flow.agents.group import kill_invocation
    from kitty_flow.flow.give_back import open_invocation

    return kill_invocation(open_invocation(entity, view) or "")


def _left(mission: OpenMission, entity: EntityState, held: Claim, view: LedgerView) -> _Left:
    """Keep what is unsaved in the worktree that the lease was for."""
    from kitty_flow.flow.amend_lanes import lane_on_record
    from kitty_flow.flow.workspace import is_kept, keep, salvage, workspace_path

    name, place = entity.entity_id, entity.facts.get("place")
    label = f"expired-{held.review or entity.epoch}"
    placement = mission.plan.placements.get(name)
    lane = placement.execution_lane if placement else lane_on_record(entity)
    if place == "checkout" and entity.state == "in_progress":
        from kitty_flow.flow.withdrawal import keep_attempt

        return _Left(None, None, None, keep_attempt(mission, entity, label))  # the user's checkout is never retired
    if lane is None or place == "scratch":
        return _Left(None, None, None, None)
    path = workspace_path(mission, lane, view)
    checkout = mission.project.worktrees.at(path)
    if checkout is None or entity.state == "claimed":
        # Nothing was handed out yet; whoever was just preparing it may go on with that, at a path nobody else uses.
        return _Left(lane, path, checkout, None)
    try:
        # Nothing counts as held by the lane's branch, which moves with its next worktree.
        ref = salvage(mission, checkout, work_package_id=name, label=label, held_by="")
    except ExternalToolError:
        ref = None  # the worktree itself is broken; it stays as it is, and nobody uses it again
    # What is only on the lane's branch too: who had committed there may have left it since.
    tip = mission.project.repository.refs.commit(mission.lane_branch(lane))
    if tip is not None and not is_kept(mission, tip):
        branch = keep(mission, tip, work_package_id=name, label=f"{label}-branch")
        ref = ref or branch
    return _Left(lane, path, checkout, ref)


def _decide(mission: OpenMission, view: LedgerView, held: Claim, left: _Left, at: Now) -> Batch:
    from kitty_flow.flow.batch import BatchBuilder
    from kitty_flow.flow.give_back import open_invocation
    from kitty_flow.machines import Facts

    builder = BatchBuilder(view, actor=_ACTOR)
    entity = mission.recorded_work_package(held.work_package_id, view)
    if not (held.counts(entity, view) and run_out(entity, view, at)):
        return builder.build()
    lease = lease_of(entity)
    assert lease is not None
    reason = f"the lease of {holder_of(entity)} ran out, {shown_s(lease.lease_s)} after its last sign of life"
    facts = Facts(actor=_ACTOR, reason=reason, lease_expired=True)
    known = open_invocation(entity, view)
    if known is not None:
        told = {"code": EXPIRED, "salvage_ref": left.salvage_ref, **left.evidence(entity)}
        builder.transition("invocation", known, "abandon", facts, reason=reason, evidence=told)
    if held.review is not None:
        told = {"review_salvage_ref": left.salvage_ref, **left.evidence(entity)}
        builder.annotate("work_package", entity.entity_id, "expire_review", evidence=told, reason=reason)
        return builder.build()
    # As for any loss that is nobody's fault, the attempt is not counted.
    attempts = int(entity.facts.get("attempts_before", 0)) + (entity.state == "in_progress")
    told = {
        "salvage_ref": left.salvage_ref,
        "failure_code": EXPIRED,
        "attempts_before": attempts,
        **left.evidence(entity),
    }
    builder.transition("work_package", entity.entity_id, "expire", facts, reason=reason, evidence=told)
    return builder.build()
