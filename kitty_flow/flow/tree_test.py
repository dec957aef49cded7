"""Running a test command on exactly the tree of one commit, in a worktree that is made for it and removed then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.process import ProcessOutcome
from kitty_flow.errors import ConflictError
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.project_command import run_command
from kitty_flow.flow.run_context import RunContext
from kitty_flow.flow.workspace import workspace_path
from kitty_flow.git.worktrees import Checkout
from kitty_flow.ledger.lock import exclusive

__all__ = ["TreeTest", "gate_lane", "is_being_tested", "left_over_gates", "remove_gate", "run_tree_test"]

_PAUSE_S: Final = 0.5
"""How often a run looks whether the test of somebody else has ended."""


@dataclass(frozen=True)
class TreeTest:
    """How a test went: its process, its log, and the tracked files that it changed (``HEAD`` when it moved that)."""

    outcome: ProcessOutcome
    log_path: Path
    changed: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Ended by itself with status 0, and the tree was the tested one to the end."""
        return self.outcome.reason == "exited" and self.outcome.exit_code == 0 and not self.changed


def gate_lane(work_package_id: str) -> str:
    """What the worktree is called in which the head of one work package is tested."""
    return f"gate-{work_package_id}"


def run_tree_test(
    mission: OpenMission, commit: str, spec: AgentSpec, *, lane: str, log: Path, run: RunContext | None = None
) -> TreeTest:
    """Run the command of `spec`, whose program is absolute, on the tree of `commit`.

    Args:
        lane: a name that no execution lane has, for the worktree; it is locked while a test uses it.
        log: where the whole output goes.
        run: the run that it is done for, with whose stop the test ends.

    Raises:
        ConflictError: STATE_CHANGED, another test used that worktree; in a run, it has ended by now.
        InterruptedRunError: INTERRUPTED, the run is being stopped.
        ExternalToolError: the worktree cannot be made.
    """
    path = workspace_path(mission, lane)
    try:
        with _alone(mission, lane):
            checkout = _made(mission, path, commit)
            try:
                outcome = run_command(spec, path, log, run)
                changed = checkout.changes(untracked=False)
                if checkout.git.text("rev-parse", "HEAD") != commit:
                    changed = (*changed, "HEAD")
            finally:
                mission.project.worktrees.remove(checkout, disposable=True)
            return TreeTest(outcome, log, changed)
    except ConflictError:
        if run is not None:
            _wait(mission, lane, run, spec.timeout_s)
        raise


def _made(mission: OpenMission, path: Path, commit: str) -> Checkout:
    worktrees = mission.project.worktrees
    left_over = worktrees.at(path)
    if left_over is not None:
        worktrees.remove(left_over, disposable=True)
    return worktrees.add(path, commit)


def _lock(mission: OpenMission, lane: str) -> Path:
    return mission.project.repository.state_dir / "locks" / f"{mission.id}.{lane}.lock"


@contextmanager
def _alone(mission: OpenMission, lane: str) -> Iterator[None]:
    """Hold the worktree of a lane for tests; the kernel gives it back when this process dies."""
    with ExitStack() as held:
        try:
            held.enter_context(exclusive(_lock(mission, lane), timeout_s=0.0, what=f"the tests in {lane}"))
        except ConflictError as error:
            raise ConflictError(
                "STATE_CHANGED",
                f"another kitty-flow process is running tests in {workspace_path(mission, lane)}",
                hint=f"kitty-flow status {mission.slug}, and again when they have ended",
            ) from error
        yield


def is_being_tested(mission: OpenMission, lane: str) -> bool:
    """Whether a test is running in the worktree of that name."""
    if not _lock(mission, lane).exists():
        return False
    try:
        with _alone(mission, lane):
            return False
    except ConflictError:
        return True


def _wait(mission: OpenMission, lane: str, run: RunContext, seconds: float) -> None:
    """A run has nothing else to do for this work package until the test of somebody else has ended."""
    deadline = time.monotonic() + seconds
    while is_being_tested(mission, lane) and time.monotonic() < deadline:
        run.refuse_if_stopped()
        time.sleep(_PAUSE_S)


def left_over_gates(mission: OpenMission) -> Iterator[Checkout]:
    """The worktrees of tests on single work packages whose process was killed."""
    for work_package in mission.definition.work_packages:
        lane = gate_lane(work_package.id)
        checkout = mission.project.worktrees.at(workspace_path(mission, lane))
        if checkout is not None and not is_being_tested(mission, lane):
            yield checkout


def remove_gate(mission: OpenMission, checkout: Checkout) -> bool:
    """Remove the worktree of a test that was killed; says whether it went.

    Raises:
        ConflictError: STATE_CHANGED, a test is running there.
    """
    with _alone(mission, checkout.path.name):
        return mission.project.worktrees.remove(checkout, disposable=True)
