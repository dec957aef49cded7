"""Why a candidate is red: the target itself, a flake, one work package, or nobody's alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kitty_flow.release.culprit import first_red
from kitty_flow.release.landing import Landing, Red, TestRun
from kitty_flow.release.stack import Layer, build_stack
from kitty_flow.release.tested_tree import TreeTester

__all__ = ["test_candidate"]

_WHOLE: Final = "what would land"


def test_candidate(landing: Landing, tester: TreeTester) -> TestRun:
    """The tests of the tree that would land, with `every_commit` of each commit that would; finds out why one is red.

    Sets `landing.red` when they fail. Something that fails and passes when it is repeated is remarked as a flake.

    Raises:
        ConflictError, ExternalToolError, LedgerError: as `TreeTester.test`.
    """
    if landing.options.every_commit:
        layers = build_stack(landing.mission, str(landing.target_commit), landing.heads).layers
        for number, layer in enumerate(layers, 1):
            run = tester.test(layer.commit, _name(layer))
            if not run.passed and not _is_its_own_fault(run):
                # Whether the layers above are green again does not matter: each one is to be a green commit.
                run = _red_target(landing, tester) or _blamed(landing, tester, layers[:number])
            if not run.passed:
                return run
    run = tester.test(landing.candidate_commit, _WHOLE)
    return run if run.passed or _is_its_own_fault(run) else _find_red(landing, tester)


test_candidate.__test__ = False  # type: ignore[attr-defined]  # not a test case, whatever pytest thinks of the name


def _is_its_own_fault(run: TestRun) -> bool:
    """Whether the command itself does something wrong, which is no work package's fault."""
    return bool(run.changed_paths) or run.ended == "not_found"


def _find_red(landing: Landing, tester: TreeTester) -> TestRun:
    """Look for the first work package that makes the tests fail; returns the run that counts for the candidate.

    The target's own tree is asked first, so that nobody is blamed for what was broken before.
    """
    red_target = _red_target(landing, tester)
    if red_target is not None:
        return red_target
    stack = build_stack(landing.mission, str(landing.target_commit), landing.heads)
    layers = stack.layers
    is_whole = bool(layers) and layers[-1].tree == landing.candidate_tree
    if layers and (is_whole or not (stack.clash or tester.test(stack.tip, "all work packages").passed)):
        run = _blamed(landing, tester, layers)
        return run if landing.red else tester.test(landing.candidate_commit, _WHOLE)
    # What fails is on the mission branch beside the work packages, or cannot be taken apart.
    again = tester.test(landing.candidate_commit, _WHOLE, again=True)
    if again.passed:
        _remark_flake(landing, _WHOLE)
    else:
        landing.red = Red(again)
    return again


def _red_target(landing: Landing, tester: TreeTester) -> TestRun | None:
    base = tester.test(str(landing.target_commit), f"{landing.mission.target_branch} as it is")
    if base.passed:
        return None
    landing.red = Red(base, is_target=True)
    return base


def _blamed(landing: Landing, tester: TreeTester, layers: Sequence[Layer]) -> TestRun:
    """Search layers on a green target whose last one was red; the run of the one to blame, or of the last as it passes
    when it is repeated."""

    def is_green_again(number: int) -> bool:
        passed = tester.test(layers[number].commit, _name(layers[number]), again=True).passed
        if passed:
            _remark_flake(landing, _name(layers[number]))
        return passed

    found = first_red(len(layers), lambda n: tester.test(layers[n].commit, _name(layers[n])).passed, is_green_again)
    layer = layers[-1 if found is None else found]
    run = tester.test(layer.commit, _name(layer))
    if found is not None:
        below = layers[found - 1].commit if found else str(landing.target_commit)
        landing.red = Red(run, culprit=layer.work_package_id, good=below, bad=layer.commit)
    return run


def _name(layer: Layer) -> str:
    return f"up to {layer.work_package_id}"


def _remark_flake(landing: Landing, what: str) -> None:
    landing.remarks.append(f"the tests are unsteady: {what} failed once and passed when it was repeated")
