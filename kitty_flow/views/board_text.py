"""The board for people: one row for each work package, what is ready, and what needs a look."""

from __future__ import annotations

from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from kitty_flow.flow.board import Board, WorkPackageStatus
from kitty_flow.model.text import clean
from kitty_flow.views.grid import Grid

__all__ = ["board_text"]

_STYLE: Final = {
    "planned": "dim",
    "claimed": "cyan",
    "in_progress": "cyan",
    "for_review": "yellow",
    "in_review": "yellow",
    "approved": "green",
    "done": "bold green",
    "blocked": "bold red",
    "canceled": "dim strike",
}
"""Colours support the word, they never replace it."""

_COLUMNS: Final = ("WAVE", "WP", "TITLE", "STATE", "LANE", "TRY", "WHO")


def board_text(board: Board, *, live: bool = False) -> RenderableType:
    """The board as a rich renderable; plain text without a terminal. A live one suggests no command."""
    head = Text()
    head.append(clean(str(board.mission["title"])), style="bold")
    head.append(f"  {board.mission['slug']}  {board.mission['state']}  {board.progress:.0%}\n")
    if not board.work_packages:
        told = f"no work packages; its phases: kitty-flow mission show {board.mission['slug']}\n"
        return Group(head, Text(told + "\n".join(filter(None, _foot(board, live=live)))))
    rows = []
    wave = 0
    for card in board.work_packages:
        rows.append(_row(card, shown_wave="" if card.wave == wave else str(card.wave)))
        wave = card.wave
    styles = ["red" if card.force_count else _STYLE.get(card.state, "") for card in board.work_packages]
    grid = Grid(_COLUMNS, rows, styled=_COLUMNS.index("STATE"), styles=styles)
    return Group(head, grid, Text("\n" + "\n".join(_foot(board, live=live))))


def _row(card: WorkPackageStatus, *, shown_wave: str) -> tuple[str, ...]:
    forced = f" (forced {card.force_count}x)" if card.force_count else ""
    cells = (card.id, card.title, card.state + forced, card.execution_lane, str(card.attempt or ""), card.actor or "")
    return (shown_wave, *map(clean, cells))


def _foot(board: Board, *, live: bool) -> list[str]:
    lines = [", ".join(f"{number} {state}" for state, number in board.counts.items())]
    if board.ready:
        lines.append(f"ready: {', '.join(board.ready)}")
    lines += [clean(warning) for warning in board.warnings]
    command = {"accepted": "merge", "merged": "verify", "planned": "run", "running": "run"}.get(board.mission["state"])
    if not board.work_packages:
        command = "next --agent NAME -m" if board.mission["state"] == "draft" else "mission show"
    stuck = [w.id for w in board.work_packages if w.state == "blocked"]
    if live:
        return lines
    if stuck and not board.ready and board.mission["state"] == "running":
        lines.append(f"next: kitty-flow why {stuck[0]} -m {board.mission['slug']}")
    elif command:
        lines.append(f"next: kitty-flow {command} {board.mission['slug']}")
    return lines
