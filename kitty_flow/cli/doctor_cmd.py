"""`kitty-flow doctor`: finds and explains what is broken, and with ``--fix`` mends what is safe to mend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from kitty_flow.cli.groups import CommandGroup
from kitty_flow.cli.output import JsonOption, Result, command
from kitty_flow.cli.terminal import console, safe, table
from kitty_flow.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from kitty_flow.flow.doctor.examination import Examination, Part, Treatment
    from kitty_flow.flow.doctor.finding import DoctorFinding
    from kitty_flow.flow.project import Project
    from kitty_flow.invocation.sweep import SweepReport

__all__ = ["app"]


class _DoctorGroup(CommandGroup):
    """A group that also works without a further word: then everything is looked at."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the group's own options; no word at all is not a question for the help here."""
        return TyperGroup.parse_args(self, ctx, args)


FixOption = Annotated[
    bool, typer.Option("--fix", help="Mend what is safe to mend, then look again.", show_default=False)
]

app = typer.Typer(cls=_DoctorGroup, add_completion=False, rich_markup_mode=None)


@command(examples=["kitty-flow doctor", "kitty-flow doctor --json", "kitty-flow doctor locks --fix"])
def _everything(fix: FixOption = False) -> Result:
    """Find what is broken and say what helps; without --fix nothing is changed.

    Looks at the installation, the settings, the ledgers with their branches, the worktrees, the locks and the conflicts
    between clones, or at one part only. Outside a repository it looks at the installation. The exit status is 4 when
    there is a problem, with --fix when one is left.
    """
    from kitty_flow.flow.doctor.examination import examine_all

    return _result(examine_all(fix=fix, beside=_requests))


@app.callback(invoke_without_command=True, help=_everything.__doc__)
def _doctor(ctx: typer.Context, json_output: JsonOption = False, fix: FixOption = False) -> None:
    if ctx.invoked_subcommand is None:
        _everything(ctx=ctx, json_output=json_output, fix=fix)
    elif fix:
        part = f"kitty-flow doctor {ctx.invoked_subcommand}"
        raise UsageError("INVALID_USAGE", "--fix belongs behind the part that it is for", hint=f"{part} --fix")


@app.command("ledger")
@command(examples=["kitty-flow doctor ledger", "kitty-flow doctor ledger --fix"])
def ledger(fix: FixOption = False) -> Result:
    """Check that ledgers and the log of requests can be read and agree with themselves and the branches.

    With --fix, a ref that lost what was acknowledged is brought back, an index that is not right is made anew, and
    files that a killed command left behind are removed. No line of a ledger is ever lost by that.
    """
    return _part("ledger", fix)


@app.command("locks")
@command(examples=["kitty-flow doctor locks", "kitty-flow doctor locks --fix"])
def locks(fix: FixOption = False) -> Result:
    """List lock files that killed git processes left behind, and kitty-flow's own locks that are held.

    With --fix, those that are provably dead are removed: too old, and no git process is at work in the repository.
    """
    return _part("locks", fix)


@app.command("worktrees")
@command(examples=["kitty-flow doctor worktrees", "kitty-flow doctor worktrees --fix"])
def worktrees(fix: FixOption = False) -> Result:
    """List the worktrees of all missions with their state and size, and the unsaved work that was kept.

    With --fix, those that are over are removed: their mission is finished, for as long as the settings keep them, or
    their lane has a newer one. Only clean ones whose commit a branch or a salvage ref has; no other is touched.
    """
    return _part("worktrees", fix)


@app.command("conflicts")
@command(examples=["kitty-flow doctor conflicts", "kitty-flow doctor conflicts --json"])
def conflicts(fix: FixOption = False) -> Result:
    """List what two clones recorded without knowing of each other, and claims that no remote has confirmed.

    Which event counts follows from the ledger alone, everywhere alike: nothing has to be mended, both stay in the log.
    """
    return _part("conflicts", fix)


@app.command("ops")
@command(examples=["kitty-flow doctor ops", "kitty-flow doctor ops --close-stale --threshold 48"])
def ops(
    close_stale: Annotated[
        bool, typer.Option("--close-stale", help="Close those that are stale as abandoned.", show_default=False)
    ] = False,
    threshold: Annotated[
        float, typer.Option("--threshold", min=0, metavar="HOURS", help="From this age on they are stale.")
    ] = 24,
) -> Result:
    """List requests to profiles that nobody closed, with their age; nothing is changed without --close-stale.

    The steps of missions are not among them: kitty-flow run and next look after those.
    """
    from kitty_flow.flow.project import Project
    from kitty_flow.invocation.sweep import sweep

    report = sweep(Project.discover(), close_stale=close_stale, threshold_h=threshold)
    return Result(report.as_data(), lambda: _ops_text(report), report.warnings)


def _ops_text(report: SweepReport) -> str:
    lines = [f"closed as abandoned: {safe(record.invocation_id)}" for record in report.swept]
    if not report.open_ops:
        return "\n".join([*lines, "no request is open"])
    rows = [
        (
            each.row["invocation_id"],
            f"{each.age_h:.1f} h",
            "stale" if each.is_stale else "fresh",
            each.row["profile_id"],
            each.row["action"],
            each.row["actor"],
        )
        for each in report.open_ops
    ]
    lines.append(_plain(table(("INVOCATION", "AGE", "IS", "PROFILE", "ACTION", "ACTOR"), rows)))
    lines += ["", "to close one:", "  kitty-flow profile-invocation complete --invocation-id ID --outcome abandoned"]
    if any(each.is_stale for each in report.open_ops):
        lines += [
            "to close all that are stale:",
            f"  kitty-flow doctor ops --close-stale --threshold {report.threshold_h:g}",
        ]
    return "\n".join(lines)


def _part(name: Part, fix: bool) -> Result:
    from kitty_flow.flow.doctor.examination import examine

    return _result(examine(name, fix=fix, beside=_requests))


def _requests(project: Project, part: Part) -> Iterator[DoctorFinding]:
    from kitty_flow.invocation.soundness import examine_requests  # late: the installation may not be whole

    return examine_requests(project, part)


def _result(examination: Examination) -> Result:
    return Result(examination.as_data(), lambda: _text(examination), (), examination.error)


def _text(examination: Examination) -> str:
    found = examination.findings
    rows = [(f.status, f.check, f.subject, f.message) for f in found]
    lines = [_plain(table(("STATUS", "CHECK", "SUBJECT", "FINDING"), rows))]
    lines += _treatments(examination.treatments)
    lines += _remedies("to mend:", [f for f in found if f.status != "ok"])
    lines += _remedies("to look at:", [f for f in found if f.status == "ok"])
    if not examination.problems:
        lines += ["", "no problems"]
    return "\n".join(lines)


def _treatments(treatments: tuple[Treatment, ...] | None) -> list[str]:
    if treatments is None:
        return []
    lines = [
        f"  {safe(t.finding.subject)}: "
        + (safe(t.done) if t.done is not None else f"nothing was done: {safe(_why(t.failure))}")
        for t in treatments
    ]
    return ["", "mended:", *lines] if lines else ["", "there was nothing to mend"]


def _why(failure: Exception | None) -> str:
    hint = getattr(failure, "hint", None)
    return f"{getattr(failure, 'message', failure)}{f'; {hint}' if hint else ''}"


def _remedies(title: str, findings: list[DoctorFinding]) -> list[str]:
    lines = dict.fromkeys(f"  {safe(finding.remedy)}" for finding in findings if finding.remedy)
    return ["", title, *lines] if lines else []


def _plain(grid: Table) -> str:
    """The table as text. A rich table beside other text would have that text cropped, and commands must stay whole."""
    from io import StringIO

    from rich.console import Console

    page = Console(file=StringIO(), width=console().width, color_system=None, markup=False, highlight=False)
    with page.capture() as capture:
        page.print(grid)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
