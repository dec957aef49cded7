"""How far a run is to be stopped: a first Ctrl-C lets agents finish, a second one ends them, a third one kills them."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import FrameType

__all__ = ["Stop", "StopLevel", "stopped_by_signals"]


class StopLevel(IntEnum):
    """NONE: goes on. DRAIN: nothing new is begun. END: agents are ended in order. KILL: and get no time for it."""

    NONE = 0
    DRAIN = 1
    END = 2
    KILL = 3


class Stop:
    """The level that a run was told so far; it only rises. `listener` is called with each new one."""

    def __init__(self) -> None:
        self._level = StopLevel.NONE
        self.listener: Callable[[StopLevel], None] = lambda level: None

    @property
    def level(self) -> StopLevel:
        """How far it is to be stopped."""
        return self._level

    def rise_to(self, level: StopLevel) -> None:
        """Stop so far at least. May be called in a signal handler, so it takes no lock."""
        if level > self._level:
            self._level = level
            self.listener(level)


@contextmanager
def stopped_by_signals(stop: Stop) -> Iterator[None]:
    """Ctrl-C raises the level by one each time, SIGTERM and the end of the terminal mean END at once.

    Only the main thread gets signals; elsewhere, whoever owns the process decides.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        is_interrupt = number == signal.SIGINT
        stop.rise_to(StopLevel(min(stop.level + 1, StopLevel.KILL)) if is_interrupt else StopLevel.END)

    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if sys.platform != "win32" else [])]
    # What is ignored stays so: a run under nohup outlives its terminal.
    heard = [number for number in numbers if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, handle) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
