"""Removing the worktrees of a mission that has landed; nothing that goes wrong here takes the landing back."""

from __future__ import annotations

from pathlib import Path

from kitty_flow.errors import KittyFlowError
from kitty_flow.flow.workspace import workspace_path
from kitty_flow.release.candidate import GATE_LANE
from kitty_flow.release.landing import Landing, contains

__all__ = ["tidy"]


def tidy(landing: Landing) -> None:
    """Remove the mission's worktrees whose commit is on the target and that have no unsaved work; remark the others.

    Only a merged mission is tidied: in another one somebody may be at work.
    """
    mission = landing.mission
    if mission.state() not in ("merged", "shipped"):
        return
    for name in (*(lane.id for lane in mission.plan.execution_lanes), GATE_LANE):
        path = workspace_path(mission, name)
        try:
            kept = _remove(landing, path, disposable=name == GATE_LANE)
        except (KittyFlowError, OSError) as error:
            kept = f"it could not be removed ({getattr(error, 'message', error)})"
        if kept is not None:
            landing.remarks.append(f"kept the worktree {path}: {kept}")


def _remove(landing: Landing, path: Path, *, disposable: bool) -> str | None:
    """Remove one worktree; otherwise says why it is still there."""
    mission = landing.mission
    checkout = mission.project.worktrees.at(path)
    if checkout is None:
        return None
    if not disposable:
        target = mission.project.repository.refs.commit(mission.target_ref)
        if not contains(mission, target, checkout.head):
            return "it has commits that did not land"
    if mission.project.worktrees.remove(checkout, disposable=disposable):
        return None
    return "it could not be removed" if disposable or not checkout.changes() else "it has uncommitted changes"
