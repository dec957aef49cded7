"""`kitty-flow ship`: the gated way into a release."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kitty_flow.cli.context_options import MissionArgument
from kitty_flow.cli.evidence_bundle import leave_bundle
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import safe, wrapped
from kitty_flow.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from kitty_flow.flow.mission import OpenMission
    from kitty_flow.model.gate import GateResult
    from kitty_flow.release.ship.plan import ShipPlan
    from kitty_flow.release.ship.report import ShipReport
    from kitty_flow.release.ship.sheet import ShipOptions

__all__ = ["ship"]


def _flag(name: str, text: str) -> Any:
    return typer.Option(name, help=text)


@command(
    examples=[
        "kitty-flow ship checkout --version 1.4.0 --plan",
        "kitty-flow ship checkout --version 1.4.0 --push",
        "kitty-flow ship checkout --resume",
    ]
)
def ship(
    mission: MissionArgument = None,
    version: Annotated[
        str | None, typer.Option("--version", metavar="X", help="What it is released as.", show_default=False)
    ] = None,
    plan: Annotated[bool, _flag("--plan", "Only tell what every gate and probe says.")] = False,
    resume: Annotated[bool, _flag("--resume", "Finish the release that was interrupted; begin none.")] = False,
    abort: Annotated[bool, _flag("--abort", "Give up the release while nothing is public.")] = False,
    push: Annotated[bool, _flag("--push", "Push the tag when everything else is done.")] = False,
    override: Annotated[
        list[str] | None,
        typer.Option("--override", metavar="GATE", help="Pass this closed gate; repeatable.", show_default=False),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the record.", show_default=False)
    ] = None,
) -> Result:
    """Release a merged mission: check the version, build and check the artifacts, tag, publish, and prove it.

    Nothing is checked out, and no file of yours is changed. A release that was killed goes on when it is started again;
    each publish step is asked for by its probe first, so that none is taken twice.
    """
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.project import Project
    from kitty_flow.release.ship.sheet import ShipOptions

    given = [name for name, is_given in (("--plan", plan), ("--resume", resume), ("--abort", abort)) if is_given]
    if len(given) > 1:
        raise UsageError("OPTIONS_EXCLUDE", f"{' and '.join(given)} exclude each other", hint="give one of them")
    options = ShipOptions(push, tuple(override or ()), reason or "")
    with open_mission(Project.discover(), mission) as opened:
        if plan:
            return _plan(opened, version, options)
        if abort:
            return _abort(opened, reason)
        return _ship(opened, version, options, resume=resume)


def _ship(opened: OpenMission, version: str | None, options: ShipOptions, *, resume: bool) -> Result:
    from kitty_flow.ledger.evidence import collected
    from kitty_flow.release.ship.abort import refuse_without_release
    from kitty_flow.release.ship.ship import ship_mission

    if resume:
        refuse_without_release(opened)
    with collected(opened.ledger) as recorded:
        report = ship_mission(opened, version, options)
    # Until the release is proved, the bundle would tell half of it.
    bundle, named = (None, "") if report.next_command else leave_bundle(opened)
    data = report.as_data() | {"recorded": recorded, "bundle": bundle}
    return Result(data, lambda: _text(report, named), opened.diagnostics)


def _plan(opened: OpenMission, version: str | None, options: ShipOptions) -> Result:
    from kitty_flow.release.ship.plan import plan_release

    made = plan_release(opened, version, options)
    error = None
    if made.closed:
        first = made.closed[0]
        message = "; ".join(gate.message for gate in made.closed)
        error = RefusedError(first.diagnostic_code, message, hint=first.remediation or None)
    return Result(made.as_data(), lambda: _plan_text(made, opened.slug), opened.diagnostics, error)


def _abort(opened: OpenMission, reason: str | None) -> Result:
    from kitty_flow.release.ship.abort import abort_release

    release = abort_release(opened, reason or "given up by a person")
    data = {"release_id": release.id, "version": release.version, "state": "aborted"}
    return Result(data, f"the release of {release.version} was given up; nothing of it is public")


def _gate_lines(gates: tuple[GateResult, ...]) -> list[str]:
    """Each answer once, as it was given last; one gate may have several, each about a place of its own."""
    last = {(gate.gate, gate.subject if not gate.is_open else ""): gate for gate in gates}
    lines = []
    for gate in last.values():
        word = "over" if gate.overridden_by else gate.outcome
        lines += wrapped(f"  {word:<5} {gate.gate}: {gate.message.removeprefix(gate.gate + ': ')}", indent=8)
        if gate.overridden_by:
            lines += wrapped(f"        overridden by {gate.overridden_by}: {gate.override_reason}", indent=8)
    return lines


def _plan_text(plan: ShipPlan, slug: str) -> str:
    lines = [f"would ship {plan.version} from {plan.release_commit[:12]} as {plan.tag}", *_gate_lines(plan.gates)]
    if plan.begun_state:
        lines.insert(1, f"  begun and {plan.begun_state}; ship goes on from there")
    if plan.later:
        lines += wrapped(f"  later {', '.join(plan.later)}: asked in the course of the release", indent=8)
    for step in plan.steps:
        says = f" [{step.says}]" if step.says else ""
        lines += wrapped(f"  {step.kind:<7} {step.name}: {' '.join(step.command)}{says}", indent=10)
    lines.append(f"  tag     {plan.tag}" + (f", pushed to {plan.remote} with --push" if plan.remote else ""))
    if plan.proposed_changelog_block:
        lines += ["", "proposed entry for the changelog:", ""]
        lines += textwrap.indent(plan.proposed_changelog_block, "    ").splitlines()
    lines += ["", "nothing was changed by this look"]
    if not plan.closed:
        lines.append(f"next: kitty-flow ship {slug} --version {plan.version}")
    return "\n".join(safe(line) for line in lines)


def _text(report: ShipReport, named: str) -> str:
    is_over = not report.next_command
    begin = "resumed; " if report.resumed else ""
    done = "tagged and published" if report.published else "tagged"
    what = f"shipped {report.version}" if is_over else f"{report.version} is {done} here; the tag is not pushed"
    lines = [f"{begin}{what}", *_gate_lines(report.gates)]
    lines += [f"  built {name} sha256:{digest[:12]}" for name, digest in report.artifacts.items()]
    lines += [f"  out   {name}" for name in report.published]
    lines += [line for remark in report.remarks for line in wrapped(f"  note  {remark}", indent=8)]
    lines += [
        f"commit  {report.release_commit}",
        f"tag     {report.tag} ({'signed' if report.signed else 'not signed'})",
    ]
    if report.next_command:
        lines.append(f"next: {report.next_command}")
    lines += named.splitlines()
    return "\n".join(safe(line) for line in lines)
