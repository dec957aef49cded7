"""Running a test command on exactly the tree of one commit, in a worktree that is made for it and removed then."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.environment import test_environment
from kitty_flow.agents.process import ProcessOutcome, ProcessSpec, run_process
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.workspace import workspace_path
from kitty_flow.git.worktrees import Checkout

__all__ = ["TreeTest", "run_tree_test"]


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


def run_tree_test(mission: OpenMission, commit: str, spec: AgentSpec, *, lane: str, log: Path) -> TreeTest:
    """Run the command of `spec`, whose program is absolute, on the tree of `commit`.

    Args:
        lane: a name that no execution lane has, for the worktree; only one test at a time may use it.
        log: where the whole output goes.

    Raises:
        ExternalToolError: the worktree cannot be made.
    """
    path = workspace_path(mission, lane)
    checkout = _made(mission, path, commit)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        process = ProcessSpec(spec.argv, path, test_environment(os.environ, path), log, spec.timeout_s)
        outcome = asyncio.run(run_process(process))
        changed = checkout.changes(untracked=False)
        if checkout.git.text("rev-parse", "HEAD") != commit:
            changed = (*changed, "HEAD")
    finally:
        mission.project.worktrees.remove(checkout, disposable=True)
    return TreeTest(outcome, log, changed)


def _made(mission: OpenMission, path: Path, commit: str) -> Checkout:
    worktrees = mission.project.worktrees
    left_over = worktrees.at(path)
    if left_over is not None:
        worktrees.remove(left_over, disposable=True)
    return worktrees.add(path, commit)
