"""Review cycles: how often reviews may send a work package back before a person has to look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitty_flow.ledger.view import EntityState

if TYPE_CHECKING:
    from kitty_flow.agents.settings import ReviewSettings

__all__ = ["cycles_exhausted", "cycles_left", "cycles_used"]


def cycles_used(entity: EntityState) -> int:
    """How often a review sent the work back since its count began; a person's unblock or reopen begins it anew.

    What went back only because it did not merge any more is no cycle: `cycles_before` grows with it.
    """
    return entity.counts.get("request_changes", 0) - int(entity.facts.get("cycles_before", 0))


def cycles_left(entity: EntityState, settings: ReviewSettings) -> int:
    """How often a review may still send the work package back, 0 or more."""
    return max(0, settings.max_cycles - cycles_used(entity))


def cycles_exhausted(used: int, reviewer: str, summary: str) -> str:
    """Why a work package is blocked after its last cycle; the findings themselves are its feedback."""
    times = "a review" if used == 1 else f"{used} reviews"
    said = f": {summary}" if summary.strip() else ""
    return f"REVIEW_CYCLES_EXHAUSTED: {times} sent it back, and no more are allowed; the last, by {reviewer}{said}"
