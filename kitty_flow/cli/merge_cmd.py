"""`kitty-flow merge`: the gated way into the target branch."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from kitty_flow.cli.context_options import MissionArgument
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import safe
from kitty_flow.errors import UsageError

if TYPE_CHECKING:
    from kitty_flow.flow.mission import OpenMission
    from kitty_flow.model.diagnostic import Diagnostic
    from kitty_flow.release.merge import MergeReport

__all__ = ["merge"]


@command(examples=["kitty-flow merge checkout", "kitty-flow merge checkout --test-command 'python -m pytest -q'"])
def merge(
    mission: MissionArgument = None,
    test_command: Annotated[
        str | None,
        typer.Option("--test-command", metavar="CMD", help="Tests the tree that would land.", show_default="settings"),
    ] = None,
) -> Result:
    """Test exactly the tree that would land, move the target to it in one step, and prove every work package done.

    Refused while anything is unfinished, in conflict, untested, or edited in a checkout of the target. A merge that was
    killed goes on when it is started again, and merging a merged mission proves once more that it landed.
    """
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.project import Project
    from kitty_flow.ledger.evidence import collected
    from kitty_flow.release.landing import MergeOptions
    from kitty_flow.release.merge import merge_mission

    project = Project.discover()
    settings = project.settings.merge
    argv = _split(test_command) if test_command is not None else settings.test_command
    with open_mission(project, mission) as opened:
        with collected(opened.ledger) as recorded:
            report = merge_mission(opened, MergeOptions(argv, settings.test_timeout_s))
        remarks = (*opened.diagnostics, *_hollow(opened))
        return Result(report.as_data() | {"recorded": recorded}, lambda: _text(report), remarks)


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


def _text(report: MergeReport) -> str:
    target = report.target_ref.removeprefix("refs/heads/")
    count = len(report.landed_work_packages)
    what = f"{count} work package{'' if count == 1 else 's'}"
    lines = [f"{'resumed; ' if report.resumed else ''}landed {what} on {target}"]
    lines += [f"  {'pass':<5} {gate.gate}: {gate.message}" for gate in report.gates]
    lines += [f"  note  {remark}" for remark in report.remarks]
    lines += [f"commit  {report.landed_commit}", f"tree    {report.tested_tree} (tested)"]
    return "\n".join(safe(line) for line in lines)
