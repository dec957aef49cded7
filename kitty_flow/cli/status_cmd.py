"""`kitty-flow status`: the board of a mission."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from kitty_flow.cli.context_options import MissionArgument
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import console

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kitty_flow.flow.board import Board
    from kitty_flow.flow.mission import OpenMission

__all__ = ["status"]

_LOOK_AGAIN_S = 1.0


@command(examples=["kitty-flow status", "kitty-flow status checkout --watch"])
def status(
    mission: MissionArgument = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show changes as they happen, until nothing is left.")] = False,
) -> Result:
    """Show every work package with its state, and what is ready to be worked on."""
    from kitty_flow.flow.board import make_board
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.project import Project

    with open_mission(Project.discover(), mission) as opened:
        if watch:
            _watch(opened)
        board = make_board(opened)
        return Result(board.as_data(), lambda: _text(board), opened.diagnostics)


def _text(board: Board) -> RenderableType:
    from kitty_flow.views.board_text import board_text

    return board_text(board)


def _watch(opened: OpenMission) -> None:
    """Redraw on stderr when the ledger moved, until the mission is over or the user stops it."""
    from rich.live import Live

    from kitty_flow.flow.board import make_board
    from kitty_flow.views.board_text import board_text

    seen = None
    with Live(console=console(stderr=True), auto_refresh=False, transient=True) as live:
        while opened.state() in ("draft", "planned", "running", "paused"):
            tip = opened.view().tip
            if tip != seen:
                live.update(board_text(make_board(opened), live=True), refresh=True)
                seen = tip
            time.sleep(_LOOK_AGAIN_S)
