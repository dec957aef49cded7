"""Building the commit that would land, without a checkout, and testing exactly its tree."""

from __future__ import annotations

from dataclasses import replace

from kitty_flow.agents.command import AgentSpec, check_executable
from kitty_flow.errors import RefusedError
from kitty_flow.flow.readiness import is_noted_integrated
from kitty_flow.git.merging import open_merger
from kitty_flow.release.eject import ejected
from kitty_flow.release.landing import Landing, TestRun, contains, heads
from kitty_flow.release.red import test_candidate
from kitty_flow.release.stack import build_stack
from kitty_flow.release.strategy import commit_candidate
from kitty_flow.release.tested_tree import TreeTester

__all__ = ["build_candidate", "check_test_command", "run_tests"]


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
    commit_candidate(landing, merged.tree)


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
    """The approved heads alone on the target: as the strategy has it, or with `every_commit` as one commit for each.

    Raises:
        RefusedError: EVERY_COMMIT_IMPOSSIBLE.
    """
    mission, target = landing.mission, str(landing.target_commit)
    stack = build_stack(mission, target, landing.heads)
    if stack.clash is not None:
        landing.conflicts = stack.clash.paths
        return
    tree = mission.project.history.tree(stack.tip)
    if landing.options.every_commit:
        _refuse_unlike_stack(landing, tree)
        landing.candidate_commit, landing.candidate_tree = stack.tip, tree
        return
    part = replace(landing, mission_head=stack.tip)
    commit_candidate(part, tree)
    landing.candidate_commit, landing.candidate_tree = part.candidate_commit, part.candidate_tree
    landing.conflicts, landing.obstacle = part.conflicts, part.obstacle


def _refuse_unlike_stack(landing: Landing, tree: str) -> None:
    """One commit for each work package has to come to the same as merging all of them."""
    mission, why = landing.mission, ""
    if landing.strategy != "merge":
        why = f"the strategy {landing.strategy} makes other commits"
    elif not _holds_ejected(landing):
        with open_merger(mission.project.repository) as merger:
            merged = merger.merge_trees(str(landing.target_commit), str(landing.mission_head))
        if merged.tree != tree:
            why = f"{mission.branch} has changes beside its work packages, which would not land"
    if why:
        raise RefusedError(
            "EVERY_COMMIT_IMPOSSIBLE",
            f"{mission.slug} cannot land as one commit for each work package: {why}",
            hint=f"kitty-flow merge {mission.slug}",
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
