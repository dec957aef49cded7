"""Building the commit that would land, without a checkout, and testing exactly its tree."""

from __future__ import annotations

from typing import Final

from kitty_flow.agents.command import AgentSpec, check_executable
from kitty_flow.errors import RefusedError
from kitty_flow.flow.readiness import is_noted_integrated
from kitty_flow.git.merging import open_merger
from kitty_flow.release.commits import landing_message, write_merge
from kitty_flow.release.eject import ejected
from kitty_flow.release.landing import Landing, TestRun, contains, heads
from kitty_flow.release.red import test_candidate
from kitty_flow.release.stack import build_stack
from kitty_flow.release.tested_tree import TreeTester

__all__ = ["GATE_LANE", "build_candidate", "check_test_command", "run_tests"]

GATE_LANE: Final = "gate"
"""The name, beside those of the execution lanes, of the worktree in which a candidate is tested."""


def build_candidate(landing: Landing) -> None:
    """Merge the mission into the target as objects only; fills in the candidate, or the conflicts."""
    project = landing.mission.project
    target, head = str(landing.target_commit), str(landing.mission_head)
    _remark_canceled(landing)
    if landing.options.every_commit or _holds_ejected(landing):
        return _build_from_stack(landing)
    if contains(landing.mission, target, head):
        landing.candidate_commit, landing.candidate_tree = target, project.history.tree(target)
        return
    with open_merger(project.repository) as merger:
        merged = merger.merge_trees(target, head)
    landing.conflicts = merged.conflicts
    if not merged.is_clean:
        return
    message = landing_message(landing.mission, tuple(landing.heads))
    landing.candidate_commit = write_merge(landing.mission, merged.tree, (target, head), message)
    landing.candidate_tree = merged.tree


def _holds_ejected(landing: Landing) -> bool:
    """Whether the mission branch has work that a merge sent back: then it cannot land as it is."""
    mission, view = landing.mission, landing.mission.view()
    sent_back = (mission.work_package(i, view) for i in ejected(mission, view))
    bad = [str(e.facts.get("head_commit")) for e in sent_back]
    return any(
        contains(mission, landing.mission_head, head) and not contains(mission, landing.target_commit, head)
        for head in bad
    )


def _build_from_stack(landing: Landing) -> None:
    """The approved heads alone on the target: as one commit, or with `every_commit` as one for each work package.

    Raises:
        RefusedError: NOT_ONLY_WORK_PACKAGES, the mission branch has more on it, which no such commit would carry.
    """
    mission, target = landing.mission, str(landing.target_commit)
    stack = build_stack(mission, target, landing.heads)
    if stack.clash is not None:
        landing.conflicts = stack.clash.paths
        return
    tree = mission.project.history.tree(stack.tip)
    landing.candidate_commit, landing.candidate_tree = stack.tip, tree
    if not landing.options.every_commit and stack.tip != target:
        message = landing_message(mission, tuple(landing.heads))
        landing.candidate_commit = write_merge(mission, tree, (target, stack.tip), message)
    if landing.options.every_commit and not _holds_ejected(landing):
        with open_merger(mission.project.repository) as merger:
            merged = merger.merge_trees(target, str(landing.mission_head))
        if merged.tree != tree:
            raise RefusedError(
                "NOT_ONLY_WORK_PACKAGES",
                f"{mission.branch} has changes beside its work packages, which would not land one by one",
                hint=f"kitty-flow merge {mission.slug}, without --every-commit",
            )


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
    """Test the candidate's tree, and find out who made it red (`red.test_candidate`)."""
    return test_candidate(landing, TreeTester(landing, check_test_command(landing)))
