"""The gates that look at the target: its branch, its checkouts, the merge into it, the tests, the landing."""

from __future__ import annotations

from kitty_flow.git.worktrees import Checkout
from kitty_flow.model.gate import GateResult
from kitty_flow.release.both_sides import name_both_sides
from kitty_flow.release.gate_answers import closed_gate, moved, open_gate
from kitty_flow.release.landing import Landing

__all__ = [
    "checkout_can_follow",
    "checkout_clean",
    "landing_proved",
    "merge_clean",
    "no_user_operation_in_progress",
    "target_exists",
    "target_unmoved",
    "tests_pass",
]


def target_exists(landing: Landing) -> GateResult:
    """Both branches are there."""
    if landing.target_commit and landing.mission_head:
        return open_gate("target_exists", f"{landing.mission.target_ref} is at {landing.target_commit[:12]}")
    missing, remedy = landing.mission.target_ref, "git branch --list"
    if landing.target_commit:
        missing, remedy = landing.mission.branch, f"kitty-flow run {landing.mission.slug}"
    return closed_gate(
        "target_exists",
        "BRANCH_MISSING",
        f"{missing} does not exist",
        subject=missing,
        invariant="a landing joins two branches that are there",
        remediation=remedy,
    )


def checkout_clean(landing: Landing) -> GateResult:
    """No checkout of the target has edits that the landing could meet."""
    for checkout in landing.checkouts():
        dirty = checkout.changes(untracked=False)
        if dirty:
            shown = ", ".join(dirty[:5]) + (" …" if len(dirty) > 5 else "")
            return closed_gate(
                "checkout_clean",
                "CHECKOUT_DIRTY",
                f"{checkout.path} has the target checked out with uncommitted changes: {shown}",
                subject=str(checkout.path),
                invariant="a landing never touches a user's edits",
                remediation=f"commit or stash them, then kitty-flow merge {landing.mission.slug}",
            )
    return open_gate("checkout_clean", "no checkout of the target has uncommitted changes")


def checkout_can_follow(landing: Landing) -> GateResult:
    """Every checkout of the target can take the candidate without overwriting a file of the user."""
    for checkout in landing.checkouts() if landing.candidate_commit else ():
        if not checkout.can_move(str(landing.target_commit), landing.candidate_commit):
            return closed_gate(
                "checkout_can_follow",
                "CHECKOUT_WOULD_LOSE_EDITS",
                f"{checkout.path} has files that the landing would overwrite",
                subject=str(checkout.path),
                invariant="a landing never touches a user's edits",
                remediation=f"move or commit them (git status), then kitty-flow merge {landing.mission.slug}",
            )
    return open_gate("checkout_can_follow", "no file of the user is in the way of the landing")


def no_user_operation_in_progress(landing: Landing) -> GateResult:
    """No unfinished merge or rebase of the user is going to move the target."""
    for checkout in landing.mission.project.worktrees.all():
        operation = _operation_on(checkout, landing.mission.target_ref)
        if operation:
            return closed_gate(
                "no_user_operation_in_progress",
                "USER_OPERATION_IN_PROGRESS",
                f"a {operation} of yours is in progress in {checkout.path}",
                subject=str(checkout.path),
                invariant="a landing never interferes with a user's merge or rebase",
                remediation=f"finish or abort the {operation}, then kitty-flow merge {landing.mission.slug}",
            )
    return open_gate("no_user_operation_in_progress", "no merge or rebase of the user is in progress")


def _operation_on(checkout: Checkout, ref: str) -> str | None:
    """The user's unfinished operation in a checkout, if it is going to move `ref`."""
    if checkout.branch == ref:
        return checkout.operation_in_progress()
    is_rebase = checkout.branch is None and checkout.path.is_dir() and checkout.rebased_branch() == ref
    return "rebase" if is_rebase else None


def merge_clean(landing: Landing) -> GateResult:
    """The candidate could be built without a conflict."""
    if not landing.conflicts:
        return open_gate("merge_clean", f"the mission merges into the target without conflicts{_catching_up(landing)}")
    target = landing.mission.target_ref.removeprefix("refs/heads/")
    branch = landing.mission.branch.removeprefix("refs/heads/")
    if landing.obstacle:
        return closed_gate(
            "merge_clean",
            "NOT_REPLAYABLE",
            f"{landing.obstacle}: {', '.join(landing.conflicts[:10])}",
            subject=target,
            invariant="every strategy lands the tree of the merge",
            remediation=f"kitty-flow merge {landing.mission.slug} --strategy merge, or --strategy squash",
        )
    sides = name_both_sides(landing.mission, str(landing.target_commit), landing.heads, landing.conflicts)
    return closed_gate(
        "merge_clean",
        "MERGE_CONFLICT",
        f"{landing.mission.slug} conflicts with {target}: {sides}",
        subject=target,
        invariant="nothing is overwritten silently",
        remediation=f"git switch {branch} && git merge {target}, resolve, commit, switch back, "
        f"then kitty-flow merge {landing.mission.slug}",
    )


def _catching_up(landing: Landing) -> str:
    """What the target got since the mission took it over last: nobody has to bring the lanes up to date for it."""
    if not landing.target_commit or not landing.mission_head:
        return ""
    words = ("rev-list", "--count", "--end-of-options", f"{landing.mission_head}..{landing.target_commit}")
    behind = int(landing.mission.project.repository.git.text(*words))
    return f"; {behind} commit(s) of the target that its lanes lack are merged in" if behind else ""


def tests_pass(landing: Landing) -> GateResult:
    """The test command passed on the candidate's tree and left it as it was."""
    run = landing.test_run
    if run is None:
        return closed_gate(
            "tests_pass",
            "TESTS_NOT_RUN",
            "the tests did not run on this tree",
            outcome="error",
            subject=landing.candidate_tree,
            invariant="only a tested tree lands",
            remediation=f"kitty-flow merge {landing.mission.slug}",
        )
    if run.passed:
        words = f"{' '.join(run.command)} passed in {run.duration_s:.1f} s"
        if run.is_remembered:
            words += f"; tested before, at {run.at}, log sha256 {run.log_digest[:12]}"
        if run.left_processes:
            words += "; it left processes behind, which were ended"
        return open_gate("tests_pass", words)
    how = f"status {run.exit_status}" if run.ended == "exited" else run.ended
    red, mission = landing.red, landing.mission
    remedy = f"look at {run.log_path}; kitty-flow wp reopen WP --reason TEXT sends a work package back"
    if run.changed_paths:
        what = f"the tests changed tracked files: {', '.join(run.changed_paths[:5])}"
        code = "TESTS_CHANGED_TREE"
    elif red is not None and red.is_target:
        what = (
            f"the tests fail on {mission.target_branch} as it is, so nothing can be said about what would land ({how})"
        )
        code = "TARGET_RED"
        remedy = f"look at {red.run.log_path}, mend {mission.target_branch}, then kitty-flow merge {mission.slug}"
    elif red is not None and red.culprit is not None:
        what = f"the tests fail with {red.culprit} ({how}), and pass without it"
        code = "TESTS_FAILED"
        remedy = f"look at {run.log_path}; kitty-flow wp reopen {red.culprit} --reason TEXT sends it back to work"
    else:
        what = f"the tests failed on the tree that would land ({how})"
        code = "TESTS_FAILED"
    return closed_gate(
        "tests_pass",
        code,
        what,
        subject=landing.candidate_tree,
        invariant="only a tested tree lands",
        remediation=remedy,
    )


def target_unmoved(landing: Landing) -> GateResult:
    """The target is still the commit that the candidate was built on."""
    now = landing.mission.project.repository.refs.commit(landing.mission.target_ref)
    if now == landing.target_commit:
        return open_gate("target_unmoved", "the target is where it was when the candidate was built")
    return closed_gate(
        "target_unmoved",
        "TARGET_MOVED",
        moved(landing.mission.target_ref, landing.target_commit, now),
        subject=landing.mission.target_ref,
        invariant="the tree that lands is the tree that was tested",
        remediation=f"kitty-flow merge {landing.mission.slug}",
    )


def landing_proved(landing: Landing) -> GateResult:
    """The target contains the candidate; asked of git after the move."""
    if landing.is_on_target():
        return open_gate("landing_proved", f"{landing.mission.target_ref} contains {landing.candidate_commit[:12]}")
    return closed_gate(
        "landing_proved",
        "LANDING_NOT_PROVED",
        f"{landing.mission.target_ref} does not contain the landed commit {landing.candidate_commit[:12]}",
        subject=landing.mission.target_ref,
        invariant="done means that it is on the target",
        remediation=f"kitty-flow verify {landing.mission.slug}",
    )
