"""What a person does to a work package by hand: block, unblock, release, cancel, reopen, force, each with a reason."""

from __future__ import annotations

from typing import Any, Literal

from kitty_flow.errors import RefusedError
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.claim import Claim
from kitty_flow.flow.ending import only_on_record
from kitty_flow.flow.give_back import abandon_invocation, block, cancel, give_back, keep_work, open_invocation
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.readiness import has_no_head, is_noted_integrated
from kitty_flow.ledger.ledger import Batch, Receipt
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.machines import FORCE, Facts

__all__ = ["PersonTrigger", "force", "move"]

PersonTrigger = Literal["block", "unblock", "release", "cancel", "reopen"]


def move(mission: OpenMission, work_package_id: str, trigger: PersonTrigger, *, reason: str, actor: str) -> Receipt:
    """Make one transition of a work package on a person's word.

    An agent of this clone that works on it is ended, and its unsaved work is kept under a salvage ref. A reopened work
    package also reopens an accepted mission. An unblocked one may be attempted as often as a new one. The move that was
    made last is not made twice: a command that was killed before it could tell is typed again.

    Raises:
        UsageError: UNKNOWN_WORK_PACKAGE.
        RefusedError: ILLEGAL_TRANSITION, REASON_MISSING, or WORK_INTEGRATED for a cancel.
    """
    view = mission.view()
    entity = _asked_for(mission, work_package_id, trigger, view)
    last = entity.last_event
    if (last.trigger, last.actor, last.reason) == (trigger, actor, reason[:2000]):
        return _receipt(mission, view, last.event_id)
    # Decided once without recording, so that a refusal comes before anything else happens.
    _decide(mission, view, work_package_id, trigger, reason, actor)
    if trigger not in ("release", "block", "cancel"):
        return mission.ledger.record(lambda v: _decide(mission, v, work_package_id, trigger, reason, actor))
    _end_agent(mission, entity, view)
    if entity.state in ("claimed", "in_progress"):
        then = None if trigger == "release" else trigger
        invocation_id = open_invocation(entity, view)
        receipt = give_back(
            mission,
            Claim.on(entity),
            invocation_id,
            "RELEASED",
            reason,
            actor=actor,
            then=then,
            follow=only_on_record(view.entity("invocation", invocation_id) if invocation_id else None),
        )
        if receipt.events:
            return receipt
        # The run saw its agent end and gave the work back itself, before this was recorded.
        if trigger != "release":
            return move(mission, work_package_id, trigger, reason=reason, actor=actor)
        view = mission.view()
        return _receipt(mission, view, mission.recorded_work_package(work_package_id, view).last_event.event_id)
    return mission.ledger.record(lambda v: _decide(mission, v, work_package_id, trigger, reason, actor))


def force(mission: OpenMission, work_package_id: str, to_state: str, *, reason: str, actor: str) -> Receipt:
    """Put a work package into any state of its machine past all guards; recorded as forced, counted and shown.

    Who holds or reviews it loses it: its agent of this clone is ended, its invocation closed, its unsaved work kept,
    and its epoch fenced off. A force that was made last is not made twice.

    Raises:
        UsageError: UNKNOWN_WORK_PACKAGE.
        RefusedError: ACTOR_MISSING, REASON_MISSING, UNKNOWN_STATE, or ALREADY_THERE.
    """
    view = mission.view()
    entity = mission.recorded_work_package(work_package_id, view)
    last = entity.last_event
    if (last.trigger, last.actor, last.reason, entity.state) == (FORCE, actor, reason[:2000], to_state):
        return _receipt(mission, view, last.event_id)
    _decide_force(mission, view, work_package_id, to_state, reason, actor, None)
    _end_agent(mission, entity, view)
    ref = keep_work(mission, Claim.on(entity), open_invocation(entity, view) or "claim")
    return mission.ledger.record(lambda v: _decide_force(mission, v, work_package_id, to_state, reason, actor, ref))


def _decide_force(
    mission: OpenMission, view: LedgerView, name: str, to_state: str, reason: str, actor: str, ref: str | None
) -> Batch:
    builder = BatchBuilder(view, actor=actor)
    entity = mission.recorded_work_package(name, view)
    if entity.state == to_state:
        hint = f"kitty-flow wp show {name}{mission.option}"
        raise RefusedError("ALREADY_THERE", f"{name} is {to_state} already; nothing was forced", hint=hint)
    evidence: dict[str, Any] = {"attempts_before": entity.counts.get("start", 0)}
    if entity.state in ("claimed", "in_progress"):
        evidence["salvage_ref"] = ref
    if to_state in ("claimed", "in_progress"):
        free = {"invocation_id": None, "run_id": None, "lease_expires_at": None, "lease_s": None, "lease_clock": None}
        evidence |= {"holder": actor, **free}
    evidence["claim_id"] = None  # whoever held it before holds nothing any more, also with the same epoch
    invocation_id = open_invocation(entity, view)
    facts = Facts(actor=actor, reason=reason)
    epoch = entity.epoch + 1
    builder.transition(
        "work_package", name, FORCE, facts, reason=reason, epoch=epoch, evidence=evidence, force_to=to_state
    )
    if invocation_id is not None:
        abandon_invocation(builder, invocation_id, reason)
    return builder.build()


def _asked_for(mission: OpenMission, work_package_id: str, trigger: PersonTrigger, view: LedgerView) -> EntityState:
    """What is in hand may be given back or canceled also when it is not part of the mission any more."""
    if trigger in ("release", "cancel"):
        return mission.recorded_work_package(work_package_id, view)
    return mission.work_package(work_package_id, view)


def _receipt(mission: OpenMission, view: LedgerView, event_id: str) -> Receipt:
    """The proof that an event is in the ledger, for somebody who did not get it when the event was recorded."""
    found = mission.ledger.projection.located(str(view.tip))[0]
    event, path = next(located for located in found if located.event.event_id == event_id)
    return Receipt(view.ref, str(view.tip), (event,), (path,), view)


def _end_agent(mission: OpenMission, entity: EntityState, view: LedgerView) -> None:
    from kitty_flow.agents.group import kill_invocation

    invocation_id = open_invocation(entity, view)
    known = view.entity("invocation", invocation_id) if invocation_id else None
    if known is not None and known.last_event.writer == mission.ledger.store.writer:
        kill_invocation(known.entity_id)


def _decide(
    mission: OpenMission, view: LedgerView, work_package_id: str, trigger: PersonTrigger, reason: str, actor: str
) -> Batch:
    builder = BatchBuilder(view, actor=actor)
    entity = _asked_for(mission, work_package_id, trigger, view)
    invocation_id = open_invocation(entity, view)
    if trigger == "cancel" and entity.state == "approved" and is_noted_integrated(entity):
        raise RefusedError(
            "WORK_INTEGRATED",
            f"the work of {work_package_id} is on the mission branch already and would land all the same",
            hint=f"kitty-flow wp reopen {work_package_id} --reason TEXT, to have it taken back or replaced",
        )
    if trigger in ("block", "cancel") and invocation_id is not None:
        # Otherwise nobody could take it up again once its agent is gone.
        abandon_invocation(builder, invocation_id, reason)
    if trigger == "block":
        block(builder, work_package_id, reason)
    elif trigger == "cancel":
        cancel(builder, work_package_id, reason)
    elif trigger == "reopen" and entity.state in ("for_review", "in_review") and has_no_head(entity):
        # Imported: nobody can review what is not here, and the machine knows no other way back.
        facts = Facts(actor=actor, reason=reason)
        evidence = _evidence(entity, trigger, reason)
        builder.transition(
            "work_package", work_package_id, FORCE, facts, reason=reason, evidence=evidence, force_to="planned"
        )
    else:
        facts = Facts(actor=actor, reason=reason, state_before_block=entity.facts.get("state_before_block"))
        evidence = _evidence(entity, trigger, reason)
        builder.transition("work_package", work_package_id, trigger, facts, reason=reason, evidence=evidence)
        if trigger == "reopen" and mission.state(view) == "accepted":
            builder.transition("mission", mission.id, "reopen", facts, reason=reason)
    return builder.build()


def _evidence(entity: EntityState, trigger: PersonTrigger, reason: str) -> dict[str, Any]:
    """What the next attempt starts from: a reopened one is done again on top of what is there, and must know why."""
    anew = {
        "attempts_before": entity.counts.get("start", 0),
        "cycles_before": entity.counts.get("request_changes", 0),
    }
    if trigger == "reopen":
        # The approval is withdrawn: nothing of it may be carried over to what comes next.
        withdrawn = {"verdict": None, "last_review": None}
        return {"feedback": {"summary": reason, "findings": []}, "continue_at": None, **withdrawn, **anew}
    return anew if trigger == "unblock" else {}
