"""The gates of the merge pipeline by name: each looks at one thing and answers pass, fail or error; an error blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from kitty_flow.errors import KittyFlowError, RefusedError
from kitty_flow.flow.life import unfinished
from kitty_flow.git.worktrees import Checkout
from kitty_flow.model.gate import GateResult
from kitty_flow.release.landing import Landing

__all__ = ["GATES", "check_gates"]

Gate = Callable[[Landing], GateResult]


def check_gates(landing: Landing, names: tuple[str, ...]) -> None:
    """Ask every named gate and keep the answers; all of them are asked, so that one look shows everything.

    Raises:
        RefusedError: with the code of the first gate that did not pass and every gate's answer in `details`.
    """
    results = [_ask(name, landing) for name in names]
    landing.gates.extend(results)
    closed = [r for r in results if r.outcome != "pass"]
    if closed:
        first = closed[0]
        raise RefusedError(
            first.diagnostic_code,
            "; ".join(r.message for r in closed),
            hint=first.remediation or None,
            details={"gates": [r.model_dump() for r in results]},
        )


def _ask(name: str, landing: Landing) -> GateResult:
    gate = GATES.get(name)
    if gate is None:
        return _closed(name, "GATE_UNKNOWN", f"there is no gate {name!r}", outcome="error")
    try:
        return gate(landing)
    except (KittyFlowError, OSError) as error:
        message = f"the gate {name} could not be checked: {getattr(error, 'message', error)}"
        return _closed(name, "GATE_ERROR", message, outcome="error", remediation="kitty-flow doctor")


def _open(gate: str, message: str) -> GateResult:
    return GateResult(gate=gate, outcome="pass", message=message)


def _closed(
    gate: str,
    code: str,
    message: str,
    *,
    outcome: str = "fail",
    subject: str = "",
    invariant: str = "",
    remediation: str = "",
) -> GateResult:
    return GateResult.model_validate(
        {
            "gate": gate,
            "outcome": outcome,
            "message": message,
            "diagnostic_code": code,
            "subject": subject,
            "violated_invariant": invariant,
            "remediation": remediation,
        }
    )


def _mission_accepted(landing: Landing) -> GateResult:
    mission = landing.mission
    left = unfinished(mission, mission.view())
    state = mission.state()
    if not left and state == "accepted":
        return _open("mission_accepted", "every work package is approved, or canceled with a reason")
    what = f"not finished: {', '.join(left)}" if left else f"the mission is {state}"
    return _closed(
        "mission_accepted",
        "MISSION_NOT_ACCEPTED",
        f"{mission.slug} cannot be merged: {what}",
        subject=mission.slug,
        invariant="only approved work lands",
        remediation=f"kitty-flow run {mission.slug}" if left else f"kitty-flow status {mission.slug}",
    )


def _target_exists(landing: Landing) -> GateResult:
    if landing.target_commit and landing.mission_head:
        return _open("target_exists", f"{landing.mission.target_ref} is at {landing.target_commit[:12]}")
    missing = landing.mission.target_ref if not landing.target_commit else landing.mission.branch
    return _closed(
        "target_exists", "BRANCH_MISSING", f"{missing} does not exist", subject=missing, remediation="git branch --list"
    )


def _checkout_clean(landing: Landing) -> GateResult:
    if landing.is_landed():
        return _open("checkout_clean", "the target has moved already; its checkouts are brought along")
    for checkout in landing.checkouts():
        dirty = checkout.changes(untracked=False)
        if dirty:
            shown = ", ".join(dirty[:5]) + (" …" if len(dirty) > 5 else "")
            return _closed(
                "checkout_clean",
                "CHECKOUT_DIRTY",
                f"{checkout.path} has the target checked out with uncommitted changes: {shown}",
                subject=str(checkout.path),
                invariant="a landing never touches a user's edits",
                remediation=f"commit or stash them, then kitty-flow merge {landing.mission.slug}",
            )
    return _open("checkout_clean", "no checkout of the target has uncommitted changes")


def _no_user_operation(landing: Landing) -> GateResult:
    for checkout in landing.mission.project.worktrees.all():
        operation = _operation_on(checkout, landing.mission.target_ref)
        if operation:
            return _closed(
                "no_user_operation_in_progress",
                "USER_OPERATION_IN_PROGRESS",
                f"a {operation} of yours is in progress in {checkout.path}",
                subject=str(checkout.path),
                invariant="a landing never interferes with a user's merge or rebase",
                remediation=f"finish or abort the {operation}, then kitty-flow merge {landing.mission.slug}",
            )
    return _open("no_user_operation_in_progress", "no merge or rebase of the user is in progress")


def _operation_on(checkout: Checkout, ref: str) -> str | None:
    """The user's unfinished operation in a checkout, if it is going to move `ref`."""
    if checkout.branch == ref:
        return checkout.operation_in_progress()
    is_rebase = checkout.branch is None and checkout.path.is_dir() and checkout.rebased_branch() == ref
    return "rebase" if is_rebase else None


def _merge_clean(landing: Landing) -> GateResult:
    if not landing.conflicts:
        return _open("merge_clean", "the mission merges into the target without conflicts")
    target = landing.mission.target_ref.removeprefix("refs/heads/")
    branch = landing.mission.branch.removeprefix("refs/heads/")
    return _closed(
        "merge_clean",
        "MERGE_CONFLICT",
        f"{landing.mission.slug} conflicts with {target} in: {', '.join(landing.conflicts[:10])}",
        subject=target,
        invariant="nothing is overwritten silently",
        remediation=f"git switch {branch} && git merge {target}, resolve, commit, switch back, "
        f"then kitty-flow merge {landing.mission.slug}",
    )


def _tests_pass(landing: Landing) -> GateResult:
    run = landing.test_run
    if run is None:
        return _closed("tests_pass", "TESTS_NOT_RUN", "the tests did not run on this tree", outcome="error")
    if run.passed:
        words = f"{' '.join(run.command)} passed in {run.duration_s:.1f} s"
        return _open("tests_pass", words)
    if run.changed_paths:
        what = f"the tests changed tracked files: {', '.join(run.changed_paths[:5])}"
        code = "TESTS_CHANGED_TREE"
    else:
        how = f"status {run.exit_status}" if run.ended == "exited" else run.ended
        what = f"the tests failed on the tree that would land ({how})"
        code = "TESTS_FAILED"
    return _closed(
        "tests_pass",
        code,
        what,
        subject=landing.candidate_tree,
        invariant="only a tested tree lands",
        remediation=f"look at {run.log_path}; kitty-flow wp reopen WP --reason TEXT sends a work package back",
    )


def _target_unmoved(landing: Landing) -> GateResult:
    now = landing.mission.project.repository.refs.commit(landing.mission.target_ref)
    if now == landing.target_commit or landing.is_landed():
        return _open("target_unmoved", "the target is where it was when the candidate was built")
    return _closed(
        "target_unmoved",
        "TARGET_MOVED",
        f"{landing.mission.target_ref} moved from {str(landing.target_commit)[:12]} to {str(now)[:12]} meanwhile",
        subject=landing.mission.target_ref,
        invariant="the tree that lands is the tree that was tested",
        remediation=f"kitty-flow merge {landing.mission.slug}",
    )


def _landing_proved(landing: Landing) -> GateResult:
    if landing.is_landed():
        return _open("landing_proved", f"{landing.mission.target_ref} contains {landing.candidate_commit[:12]}")
    return _closed(
        "landing_proved",
        "LANDING_NOT_PROVED",
        f"{landing.mission.target_ref} does not contain the landed commit {landing.candidate_commit[:12]}",
        subject=landing.mission.target_ref,
        invariant="done means that it is on the target",
        remediation=f"kitty-flow verify {landing.mission.slug}",
    )


GATES: Final[Mapping[str, Gate]] = {
    "mission_accepted": _mission_accepted,
    "target_exists": _target_exists,
    "checkout_clean": _checkout_clean,
    "no_user_operation_in_progress": _no_user_operation,
    "merge_clean": _merge_clean,
    "tests_pass": _tests_pass,
    "target_unmoved": _target_unmoved,
    "landing_proved": _landing_proved,
}
