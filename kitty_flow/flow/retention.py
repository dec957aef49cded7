"""Which worktrees of a mission are over, and which of them may go: clean ones that hold nothing of their own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.workspace import workspace_path
from kitty_flow.git.worktrees import Checkout

__all__ = ["folder_size", "holds_nothing", "is_lane_folder", "kept_until", "lane_worktrees"]

_GENERATION: Final = re.compile(r"\.[0-9]+")


def is_lane_folder(mission: OpenMission, name: str) -> bool:
    """Whether a folder is named like the worktree of an execution lane, also like one that a later one replaced."""
    return any(
        name == lane.id or (name.startswith(lane.id) and _GENERATION.fullmatch(name[len(lane.id) :]))
        for lane in mission.plan.execution_lanes
    )


def lane_worktrees(mission: OpenMission) -> Iterator[Checkout]:
    """The worktrees of the mission's execution lanes, those that were replaced included."""
    if not mission.plan.execution_lanes:
        return
    folder = workspace_path(mission, mission.plan.execution_lanes[0].id).parent
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    for name in names:
        found = mission.project.worktrees.at(folder / name) if is_lane_folder(mission, name) else None
        if found is not None:
            yield found


def holds_nothing(mission: OpenMission, checkout: Checkout) -> bool:
    """Whether a branch, the target or a salvage ref contains the worktree's commit, so that nothing goes with it."""
    if checkout.head is None:
        return False
    places = ("refs/heads/", "refs/kitty/salvage/")
    words = ("--count=1", f"--contains={checkout.head}", "--", *places)
    return bool(mission.project.repository.git.text("for-each-ref", *words))


def kept_until(mission: OpenMission) -> str | None:
    """What keeps the worktrees of a landed mission by the settings: ``always``, or a day; None when nothing does.

    The days are counted from the time in the log by this machine's clock. A clock that jumps makes a worktree go early
    or late, and only one that holds nothing goes at all.
    """
    keep = mission.project.settings.workspace.keep
    if keep == "always":
        return keep
    entity = mission.view().entity("mission", mission.id)
    if not keep or entity is None:
        return None
    try:
        landed = datetime.fromisoformat(entity.last_event.at)
        end = (landed if landed.tzinfo else landed.replace(tzinfo=UTC)) + timedelta(days=keep)
    except (ValueError, OverflowError):
        return None
    return end.date().isoformat() if datetime.now(UTC) < end else None


def folder_size(path: Path) -> int:
    """Bytes of all files below a folder; links are not followed, and what cannot be read counts nothing."""
    total, waiting = 0, [os.fspath(path)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
    return total
