"""The worktree of an execution lane: prepared at a commit, with anything unsaved kept under a salvage ref first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from kitty_flow.errors import ExternalToolError
from kitty_flow.flow.mission import OpenMission
from kitty_flow.git.identity import OWN_IDENTITY, stamp
from kitty_flow.git.objects import CommitText
from kitty_flow.git.refs import ABSENT, RefMovedError
from kitty_flow.git.worktrees import Checkout
from kitty_flow.ledger.view import LedgerView

__all__ = [
    "Workspace",
    "describe",
    "invocation_folder",
    "lane_generation",
    "prepare",
    "salvage",
    "workspace_of",
    "workspace_path",
]


@dataclass(frozen=True)
class Workspace:
    """A worktree that is ready for an attempt: its checkout, the lane's branch (full ref), the commit it starts at."""

    checkout: Checkout
    branch: str
    start: str


def workspace_path(mission: OpenMission, lane_id: str, view: LedgerView | None = None) -> Path:
    """Where the worktree of an execution lane is now: ``lane-a``, and ``lane-a.2`` once the first one was retired."""
    stem = mission.branch.removeprefix("refs/heads/kitty/mission-")
    retired = lane_generation(mission, lane_id, view or mission.view())
    name = f"{lane_id}.{retired + 1}" if retired else lane_id
    return mission.project.workspace_root / "worktrees" / stem / name


def lane_generation(mission: OpenMission, lane_id: str, view: LedgerView) -> int:
    """How many worktrees of the lane were retired: one each time that a lease in it ran out (`flow/expire.py`).

    Who held that lease may be alive and go on writing there, so nobody else ever works at such a path again.
    """
    used = (e for e in view.of_type("work_package").values() if e.facts.get("retired_lane") == lane_id)
    return sum(e.counts.get("expire", 0) + e.counts.get("expire_review", 0) for e in used)


def invocation_folder(mission: OpenMission, invocation_id: str) -> Path:
    """Where prompt, result and log of an invocation are kept; made when it is not there."""
    folder = mission.project.workspace_root / "invocations" / invocation_id
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def prepare(mission: OpenMission, lane_id: str, start: str, *, work_package_id: str, epoch: int) -> Workspace:
    """Put the lane's worktree on its branch at `start`, making it first where needed.

    What an earlier attempt left there unsaved goes under a salvage ref before the worktree moves.

    Raises:
        ExternalToolError: WORKSPACE_TAKEN, something else is at its path; GIT_FAILED.
    """
    path = workspace_path(mission, lane_id)
    worktrees = mission.project.worktrees
    _free_branch(mission, lane_id, path)
    checkout = worktrees.at(path)
    if checkout is None:
        worktrees.clear_unfinished(path)
        if path.exists() and any(path.iterdir()):
            raise ExternalToolError(
                "WORKSPACE_TAKEN",
                f"{path} is not a worktree of this repository, and it is not empty",
                hint="move it away, then run the command again",
            )
        checkout = worktrees.add(path, start)
    else:
        checkout.clear_stale_locks()
        salvage(mission, checkout, work_package_id=work_package_id, label=f"before-{epoch}", held_by=start)
    branch = mission.lane_branch(lane_id)
    checkout.switch(branch.removeprefix("refs/heads/"), start)
    return Workspace(replace(checkout, path=path, head=start, branch=branch), branch, start)


def _free_branch(mission: OpenMission, lane_id: str, path: Path) -> None:
    """Take retired worktrees of the lane off its branch; whoever retired them may have been killed before that."""
    if not lane_generation(mission, lane_id, mission.view()):
        return
    for other in mission.project.worktrees.on_branch(mission.lane_branch(lane_id)):
        if other.path.parent == path.parent and other.path != path:
            other.detach()


def describe(mission: OpenMission, lane_id: str, start: str) -> Workspace:
    """The workspace of a lane as it will be once `prepare` has put it at `start`."""
    branch = mission.lane_branch(lane_id)
    return Workspace(Checkout(workspace_path(mission, lane_id), start, branch), branch, start)


def workspace_of(mission: OpenMission, work_package_id: str) -> Workspace | None:
    """The worktree that a work package was started in, as it is now; None when it is gone."""
    entity = mission.work_package(work_package_id)
    lane = mission.plan.placements[work_package_id].execution_lane
    checkout = mission.project.worktrees.at(workspace_path(mission, lane))
    if checkout is None:
        return None
    return Workspace(checkout, mission.lane_branch(lane), str(entity.facts.get("start_commit", "")))


def salvage(mission: OpenMission, checkout: Checkout, *, work_package_id: str, label: str, held_by: str) -> str | None:
    """Keep unsaved work of a worktree: uncommitted changes, and commits that nothing else would hold.

    `held_by` is a commit that stays referenced: what it contains needs no other keeper. Returns the salvage ref, or
    None when there was nothing to keep.
    """
    repository = mission.project.repository
    head = checkout.git.text("rev-parse", "--verify", "HEAD")
    prefix = f"refs/kitty/salvage/{mission.id}/{work_package_id}/"
    if not checkout.changes():
        if _is_kept(mission, head, held_by):
            return None
        tip = head
    else:
        tree = checkout.snapshot()
        form = "--format=%(tree) %(parent) %(refname)"
        for line in repository.git.text("for-each-ref", form, "--", prefix).splitlines():
            known_tree, parent, ref = line.split(" ", 2)
            if (known_tree, parent) == (tree, head):
                return ref
        now = stamp(OWN_IDENTITY, datetime.now(UTC))
        message = f"Unsaved work of {work_package_id}, kept by kitty-flow\n"
        with repository.objects() as objects:
            tip = objects.write_commit(CommitText(tree, (head,), now, now, message))
    ref = f"{prefix}{label}-{tip[:12]}"
    if repository.refs.read(ref) is None:
        try:
            repository.refs.swap(ref, tip, ABSENT)
        except RefMovedError:
            if repository.refs.read(ref) != tip:  # otherwise somebody else kept the very same
                raise
    return ref


def _is_kept(mission: OpenMission, head: str, held_by: str) -> bool:
    """Whether `held_by`, the mission branch, the target or a salvage ref contains the commit."""
    if held_by and mission.project.history.is_ancestor(head, held_by):
        return True
    pattern = (mission.branch, mission.target_ref, "refs/kitty/salvage/")
    found = mission.project.repository.git.text("for-each-ref", "--count=1", f"--contains={head}", "--", *pattern)
    return bool(found)
