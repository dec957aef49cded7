"""Removing the worktrees of a mission that has landed; nothing that goes wrong here takes the landing back."""

from __future__ import annotations

from kitty_flow.errors import KittyFlowError
from kitty_flow.flow.retention import holds_nothing, kept_until, lane_worktrees
from kitty_flow.flow.tree_test import left_over_gates
from kitty_flow.git.worktrees import Checkout
from kitty_flow.release.landing import Landing, contains

__all__ = ["tidy"]


def tidy(landing: Landing) -> None:
    """Remove the mission's worktrees whose commit is on the target and that have no unsaved work; remark the others.

    Only a merged mission is tidied: in another one somebody may be at work. Those that `keep` of the settings holds
    stay without a word; the disposable ones of the tests always go.
    """
    mission = landing.mission
    if mission.state() not in ("merged", "shipped"):
        return
    for left_over in left_over_gates(mission):
        _tell(landing, left_over, disposable=True)
    for checkout in () if kept_until(mission) else lane_worktrees(mission):
        _tell(landing, checkout, disposable=False)


def _tell(landing: Landing, checkout: Checkout, *, disposable: bool) -> None:
    try:
        kept = _remove(landing, checkout, disposable=disposable)
    except (KittyFlowError, OSError) as error:
        kept = f"it could not be removed ({getattr(error, 'message', error)})"
    if kept is not None:
        landing.remarks.append(f"kept the worktree {checkout.path}: {kept}")


def _remove(landing: Landing, checkout: Checkout, *, disposable: bool) -> str | None:
    """Remove one worktree; otherwise says why it is still there."""
    mission = landing.mission
    if not disposable:
        target = mission.project.repository.refs.commit(mission.target_ref)
        # One that an expired claim left is on no branch of its lane: what it holds was kept under a salvage ref.
        is_retired = checkout.branch is None and holds_nothing(mission, checkout)
        has_landed = contains(mission, target, checkout.head) or (
            # By squash or rebase, what was on the mission branch has landed without its own commits.
            landing.strategy != "merge" and contains(mission, landing.mission_head, checkout.head)
        )
        if not is_retired and not has_landed:
            return "it has commits that did not land"
    if mission.project.worktrees.remove(checkout, disposable=disposable):
        return None
    return "it could not be removed" if disposable or not checkout.changes() else "it has uncommitted changes"
