"""Showing what goes on while it does: a live board on a terminal, one line for each committed step elsewhere.

Nothing is shown that is not durable yet. The board is painted by a thread that reads the ledger by itself, as any other
process could; it is told of commits only to look sooner, and whatever happens to it never reaches the run.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from kitty_flow.errors import KittyFlowError
from kitty_flow.flow.live import LiveMission
from kitty_flow.flow.mission import OpenMission
from kitty_flow.ledger.ledger import Receipt
from kitty_flow.views.event_line import event_line
from kitty_flow.views.screen import Screen, beside, is_live

__all__ = ["progress", "watch"]

_LOOK_AGAIN_S: Final = 1.0
_SOONEST_S: Final = 0.1
_SHARE: Final = 10.0
"""A frame that took so long is followed by a pause of at least so many times as long."""
_END_S: Final = 2.0


@contextmanager
def progress(mission: OpenMission, *, enabled: bool, plain: bool = False, agents: int | None = None) -> Iterator[None]:
    """Show every committed step on stderr while the block runs.

    Args:
        enabled: whether to show anything.
        plain: lines also on a terminal.
        agents: how many work at once, for the estimate of the time that is left; those of the plan by default.
    """
    if not enabled:
        yield
        return
    try:
        if is_live(sys.stderr, os.environ) and not plain:
            with _live(mission, agents or mission.plan.makespan.agents):
                yield
        else:
            mission.ledger.on_commit = _print_lines
            yield
    finally:
        mission.ledger.on_commit = None


def watch(mission: OpenMission, *, plain: bool = False) -> None:
    """Show what goes on in the mission, whoever does it, until it is accepted, merged, shipped or aborted.

    Raises:
        LedgerError: the ledger cannot be read any more.
    """
    agents = mission.plan.makespan.agents
    with suppress(KittyFlowError):  # the settings are not needed to look
        agents = mission.project.settings.run.jobs
    live = LiveMission(mission, agents=agents)
    screen = Screen(sys.stderr, os.environ) if is_live(sys.stderr, os.environ) and not plain else None

    def pause(seconds: float) -> bool:
        if not live.is_over:
            time.sleep(seconds)
        return live.is_over

    try:
        if screen is None:
            live.look()  # whatever comes after this line is told
            _print(f"watching {mission.slug}, which is {live.state}; Ctrl-C ends the watching and nothing else")
        _follow(live, screen, pause, tell=_print)
    finally:
        if screen is not None:
            screen.clear()
        live.close()


@contextmanager
def _live(mission: OpenMission, agents: int) -> Iterator[None]:
    """The board, in a thread of its own; when that fails, lines."""
    screen = Screen(sys.stderr, os.environ)
    moved, ended = threading.Event(), threading.Event()

    def pause(seconds: float) -> bool:
        moved.wait(seconds)
        moved.clear()
        return ended.is_set()

    def paint() -> None:
        live = LiveMission(mission, agents=agents)
        with suppress(Exception):
            _follow(live, screen, pause)
        screen.clear()
        live.close()

    def notice(receipt: Receipt) -> None:
        moved.set()
        if not painter.is_alive():
            _print_lines(receipt)

    painter = threading.Thread(target=paint, name="live-board", daemon=True)
    mission.ledger.on_commit = notice
    with beside(screen):
        painter.start()
        try:
            yield
        finally:
            ended.set()
            moved.set()
            painter.join(_END_S)  # a terminal that is held keeps the painter, not us


def _follow(
    live: LiveMission,
    screen: Screen | None,
    pause: Callable[[float], bool],
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Paint, or tell in lines, whenever the ledger moved, and once a second where time alone changes something.

    `pause` waits for at most so many seconds and returns whether it is over.
    """
    from kitty_flow.views.live_board import frame

    snapshot = None
    size = (0, 0)
    while True:
        began = time.monotonic()
        has_moved = live.look()
        if screen is None:
            for line in filter(None, map(event_line, live.added)):
                tell(line)
        elif has_moved or snapshot is None or snapshot.is_moving or size != screen.size():
            snapshot, size = live.snapshot(), screen.size()
            screen.show(frame(snapshot, width=size[0], height=size[1], ascii_only=screen.ascii_only))
        # However fast commits come, painting takes a tenth of this thread's time at most.
        if _pause_well(pause, _SHARE * (time.monotonic() - began)):
            return


def _pause_well(pause: Callable[[float], bool], least: float) -> bool:
    until = time.monotonic() + max(_SOONEST_S, least)
    is_over = pause(_LOOK_AGAIN_S)
    while not is_over and (left := until - time.monotonic()) > 0:
        is_over = pause(left)
    return is_over


def _print_lines(receipt: Receipt) -> None:
    for line in filter(None, map(event_line, receipt.events)):
        _print(line)


def _print(line: str) -> None:
    """A stderr that is closed, full, or read by nobody is no reason to stop."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
