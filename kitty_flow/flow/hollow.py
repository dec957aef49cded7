"""Hollow approvals: what says in the ledger that nobody else really looked (PEERS, complaint 24)."""

from __future__ import annotations

from typing import NamedTuple

from kitty_flow.flow.mission import OpenMission
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.model.text import is_same_actor

__all__ = ["HollowReason", "hollow", "hollow_approvals"]


class HollowReason(NamedTuple):
    """One reason to doubt an approval: a stable code, and the same in words."""

    code: str
    message: str


def hollow(entity: EntityState) -> tuple[HollowReason, ...]:
    """Why the approval of a work package says little; empty for a sound one, and for what is not approved.

    Only facts count: an approval that was forced, given by the implementer, given without a word or a finding, or given
    by the implementer's own command under another name. A history that was imported says too little to tell.
    """
    if entity.state not in ("approved", "done"):
        return ()
    facts, name = entity.facts, entity.entity_id
    approved_here = facts.get("verdict") == "approved" and facts.get("reviewed_commit") == facts.get("head_commit")
    found = []
    if not approved_here:
        if entity.forced:
            found.append(HollowReason("APPROVAL_FORCED", f"{name} was forced past its review"))
        return tuple(found)
    implementer, reviewer = str(facts.get("implementer", "")), str(facts.get("reviewer", ""))
    if is_same_actor(implementer, reviewer):
        found.append(HollowReason("SELF_REVIEWED", f"{name} was approved by {reviewer}, who made it"))
    if not str(facts.get("review_summary") or "").strip() and not facts.get("review_findings"):
        found.append(HollowReason("APPROVAL_WITHOUT_EVIDENCE", f"{name} was approved by {reviewer} without a word"))
    if not is_same_actor(implementer, reviewer) and facts.get("same_command") is True:
        message = f"{name} was made by {implementer} and approved by {reviewer}, which are the same command"
        found.append(HollowReason("SAME_COMMAND", message))
    return tuple(found)


def hollow_approvals(mission: OpenMission, view: LedgerView) -> tuple[HollowReason, ...]:
    """The same for all work packages of a mission, in the definition's order."""
    entities = (mission.work_package(w.id, view) for w in mission.definition.work_packages)
    return tuple(reason for entity in entities for reason in hollow(entity))
