"""The board for people: one row for each work package, what is ready, and what needs a look."""

from __future__ import annotations

from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from kitty_flow.flow.board import Board, WorkPackageStatus, next_commands
from kitty_flow.model.text import clean
from kitty_flow.views.grid import Grid
from kitty_flow.views.state_style import STATE_STYLE

__all__ = ["board_text"]

_COLUMNS: Final = ("WAVE", "WP", "TITLE", "STATE", "LANE", "TRY", "WHO")


def board_text(board: Board) -> RenderableType:
    """The board as a rich renderable; plain text without a terminal."""
    head = Text()
    head.append(clean(str(board.mission["title"])), style="bold")
    head.append(f"  {board.mission['slug']}  {board.mission['state']}  {board.progress_words}\n")
    if not board.work_packages:
        told = f"no work packages; its phases: kitty-flow mission show {board.mission['slug']}\n"
        return Group(head, Text(told + "\n".join(filter(None, _foot(board)))))
    rows = []
    wave = 0
    for card in board.work_packages:
        rows.append(_row(card, shown_wave="" if card.wave == wave else str(card.wave)))
        wave = card.wave
    styles = ["red" if card.force_count else STATE_STYLE.get(card.state, "") for card in board.work_packages]
    grid = Grid(_COLUMNS, rows, styled=_COLUMNS.index("STATE"), styles=styles)
    return Group(head, grid, Text("\n" + "\n".join(_foot(board))))


def _row(card: WorkPackageStatus, *, shown_wave: str) -> tuple[str, ...]:
    forced = f" (forced {card.force_count}x)" if card.force_count else ""
    cells = (card.id, card.title, card.state + forced, card.execution_lane, str(card.attempt or ""), card.actor or "")
    return (shown_wave, *map(clean, cells))


def _foot(board: Board) -> list[str]:
    lines = [", ".join(f"{number} {state}" for state, number in board.counts.items())]
    if board.ready:
        lines.append(f"ready: {', '.join(board.ready)}")
    lines += [clean(warning) for warning in board.warnings]
    return [*lines, *(f"next: {command}" for command in next_commands(board)[:1])]
