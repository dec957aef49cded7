"""`kitty-flow merge`: the gated way into the target branch."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kitty_flow.cli.context_options import MissionArgument
from kitty_flow.cli.evidence_bundle import leave_bundle
from kitty_flow.cli.output import Result, command, note
from kitty_flow.cli.terminal import safe, wrapped
from kitty_flow.errors import KittyFlowError, RefusedError, UsageError

if TYPE_CHECKING:
    from kitty_flow.flow.mission import OpenMission
    from kitty_flow.model.diagnostic import Diagnostic
    from kitty_flow.model.gate import GateResult
    from kitty_flow.release.landing import MergeOptions
    from kitty_flow.release.merge import MergeReport
    from kitty_flow.release.plan import MergePlan
    from kitty_flow.release.push import PushReport

__all__ = ["merge"]

Strategy = Literal["merge", "squash", "rebase"]


def _flag(name: str, text: str) -> Any:
    return typer.Option(name, help=text)


@command(
    examples=[
        "kitty-flow merge checkout --plan",
        "kitty-flow merge checkout --test-command 'python -m pytest -q'",
        "kitty-flow merge checkout --strategy squash",
        "kitty-flow merge checkout --push",
        "kitty-flow merge checkout --override target_in_sync --reason 'the remote is being moved'",
    ]
)
def merge(
    mission: MissionArgument = None,
    test_command: Annotated[
        str | None,
        typer.Option("--test-command", metavar="CMD", help="Tests the tree that would land.", show_default="settings"),
    ] = None,
    strategy: Annotated[
        Strategy | None,
        typer.Option("--strategy", help="As which commits it lands; the tree is the same.", show_default="settings"),
    ] = None,
    plan: Annotated[bool, _flag("--plan", "Only tell what would land and what every gate says.")] = False,
    resume: Annotated[bool, _flag("--resume", "Finish the merge that was interrupted; begin none.")] = False,
    abort: Annotated[bool, _flag("--abort", "Give up the merge that was interrupted.")] = False,
    pr_branch: Annotated[
        bool, _flag("--pr-branch", "Make a branch with the mission alone, on top of what the remote has.")
    ] = False,
    push: Annotated[
        bool, _flag("--push", "Then push the landing, with the mission's ledger; repeat it to go on.")
    ] = False,
    pull_request: Annotated[
        bool, _flag("--pull-request", "Push that branch and open a pull request with gh or glab; land nothing.")
    ] = False,
    override: Annotated[
        list[str] | None,
        typer.Option("--override", metavar="GATE", help="Pass this closed gate; repeatable.", show_default=False),
    ] = None,
    every_commit: Annotated[
        bool, _flag("--every-commit", "Land one commit for each work package, each tested.")
    ] = False,
    retest: Annotated[bool, _flag("--retest", "Test again what was tested before.")] = False,
    no_eject: Annotated[
        bool, _flag("--no-eject", "Send nothing back to work that makes the tests fail; only name it.")
    ] = False,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the record.", show_default=False)
    ] = None,
) -> Result:
    """Test exactly the tree that would land, move the target to it in one step, and prove every work package done.

    Refused while anything is unfinished, in conflict, untested, or edited in a checkout of the target. A merge that was
    killed goes on when it is started again, and merging a merged mission proves once more that it landed.
    """
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.project import Project
    from kitty_flow.release.landing import MergeOptions

    alone = {"--plan": plan, "--abort": abort, "--pr-branch": pr_branch, "--pull-request": pull_request}
    _refuse_together({**alone, "--resume": resume})
    _refuse_together({**alone, "--push": push})
    project = Project.discover()
    settings = project.settings.merge
    argv = _split(test_command) if test_command is not None else settings.test_command
    options = MergeOptions(
        argv,
        settings.test_timeout_s,
        tuple(override or ()),
        reason or "",
        retest=retest,
        eject=not no_eject,
        every_commit=every_commit,
        strategy=strategy,
        default_strategy=settings.strategy,
    )
    with open_mission(project, mission) as opened:
        if plan:
            return _plan(opened, options)
        if abort:
            return _abort(opened, reason)
        if pr_branch:
            return _focused_branch(opened)
        if pull_request:
            return _pull_request(opened, options)
        return _merge(opened, options, resume=resume, push=push or settings.push)


def _refuse_together(given: dict[str, bool]) -> None:
    names = [name for name, is_given in given.items() if is_given]
    if len(names) > 1:
        raise UsageError("OPTIONS_EXCLUDE", f"{' and '.join(names)} exclude each other", hint="give one of them")


def _merge(opened: OpenMission, options: MergeOptions, *, resume: bool, push: bool) -> Result:
    from kitty_flow.ledger.evidence import collected
    from kitty_flow.release.abort import refuse_without_landing
    from kitty_flow.release.merge import merge_mission

    if resume:
        refuse_without_landing(opened)
    with collected(opened.ledger) as recorded:
        report = merge_mission(opened, options, _tell)
        pushed, error = _push(opened, options) if push else (None, None)
    remarks = (*opened.diagnostics, *_hollow(opened))
    data = report.as_data() | {"recorded": recorded}
    if push:
        data["pushed"] = pushed.as_data() if pushed else None
    data["bundle"], named = leave_bundle(opened)
    return Result(
        data,
        lambda: "\n".join([_text(report), _lines(named), *_push_lines(pushed)]),
        remarks,
        _ejected(opened, report) or error,
    )


def _ejected(opened: OpenMission, report: MergeReport) -> KittyFlowError | None:
    """What went back to work: the mission is not merged, although the rest of it has landed."""
    if not report.ejected:
        return None
    return RefusedError(
        "WORK_EJECTED",
        f"the tests fail with {', '.join(report.ejected)}, which went back to work; the rest has landed",
        hint=f"kitty-flow run {opened.slug}, then kitty-flow merge {opened.slug}",
        details={"ejected": list(report.ejected)},
    )


def _tell(line: str) -> None:
    """What is being tested, for a person who waits."""
    if sys.stderr is not None and sys.stderr.isatty():
        note(safe(line))


def _push(opened: OpenMission, options: MergeOptions) -> tuple[PushReport | None, KittyFlowError | None]:
    """The push, or why there is none: the landing stands either way and is to be shown."""
    from kitty_flow.release.push import push_landing
    from kitty_flow.release.recorded import proved_landing

    landing = proved_landing(opened, options)
    try:
        return (push_landing(opened, landing), None) if landing else (None, None)
    except KittyFlowError as error:
        return None, error


def _push_lines(pushed: PushReport | None) -> list[str]:
    if pushed is None:
        return []
    branch = pushed.ref.removeprefix("refs/heads/")
    what = "was there already: " if pushed.was_there else ""
    lines = [f"pushed  {what}{pushed.commit[:12]} on {branch} of {pushed.remote}"]
    if pushed.ledger_commit:
        lines[0] += ", with the ledger"
    return [safe(line) for line in (*lines, *_notes(pushed.remarks))]


def _pull_request(opened: OpenMission, options: MergeOptions) -> Result:
    from kitty_flow.release.override import refuse_overrides
    from kitty_flow.release.pull_request import offer_pull_request

    refuse_overrides(options)
    made = offer_pull_request(opened, options)
    lines = [f"{made.branch} is {'already ' if made.was_there else ''}on {made.remote}, at {made.commit[:12]}"]
    if made.tool:
        lines.append(f"pull request ({made.tool}): {made.url}")
    else:
        lines.append(f"next: open a pull request on the host, or install gh or glab and type\n  {made.command}")
    return Result(made.as_data(), "\n".join(lines), opened.diagnostics)


def _plan(opened: OpenMission, options: MergeOptions) -> Result:
    from kitty_flow.release.override import refuse_overrides
    from kitty_flow.release.plan import plan_merge

    refuse_overrides(options)
    made = plan_merge(opened, options)
    error = None
    if made.closed:
        first = made.closed[0]
        message = "; ".join(gate.message for gate in made.closed)
        error = RefusedError(first.diagnostic_code, message, hint=first.remediation or None)
    return Result(
        made.as_data(),
        lambda: _plan_text(made, _same_merge(opened, made)),
        (*opened.diagnostics, *_hollow(opened)),
        error,
    )


def _abort(opened: OpenMission, reason: str | None) -> Result:
    from kitty_flow.release.abort import abort_merge

    landing = abort_merge(opened, reason or "given up by a person")
    data = {"merge_id": landing.id, "state": "aborted", "target_ref": opened.target_ref}
    return Result(data, f"the merge of {opened.slug} was given up; {opened.target_branch} was not touched by it")


def _focused_branch(opened: OpenMission) -> Result:
    from kitty_flow.release.focused_branch import make_focused_branch

    made = make_focused_branch(opened)
    text = (
        f"{made.branch} is at {made.commit[:12]}, on top of {made.upstream}\n"
        f"next: git push {made.remote} {made.branch}, and open a pull request"
    )
    return Result(dict(made.__dict__), text)


def _hollow(opened: OpenMission) -> tuple[Diagnostic, ...]:
    """Approvals that say little about what landed; whether they may land at all is a gate's business."""
    from kitty_flow.flow.hollow import hollow_approvals
    from kitty_flow.model.diagnostic import Diagnostic

    return tuple(
        Diagnostic(severity="warning", diagnostic_code=reason.code, message=reason.message, phase="review")
        for reason in hollow_approvals(opened, opened.view())
    )


def _split(text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(
            "INVALID_TEST_COMMAND", f"the test command {text!r} cannot be read: {error}", hint="check its quotes"
        ) from error
    return words


def _gate_lines(gates: tuple[GateResult, ...]) -> list[str]:
    """Each gate once, as it answered last; then which of them were asked a second time, right before the landing."""
    last = {gate.gate: gate for gate in gates}
    again = [name for name in last if sum(gate.gate == name for gate in gates) > 1]
    lines = []
    for name, gate in last.items():
        word = "over" if gate.overridden_by else gate.outcome
        lines += wrapped(f"  {word:<5} {name}: {gate.message}", indent=8)
        if gate.overridden_by:
            lines += wrapped(f"        overridden by {gate.overridden_by}: {gate.override_reason}", indent=8)
    if again:
        lines += wrapped(f"  again {', '.join(again)}: asked once more right before the landing", indent=8)
    return lines


def _notes(remarks: Sequence[str]) -> list[str]:
    return [line for remark in remarks for line in wrapped(f"  note  {remark}", indent=8)]


def _lines(text: str) -> str:
    return "\n".join(safe(line) for line in text.splitlines())


def _same_merge(opened: OpenMission, plan: MergePlan) -> str:
    """The command that merges with the tests of the plan."""
    words = ["kitty-flow", "merge", opened.slug]
    if plan.test_command is None or plan.test_command != opened.project.settings.merge.test_command:
        words += ["--test-command", shlex.join(plan.test_command or ("CMD",))]
    return shlex.join(words)


def _plan_text(plan: MergePlan, command_line: str) -> str:
    target = plan.target_ref.removeprefix("refs/heads/")
    lines = [f"would land on {target}: {', '.join(plan.heads) or 'nothing'}", *_gate_lines(plan.gates)]
    for later in plan.later:
        lines += wrapped(f"  later {later.gate}, before {later.step}: {later.description}", indent=8)
    lines += [line for each in plan.tests for line in wrapped(f"  test  {each.sentence()}", indent=8)]
    lines += [
        f"  stack {layer.work_package_id}: head {layer.head[:12]}, tree {layer.tree[:12]}" for layer in plan.layers
    ]
    lines += [f"  {c.work_package} does not merge with {c.other}: {', '.join(c.paths[:5])}" for c in plan.collisions]
    lines += _notes(plan.remarks)
    if plan.candidate_commit:
        lines += [f"commit  {plan.candidate_commit} ({plan.strategy})", f"tree    {plan.candidate_tree}"]
        lines.append(f"changes {len(plan.changed_paths)} file(s); nothing was changed by this look")
    if not plan.closed:
        lines.append(f"next: {command_line}")
    return "\n".join(safe(line) for line in lines)


def _text(report: MergeReport) -> str:
    target = report.target_ref.removeprefix("refs/heads/")
    count = len(report.landed_work_packages)
    what = f"{count} work package{'' if count == 1 else 's'}"
    lines = [f"{'resumed; ' if report.resumed else ''}landed {what} on {target}", *_gate_lines(report.gates)]
    lines += _notes(report.remarks)
    lines += [f"commit  {report.landed_commit} ({report.strategy})", f"tree    {report.tested_tree} (tested)"]
    return "\n".join(safe(line) for line in lines)
