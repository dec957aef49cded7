"""What a person does to a work package by hand: block, unblock, release, cancel, reopen, each with a reason."""

from __future__ import annotations

from typing import Any, Literal

from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.give_back import block, give_back
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.review import is_under_review
from kitty_flow.ledger.fold import LedgerView
from kitty_flow.ledger.ledger import Batch, Receipt
from kitty_flow.machines import Facts

__all__ = ["PersonTrigger", "move"]

PersonTrigger = Literal["block", "unblock", "release", "cancel", "reopen"]


def move(mission: OpenMission, work_package_id: str, trigger: PersonTrigger, *, reason: str, actor: str) -> Receipt:
    """Make one transition of a work package on a person's word.

    Unsaved work of a released one is kept under a salvage ref. A reopened one also reopens an accepted mission. An
    unblocked one may be attempted as often as a new one.

    Raises:
        UsageError: UNKNOWN_WORK_PACKAGE.
        RefusedError: ILLEGAL_TRANSITION or REASON_MISSING.
    """
    mission.work_package(work_package_id)
    if trigger == "release":
        mission.ledger.record(lambda view: _decided(mission, view, work_package_id, trigger, reason, actor, dry=True))
        invocation_id = mission.work_package(work_package_id).facts.get("invocation_id")
        receipt = give_back(mission, work_package_id, invocation_id, "RELEASED", reason, actor=actor)
    else:
        receipt = mission.ledger.record(lambda view: _decided(mission, view, work_package_id, trigger, reason, actor))
    return receipt


def _decided(
    mission: OpenMission,
    view: LedgerView,
    work_package_id: str,
    trigger: PersonTrigger,
    reason: str,
    actor: str,
    *,
    dry: bool = False,
) -> Batch:
    """The batch; with `dry` only the decision is made, so that a refusal comes before anything else happens."""
    builder = BatchBuilder(view, actor=actor)
    entity = mission.work_package(work_package_id, view)
    if trigger in ("block", "cancel") and is_under_review(entity, view):
        # Otherwise nobody could review it again once the reviewer is gone.
        review_id = str(entity.facts["review_invocation_id"])
        builder.transition("invocation", review_id, "abandon", Facts(reason=reason), reason=reason)
    if trigger == "block":
        block(builder, work_package_id, reason)
        return builder.build()
    evidence: dict[str, Any] = {}
    if trigger == "unblock":
        evidence = {"attempts_before": entity.counts.get("start", 0)}
    elif trigger == "reopen":
        # The work is done again on top of what is there; why it was not good enough is what the next attempt must know.
        feedback = {"summary": reason, "findings": []}
        evidence = {"feedback": feedback, "continue_at": None, "attempts_before": entity.counts.get("start", 0)}
    facts = Facts(actor=actor, reason=reason, state_before_block=entity.facts.get("state_before_block"))
    builder.transition("work_package", work_package_id, trigger, facts, reason=reason, evidence=evidence)
    if trigger == "reopen" and mission.state(view) == "accepted":
        builder.transition("mission", mission.id, "reopen", facts, reason=reason)
    return Batch(()) if dry else builder.build()
