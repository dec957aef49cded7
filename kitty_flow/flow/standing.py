"""How far a work package has come, as one state of the ledger tells."""

from __future__ import annotations

from typing import Final

from kitty_flow.ledger.view import EntityState, LedgerView

__all__ = ["ACTIVE", "FINISHED", "LOOK_AGAIN", "has_no_head", "is_finished", "is_noted_integrated", "is_under_review"]

LOOK_AGAIN: Final = (
    "ALREADY_CLAIMED",
    "ALREADY_UNDER_REVIEW",
    "DEPENDENCIES_NOT_SATISFIED",
    "ILLEGAL_TRANSITION",
    "LANE_BUSY",
    "OWNERSHIP_CONFLICT",
    "STATE_CHANGED",
    "WORK_PACKAGE_DROPPED",
)
"""Refusals of a step that was possible when it was chosen: somebody was faster, or the mission was amended."""

FINISHED: Final = ("approved", "done", "canceled")
"""States in which nothing more is to be done before the merge."""

ACTIVE: Final = ("claimed", "in_progress", "for_review", "in_review")
"""States in which somebody works on it, or has handed it in."""


def has_no_head(entity: EntityState) -> bool:
    """Whether no commit is on record: nothing was submitted yet, or the work was done elsewhere (imported history)."""
    return entity.facts.get("head_commit") is None


def is_noted_integrated(entity: EntityState) -> bool:
    """Whether the ledger says that the submitted head was brought into the mission branch."""
    head = entity.facts.get("head_commit")
    return head is not None and entity.facts.get("integrated_head") == head


def is_finished(entity: EntityState) -> bool:
    """Whether nothing more is to be done before the merge: done, canceled, or approved and integrated."""
    return entity.state in FINISHED and (entity.state != "approved" or is_noted_integrated(entity))


def is_under_review(entity: EntityState, view: LedgerView) -> bool:
    """Whether a reviewer holds the work package: its review has begun and nobody has closed it."""
    if entity.state != "in_review":
        return False
    known = view.entity("invocation", str(entity.facts.get("review_invocation_id")))
    return known is not None and known.state == "started"
