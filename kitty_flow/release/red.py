"""Why a candidate is red: the target itself, a flake, one work package, or nobody's alone."""

from __future__ import annotations

from kitty_flow.release.culprit import first_red
from kitty_flow.release.landing import Landing, Red, TestRun
from kitty_flow.release.stack import build_stack
from kitty_flow.release.tested_tree import TreeTester

__all__ = ["find_red", "test_candidate"]


def test_candidate(landing: Landing, tester: TreeTester) -> TestRun:
    """The tests of the tree that would land, with `every_commit` of each commit that would; finds out why one is red.

    Sets `landing.red` when they fail. Something that fails and passes when it is repeated is remarked as a flake.

    Raises:
        ConflictError, ExternalToolError, LedgerError: as `TreeTester.test`.
    """
    if landing.options.every_commit:
        for layer in build_stack(landing.mission, str(landing.target_commit), landing.heads).layers:
            run = tester.test(layer.commit, f"up to {layer.work_package_id}")
            if not run.passed:
                break
        else:
            run = tester.test(landing.candidate_commit, "what would land")
    else:
        run = tester.test(landing.candidate_commit, "what would land")
    if run.passed or run.changed_paths or run.ended == "not_found":
        return run  # what the command itself does wrong is no work package's fault
    return find_red(landing, tester)


test_candidate.__test__ = False  # type: ignore[attr-defined]  # not a test case, whatever pytest thinks of the name


def find_red(landing: Landing, tester: TreeTester) -> TestRun:
    """Look for the first work package that makes the tests fail; returns the run that counts for the candidate.

    The target's own tree is asked first, so that nobody is blamed for what was broken before.
    """
    target, candidate = str(landing.target_commit), landing.candidate_commit
    base = tester.test(target, f"{landing.mission.target_branch} as it is")
    if not base.passed:
        landing.red = Red(base, is_target=True)
        return base
    stack = build_stack(landing.mission, target, landing.heads)
    layers = stack.layers
    is_whole = bool(layers) and layers[-1].tree == landing.candidate_tree
    if not layers or (not is_whole and (stack.clash or tester.test(stack.tip, "all work packages").passed)):
        # What fails is on the mission branch beside the work packages, or cannot be taken apart.
        again = tester.test(candidate, "what would land", again=True)
        if again.passed:
            _remark_flake(landing, "what would land")
        else:
            landing.red = Red(again)
        return again
    names = [f"up to {layer.work_package_id}" for layer in layers]

    def is_green_again(number: int) -> bool:
        passed = tester.test(layers[number].commit, names[number], again=True).passed
        if passed:
            _remark_flake(landing, names[number])
        return passed

    found = first_red(len(layers), lambda n: tester.test(layers[n].commit, names[n]).passed, is_green_again)
    if found is None:
        return tester.test(candidate, "what would land")
    layer, below = layers[found], layers[found - 1].commit if found else target
    shown = tester.test(layer.commit, names[found])
    landing.red = Red(shown, culprit=layer.work_package_id, good=below, bad=layer.commit)
    return shown


def _remark_flake(landing: Landing, what: str) -> None:
    landing.remarks.append(f"the tests are unsteady: {what} failed once and passed when it was repeated")
