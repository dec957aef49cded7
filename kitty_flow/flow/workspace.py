"""Where an attempt or a review works: the worktree of its lane at a commit; an empty folder for work without files.

Anything unsaved in a worktree is kept under a salvage ref before the worktree moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kitty_flow.errors import ExternalToolError
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.planning_checkout import main_checkout
from kitty_flow.flow.workspace_ports import known_ports
from kitty_flow.git.identity import OWN_IDENTITY, stamp
from kitty_flow.git.objects import CommitText
from kitty_flow.git.refs import ABSENT, RefMovedError
from kitty_flow.git.worktrees import Checkout
from kitty_flow.ledger.view import LedgerView

if TYPE_CHECKING:
    from kitty_flow.agents.prompt import Place
    from kitty_flow.flow.run_context import RunContext

__all__ = [
    "Workspace",
    "describe",
    "in_checkout",
    "invocation_folder",
    "is_kept",
    "keep",
    "lane_generation",
    "place_of",
    "prepare",
    "salvage",
    "scratch_path",
    "workspace_of",
    "workspace_path",
]


@dataclass(frozen=True)
class Workspace:
    """A place that is ready for an attempt: its checkout, its branch (full ref), the commit it starts at.

    The branch is the lane's. A `checkout` is the main one, the user's, on the target branch. A `scratch` place belongs
    to work that changes no files: an empty folder outside of every working tree. Its checkout has a path and nothing
    else, git must not be run in it, and its branch is the mission's. `env` is what the environment of its agents gets
    besides the protocol's variables.
    """

    checkout: Checkout
    branch: str
    start: str
    place: Place = "worktree"
    env: Mapping[str, str] = field(default_factory=dict)


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
    return sum((e.facts.get("retired_lanes") or {}).get(lane_id, 0) for e in view.of_type("work_package").values())


def scratch_path(mission: OpenMission, work_package_id: str, epoch: int) -> Path:
    """Where an attempt without a worktree works; the next one gets a folder of its own."""
    stem = mission.branch.removeprefix("refs/heads/kitty/mission-")
    return mission.project.scratch_root / stem / f"{work_package_id}.{epoch}"


def place_of(mission: OpenMission, work_package_id: str) -> Place:
    """Where a work package is worked on and reviewed, as its definition has it."""
    return "worktree" if mission.definition.work_package(work_package_id).changes else "scratch"


def invocation_folder(mission: OpenMission, invocation_id: str, of: str = "phases") -> Path:
    """Where prompt, result and log of an invocation are kept; made when it is not there.

    `of` is its work package. The workspace root belongs to one repository, so that no two repositories, missions or
    work packages can ever name the same prompt (RPM-001).
    """
    folder = mission.project.workspace_root / "invocations" / mission.id / of / invocation_id
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def prepare(
    mission: OpenMission,
    lane_id: str,
    start: str,
    *,
    work_package_id: str,
    epoch: int,
    run: RunContext | None = None,
) -> Workspace:
    """Put the lane's worktree on its branch at `start`, making it first where needed.

    What an earlier attempt left there unsaved goes under a salvage ref before the worktree moves. A work package that
    changes no files gets its empty folder instead. A setup that has to be done for a `run` ends with its stop.

    Raises:
        RefusedError: COPY_NOT_IGNORED.
        ExternalToolError: WORKSPACE_TAKEN, something else is at its path; SETUP_FAILED; GIT_FAILED.
        InterruptedRunError: INTERRUPTED, the run is being stopped.
    """
    if place_of(mission, work_package_id) == "scratch":
        found = describe(mission, lane_id, start, work_package_id=work_package_id, epoch=epoch)
        mission.project.mark_scratch_root()
        found.checkout.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return found
    from kitty_flow.flow.workspace_setup import set_up  # late: who only looks sets nothing up

    path, branch = workspace_path(mission, lane_id), mission.lane_branch(lane_id)
    sparse = mission.project.settings.workspace.sparse
    if path.name != lane_id:
        _free_branch(mission, branch, path)
    checkout = mission.project.worktrees.at(path)
    if checkout is None:
        checkout = _new_worktree(mission, path, start, branch, sparse)
        is_ready = checkout.branch == branch
    else:
        checkout.clear_stale_locks()
        status = checkout.status()
        is_ready = (status.head, status.branch, status.changes) == (start, branch, ())
        is_ready = is_ready and checkout.operation_in_progress() is None
        if not is_ready:
            # Without a commit of its own when somebody deleted the lane's branch: then everything in it is unsaved.
            label, seen = f"before-{epoch}", replace(checkout, head=status.head or start)
            _salvage(mission, seen, status.changes, work_package_id=work_package_id, label=label, held_by=start)
        is_ready = not checkout.set_sparse(sparse) and is_ready
    if not is_ready:
        checkout.switch(branch.removeprefix("refs/heads/"), start)
    checkout = replace(checkout, path=path, head=start, branch=branch)
    env = set_up(mission.project, checkout, f"{path.parent.name}/{path.name}", run)
    return Workspace(checkout, branch, start, env=env)


def _free_branch(mission: OpenMission, branch: str, path: Path) -> None:
    """Take retired worktrees off the lane's branch: whoever let the lease run out was killed before it came to this."""
    for retired in mission.project.worktrees.on_branch(branch):
        if retired.path.parent == path.parent and retired.path != path:
            retired.detach()


def _new_worktree(mission: OpenMission, path: Path, start: str, branch: str, sparse: Sequence[str]) -> Checkout:
    worktrees = mission.project.worktrees
    worktrees.clear_unfinished(path)
    if path.exists() and any(path.iterdir()):
        raise ExternalToolError(
            "WORKSPACE_TAKEN",
            f"{path} is not a worktree of this repository, and it is not empty",
            hint="move it away, then run the command again",
        )
    return worktrees.add(path, start, branch.removeprefix("refs/heads/"), sparse=sparse)


def describe(mission: OpenMission, lane_id: str, start: str, *, work_package_id: str, epoch: int) -> Workspace:
    """The workspace of a work package as it will be once `prepare` has put it at `start`."""
    if place_of(mission, work_package_id) == "scratch":
        folder = scratch_path(mission, work_package_id, epoch)
        return Workspace(Checkout(folder, start, None), mission.branch, start, "scratch")
    branch = mission.lane_branch(lane_id)
    return Workspace(Checkout(workspace_path(mission, lane_id), start, branch), branch, start)


def workspace_of(mission: OpenMission, work_package_id: str) -> Workspace | None:
    """The place that a work package was started in, as it is now; None when it is gone."""
    entity = mission.work_package(work_package_id)
    lane = mission.plan.placements[work_package_id].execution_lane
    start = str(entity.facts.get("start_commit", ""))
    if entity.facts.get("place") == "scratch":
        folder = scratch_path(mission, work_package_id, entity.epoch)
        return Workspace(Checkout(folder, start, None), mission.branch, start, "scratch") if folder.is_dir() else None
    if entity.facts.get("place") == "checkout" and entity.state == "in_progress":
        found = main_checkout(mission)
        return None if found is None else in_checkout(mission, found, start)
    checkout = mission.project.worktrees.at(workspace_path(mission, lane))
    if checkout is None:
        return None
    return Workspace(checkout, mission.lane_branch(lane), start, env=known_ports(mission.project, checkout.path))


def in_checkout(mission: OpenMission, checkout: Checkout, start: str) -> Workspace:
    """The main checkout as the place of an attempt. Nothing is set up there but the ports: it is the user's."""
    env = known_ports(mission.project, checkout.path)
    return Workspace(checkout, mission.target_ref, start, "checkout", env)


def salvage(mission: OpenMission, checkout: Checkout, *, work_package_id: str, label: str, held_by: str) -> str | None:
    """Keep unsaved work of a worktree: uncommitted changes, and commits that nothing else would hold.

    `held_by` is a commit that stays referenced: what it contains needs no other keeper. Returns the salvage ref, or
    None when there was nothing to keep.
    """
    status = checkout.status()
    found = replace(checkout, head=status.head or held_by or None)
    return _salvage(mission, found, status.changes, work_package_id=work_package_id, label=label, held_by=held_by)


def _salvage(
    mission: OpenMission,
    checkout: Checkout,
    changes: tuple[str, ...],
    *,
    work_package_id: str,
    label: str,
    held_by: str,
) -> str | None:
    repository = mission.project.repository
    head = checkout.head or checkout.git.text("rev-parse", "--verify", "HEAD")
    prefix = f"refs/kitty/salvage/{mission.id}/{work_package_id}/"
    if not changes:
        if is_kept(mission, head, held_by):
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
    return keep(mission, tip, work_package_id=work_package_id, label=label)


def keep(mission: OpenMission, commit: str, *, work_package_id: str, label: str) -> str:
    """Keep a commit of a work package under a salvage ref, which is returned; repeating it is harmless."""
    refs = mission.project.repository.refs
    ref = f"refs/kitty/salvage/{mission.id}/{work_package_id}/{label}-{commit[:12]}"
    if refs.read(ref) is None:
        try:
            refs.swap(ref, commit, ABSENT)
        except RefMovedError:
            if refs.read(ref) != commit:  # otherwise somebody else kept the very same
                raise
    return ref


def is_kept(mission: OpenMission, head: str, held_by: str = "") -> bool:
    """Whether `held_by`, the mission branch, the target or a salvage ref contains the commit."""
    if held_by and mission.project.history.is_ancestor(head, held_by):
        return True
    pattern = (mission.branch, mission.target_ref, "refs/kitty/salvage/")
    found = mission.project.repository.git.text("for-each-ref", "--count=1", f"--contains={head}", "--", *pattern)
    return bool(found)
