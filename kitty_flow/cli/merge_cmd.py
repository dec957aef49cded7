"""`kitty-flow merge`: the gated way into the target branch."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kitty_flow.cli.context_options import MissionArgument
from kitty_flow.cli.evidence_bundle import leave_bundle
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import safe, wrapped
from kitty_flow.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from kitty_flow.flow.mission import OpenMission
    from kitty_flow.model.diagnostic import Diagnostic
    from kitty_flow.model.gate import GateResult
    from kitty_flow.release.landing import MergeOptions
    from kitty_flow.release.merge import MergeReport
    from kitty_flow.release.plan import MergePlan

__all__ = ["merge"]


def _flag(name: str, text: str) -> Any:
    return typer.Option(name, help=text)


@command(
    examples=[
        "kitty-flow merge checkout --plan",
        "kitty-flow merge checkout --test-command 'python -m pytest -q'",
        "kitty-flow merge checkout --override target_in_sync --reason 'the remote is being moved'",
    ]
)
def merge(
    mission: MissionArgument = None,
    test_command: Annotated[
        str | None,
        typer.Option("--test-command", metavar="CMD", help="Tests the tree that would land.", show_default="settings"),
    ] = None,
    plan: Annotated[bool, _flag("--plan", "Only tell what would land and what every gate says.")] = False,
    resume: Annotated[bool, _flag("--resume", "Finish the merge that was interrupted; begin none.")] = False,
    abort: Annotated[bool, _flag("--abort", "Give up the merge that was interrupted.")] = False,
    pr_branch: Annotated[
        bool, _flag("--pr-branch", "Make a branch with the mission alone, on top of what the remote has.")
    ] = False,
    override: Annotated[
        list[str] | None, typer.Option("--override", metavar="GATE", help="Pass this closed gate.", show_default=False)
    ] = None,
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

    _refuse_together({"--plan": plan, "--resume": resume, "--abort": abort, "--pr-branch": pr_branch})
    project = Project.discover()
    settings = project.settings.merge
    argv = _split(test_command) if test_command is not None else settings.test_command
    options = MergeOptions(argv, settings.test_timeout_s, tuple(override or ()), reason or "")
    with open_mission(project, mission) as opened:
        if plan:
            return _plan(opened, options)
        if abort:
            return _abort(opened, reason)
        if pr_branch:
            return _focused_branch(opened)
        return _merge(opened, options, resume=resume)


def _refuse_together(given: dict[str, bool]) -> None:
    names = [name for name, is_given in given.items() if is_given]
    if len(names) > 1:
        raise UsageError("OPTIONS_EXCLUDE", f"{' and '.join(names)} exclude each other", hint="give one of them")


def _merge(opened: OpenMission, options: MergeOptions, *, resume: bool) -> Result:
    from kitty_flow.ledger.evidence import collected
    from kitty_flow.release.abort import refuse_without_landing
    from kitty_flow.release.merge import merge_mission

    if resume:
        refuse_without_landing(opened)
    with collected(opened.ledger) as recorded:
        report = merge_mission(opened, options)
    remarks = (*opened.diagnostics, *_hollow(opened))
    bundle, named = leave_bundle(opened)
    data = report.as_data() | {"recorded": recorded, "bundle": bundle}
    return Result(data, lambda: f"{_text(report)}\n{_lines(named)}", remarks)


def _plan(opened: OpenMission, options: MergeOptions) -> Result:
    from kitty_flow.release.override import check_overrides
    from kitty_flow.release.plan import plan_merge

    check_overrides(options)
    made = plan_merge(opened, options)
    error = None
    if made.closed:
        first = made.closed[0]
        message = "; ".join(gate.message for gate in made.closed)
        error = RefusedError(first.diagnostic_code, message, hint=first.remediation or None)
    return Result(made.as_data(), lambda: _plan_text(made), (*opened.diagnostics, *_hollow(opened)), error)


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
        f"next: git push {made.upstream.partition('/')[0]} {made.branch}, and open a pull request"
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
    """Each gate once, as it answered last: those on the way to the target are asked again before it moves."""
    last = {gate.gate: gate for gate in gates}
    lines = []
    for name, gate in last.items():
        word = "over" if gate.overridden_by else gate.outcome
        lines += wrapped(f"  {word:<5} {name}: {gate.message}", indent=8)
        if gate.overridden_by:
            lines += wrapped(f"        overridden by {gate.overridden_by}: {gate.override_reason}", indent=8)
    return lines


def _lines(text: str) -> str:
    return "\n".join(safe(line) for line in text.splitlines())


def _plan_text(plan: MergePlan) -> str:
    target = plan.target_ref.removeprefix("refs/heads/")
    lines = [f"would land on {target}: {', '.join(plan.heads) or 'nothing'}", *_gate_lines(plan.gates)]
    lines += [f"  later {name}" for name in plan.later]
    lines += [f"  {c.work_package} does not merge with {c.other}: {', '.join(c.paths[:5])}" for c in plan.collisions]
    lines += [f"  note  {remark}" for remark in plan.remarks]
    if plan.candidate_commit:
        lines += [f"commit  {plan.candidate_commit}", f"tree    {plan.candidate_tree}"]
        lines.append(f"changes {len(plan.changed_paths)} file(s); nothing was changed by this look")
    return "\n".join(safe(line) for line in lines)


def _text(report: MergeReport) -> str:
    target = report.target_ref.removeprefix("refs/heads/")
    count = len(report.landed_work_packages)
    what = f"{count} work package{'' if count == 1 else 's'}"
    lines = [f"{'resumed; ' if report.resumed else ''}landed {what} on {target}", *_gate_lines(report.gates)]
    lines += [f"  note  {remark}" for remark in report.remarks]
    lines += [f"commit  {report.landed_commit}", f"tree    {report.tested_tree} (tested)"]
    return "\n".join(safe(line) for line in lines)
