"""`kitty-flow status`: the board of a mission, now or as it changes, and the report of what happened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kitty_flow.cli.context_options import MissionArgument
from kitty_flow.cli.output import Result, command, is_json
from kitty_flow.cli.output_file import write_output
from kitty_flow.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kitty_flow.flow.board import Board
    from kitty_flow.flow.mission import OpenMission

__all__ = ["status"]


@command(
    examples=[
        "kitty-flow status",
        "kitty-flow status checkout --watch",
        "kitty-flow status checkout --report report.md",
    ]
)
def status(
    mission: MissionArgument = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show changes as they happen, until the mission is accepted or over.")
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="With --watch: lines instead of a live board.")] = False,
    report: Annotated[
        str | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Tell what happened so far as Markdown, in this file; - for stdout.",
            show_default=False,
        ),
    ] = None,
) -> Result:
    """Show every work package with its state, and what is ready to be worked on.

    --watch looks at the ledger, so it shows the work of every run and agent of this clone. It ends by itself with exit
    status 0 when everything is approved, and with 130 when you stop it by Ctrl-C; neither touches the run.
    """
    from kitty_flow.errors import InterruptedRunError
    from kitty_flow.flow.board import make_board
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.project import Project

    _refuse_contradictions(watch, plain)
    with open_mission(Project.discover(), mission) as opened:
        if watch:
            from kitty_flow.views.progress import watch as watch_mission

            try:
                watch_mission(opened, plain=plain)
            except KeyboardInterrupt:
                raise InterruptedRunError(
                    "WATCH_STOPPED",
                    f"no longer watching {opened.slug}, which is {opened.state()}; nothing else was stopped",
                    hint=f"kitty-flow status {opened.slug}",
                ) from None
        if report is not None:
            return _report(opened, report)
        board = make_board(opened)
        return Result(board.as_data(), lambda: _text(board), opened.diagnostics)


def _refuse_contradictions(watch: bool, plain: bool) -> None:
    if watch and is_json():
        raise UsageError(
            "WATCH_IS_FOR_PEOPLE",
            "--watch shows many boards and --json prints one document",
            hint="kitty-flow status --json for the board; kitty-flow log --json --since-clock N for what came since",
        )
    if plain and not watch:
        raise UsageError("PLAIN_WITHOUT_WATCH", "--plain is about how --watch looks", hint="kitty-flow status --watch")


def _report(opened: OpenMission, output: str) -> Result:
    """The board's data, and the report as a file or as text."""
    from kitty_flow.flow.report import make_report
    from kitty_flow.views.report_markdown import report_markdown

    made = make_report(opened)
    text = report_markdown(made)
    data = {"report": made.as_data(), "output": None if output == "-" else output}
    if output == "-":
        return Result(data | {"text": text}, text, opened.diagnostics)
    write_output(Path(output), text.encode(), option="--report")
    return Result(data, f"wrote {output}", opened.diagnostics)


def _text(board: Board) -> RenderableType:
    from kitty_flow.views.board_text import board_text

    return board_text(board)
