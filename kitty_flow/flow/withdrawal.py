"""Taking an attempt in the main checkout back: first everything of it is kept, then the target goes where it was."""

from __future__ import annotations

from contextlib import suppress

from kitty_flow.errors import ExternalToolError
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.planning_checkout import free, main_checkout, take_back
from kitty_flow.flow.standing import is_noted_integrated
from kitty_flow.flow.workspace import keep, salvage
from kitty_flow.ledger.view import EntityState

__all__ = ["keep_attempt", "leave_checkout", "withdraw", "withdraw_rejected"]


def withdraw(mission: OpenMission, entity: EntityState, label: str) -> str | None:
    """Keep and take back an attempt that came to nothing; changes that are not committed stay in the checkout.

    What somebody else may have moved too stays on the target; the next attempt sees that (`find_place`). Returns the
    salvage ref, None when there was nothing to keep.
    """
    kept = keep_attempt(mission, entity, label)
    leave_checkout(mission, entity)
    return kept


def leave_checkout(mission: OpenMission, entity: EntityState) -> None:
    """Take an attempt that was kept back from the target, and give the main checkout free."""
    with suppress(ExternalToolError):  # it cannot be looked at: everything stays as it is
        take_back(mission, entity)
    free(mission, entity.facts.get("claim_id"))


def keep_attempt(mission: OpenMission, entity: EntityState, label: str) -> str | None:
    """Keep the commits and the unsaved changes of an attempt in the main checkout; returns the salvage ref."""
    name, begun = entity.entity_id, str(entity.facts.get("start_commit", ""))
    tip = mission.project.repository.refs.commit(mission.target_ref)
    kept = None
    if tip and tip != begun and mission.project.history.is_ancestor(begun, tip):
        kept = keep(mission, tip, work_package_id=name, label=label)
    checkout = main_checkout(mission)
    if checkout is None:
        return kept
    # Its commits are on the target until they are taken back, and then under `kept`.
    held_by = str(tip if kept else begun)
    with suppress(ExternalToolError):
        kept = salvage(mission, checkout, work_package_id=name, label=label, held_by=held_by) or kept
    return kept


def withdraw_rejected(mission: OpenMission, entity: EntityState) -> None:
    """Take back a submitted head that the next attempt does not continue, because it conflicts with approved work."""
    facts = entity.facts
    head = facts.get("head_commit")
    if facts.get("place") != "checkout" or not head or facts.get("continue_at") or is_noted_integrated(entity):
        return
    if mission.project.repository.refs.commit(mission.target_ref) == head:
        withdraw(mission, entity, f"sent-back-{entity.epoch}")
