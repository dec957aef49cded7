"""What a run is doing, told from the receipts of the ledger: a live board on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from kitty_flow.flow.board import make_board
from kitty_flow.flow.mission import OpenMission
from kitty_flow.ledger.ledger import Receipt
from kitty_flow.model.event import Event
from kitty_flow.model.text import clean

__all__ = ["event_line", "progress"]


@contextmanager
def progress(mission: OpenMission, *, enabled: bool) -> Iterator[None]:
    """Show every committed step on stderr while the block runs; nothing is shown that is not durable yet."""
    if not enabled:
        yield
        return
    try:
        if sys.stderr.isatty():
            with _live(mission):
                yield
        else:
            mission.ledger.on_commit = _print_lines
            yield
    finally:
        mission.ledger.on_commit = None


@contextmanager
def _live(mission: OpenMission) -> Iterator[None]:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    from kitty_flow.views.board_text import board_text

    console = Console(stderr=True, markup=False, highlight=False, emoji=False)
    with Live(board_text(make_board(mission), live=True), console=console, auto_refresh=False, transient=True) as live:

        def show(receipt: Receipt) -> None:
            lines = [line for event in receipt.events if (line := event_line(event))]
            live.update(
                Group(board_text(make_board(mission), live=True), Text(lines[-1] if lines else "")), refresh=True
            )

        mission.ledger.on_commit = show
        yield


def _print_lines(receipt: Receipt) -> None:
    for event in receipt.events:
        line = event_line(event)
        if line:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


def event_line(event: Event) -> str | None:
    """One event of a work package or mission in a line; None for events that only matter to the log."""
    if event.entity_type not in ("work_package", "mission") or event.kind == "annotation":
        return None
    name = event.mission_slug if event.entity_type == "mission" else event.entity_id
    reason = f": {event.reason.splitlines()[0][:120]}" if event.reason else ""
    return clean(f"{event.at[11:19]} {name} {event.from_state or 'new'} -> {event.to_state} ({event.actor}){reason}")
