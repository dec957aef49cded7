"""`kitty-flow doctor`: finds and explains what is broken; it changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from kitty_flow.cli.groups import CommandGroup
from kitty_flow.cli.output import JsonOption, Result, command
from kitty_flow.cli.terminal import console, safe, table

if TYPE_CHECKING:
    from rich.table import Table

    from kitty_flow.flow.doctor.examination import Examination
    from kitty_flow.flow.doctor.finding import DoctorFinding

__all__ = ["app"]


class _DoctorGroup(CommandGroup):
    """A group that also works without a further word: then everything is looked at."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the group's own options; no word at all is not a question for the help here."""
        return TyperGroup.parse_args(self, ctx, args)


app = typer.Typer(cls=_DoctorGroup, add_completion=False, rich_markup_mode=None)


@command(examples=["kitty-flow doctor", "kitty-flow doctor --json", "kitty-flow doctor locks"])
def _everything() -> Result:
    """Find what is broken and say what helps; nothing is changed.

    Looks at the installation, the settings, the ledgers with their branches, the worktrees and the locks, or at one
    part only. Outside a repository it looks at the installation. The exit status is 4 when there is a problem.
    """
    from kitty_flow.flow.doctor.examination import examine_all

    return _result(examine_all())


@app.callback(invoke_without_command=True, help=_everything.__doc__)
def _doctor(ctx: typer.Context, json_output: JsonOption = False) -> None:
    if ctx.invoked_subcommand is None:
        _everything(ctx=ctx, json_output=json_output)


@app.command("ledger")
@command(examples=["kitty-flow doctor ledger"])
def ledger() -> Result:
    """Check that every ledger can be read, agrees with itself, and that the branches hold what it says."""
    from kitty_flow.flow.doctor.examination import examine

    return _result(examine("ledger"))


@app.command("locks")
@command(examples=["kitty-flow doctor locks"])
def locks() -> Result:
    """List lock files that killed git processes left behind, and kitty-flow's own locks that are held."""
    from kitty_flow.flow.doctor.examination import examine

    return _result(examine("locks"))


@app.command("worktrees")
@command(examples=["kitty-flow doctor worktrees"])
def worktrees() -> Result:
    """List the worktrees of all missions with their state, and the unsaved work that was kept."""
    from kitty_flow.flow.doctor.examination import examine

    return _result(examine("worktrees"))


def _result(examination: Examination) -> Result:
    return Result(examination.as_data(), lambda: _text(examination), (), examination.error)


def _text(examination: Examination) -> str:
    found = examination.findings
    rows = [(f.status, f.check, f.subject, f.message) for f in found]
    lines = [_plain(table(("STATUS", "CHECK", "SUBJECT", "FINDING"), rows))]
    lines += _remedies("to mend:", [f for f in found if f.status != "ok"])
    lines += _remedies("to look at:", [f for f in found if f.status == "ok"])
    if not examination.problems:
        lines += ["", "no problems"]
    return "\n".join(lines)


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
