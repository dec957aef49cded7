"""Building the commit that would land, without a checkout, and testing exactly its tree in a disposable worktree."""

from __future__ import annotations

from typing import Final

from kitty_flow.agents.command import AgentSpec, check_executable
from kitty_flow.errors import RefusedError
from kitty_flow.flow.readiness import is_noted_integrated
from kitty_flow.flow.tree_test import run_tree_test
from kitty_flow.git.merging import open_merger
from kitty_flow.release.landing import Landing, TestRun, contains, heads
from kitty_flow.release.strategy import commit_candidate

__all__ = ["GATE_LANE", "build_candidate", "check_test_command", "run_tests"]

GATE_LANE: Final = "gate"
"""The name, beside those of the execution lanes, of the worktree in which a candidate is tested."""


def build_candidate(landing: Landing) -> None:
    """Merge the mission into the target as objects only; fills in the candidate, or the conflicts."""
    project = landing.mission.project
    target, head = str(landing.target_commit), str(landing.mission_head)
    _remark_canceled(landing)
    if contains(landing.mission, target, head):
        landing.candidate_commit, landing.candidate_tree = target, project.history.tree(target)
        return
    with open_merger(project.repository) as merger:
        merged = merger.merge_trees(target, head)
    landing.conflicts = merged.conflicts
    if not merged.is_clean:
        return
    commit_candidate(landing, merged.tree)


def _remark_canceled(landing: Landing) -> None:
    """Canceling takes nothing off the mission branch: say what comes along."""
    view = landing.mission.view()
    for work_package_id, head in heads(landing.mission, view, "canceled").items():
        entity = landing.mission.work_package(work_package_id, view)
        if is_noted_integrated(entity) and contains(landing.mission, landing.mission_head, head):
            landing.remarks.append(
                f"{work_package_id} was canceled after its work had been integrated; its commits land too"
            )


def check_test_command(landing: Landing) -> AgentSpec:
    """The test command, found on this machine.

    Raises:
        RefusedError: TESTS_NOT_CONFIGURED; a gate that has nothing to check does not pass.
        ExternalToolError: the command cannot be found.
    """
    command = landing.options.test_command
    if not command:
        raise RefusedError(
            "TESTS_NOT_CONFIGURED",
            "no test command is configured, so nothing can be said about the tree that would land",
            hint=f"kitty-flow merge {landing.mission.slug} --test-command 'CMD', "
            'or set test_command = ["CMD"] under [merge] in .kitty-flow/config.toml',
        )
    spec = AgentSpec("tests", command, landing.options.test_timeout_s, 0.0)
    return check_executable(spec, landing.mission.project.root)


def run_tests(landing: Landing) -> TestRun:
    """Run the test command on the candidate's tree; the worktree is removed afterwards, whatever happened."""
    spec = check_test_command(landing)
    log = landing.mission.project.workspace_root / "merges" / f"{landing.id}.log"
    test = run_tree_test(landing.mission, landing.candidate_commit, spec, lane=GATE_LANE, log=log)
    return TestRun(
        landing.options.test_command or (),
        test.outcome.exit_code,
        test.outcome.reason,
        test.outcome.duration_s,
        test.outcome.tail,
        str(log),
        test.changed,
    )
