"""A few lines at the end of a terminal that are painted over in place, without flicker and without taking the screen.

Lines are written over the old ones and only what is left of those is erased, so nothing is blank in between; a frame
that did not change is not written at all. Wrapping is off while a frame is written: a character that is wider here than
we think cannot break the lines. The cursor is never hidden, since a process that is killed could not bring it back.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TextIO

from rich.cells import cell_len

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kitty_flow.views.live_board import Line

__all__ = ["Screen", "beside", "is_live"]

_CODES: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_NO_WRAP: Final = "\x1b[?7l"
_WRAP: Final = "\x1b[?7h"


def is_live(stream: TextIO | None, environment: Mapping[str, str]) -> bool:
    """Whether a stream is a terminal on which lines can be painted over, and a person looks at it."""
    if stream is None or environment.get("TERM", "") in ("", "dumb"):
        return False
    if environment.get("CI", "").lower() not in ("", "0", "false", "no"):
        return False
    try:
        return stream.isatty()
    except ValueError:  # it was closed
        return False


class Screen:
    """The lines at the end of the terminal behind `stream`. All methods may be called from any thread.

    A frame is written to the descriptor at once: a terminal that is held (Ctrl-S) blocks who paints, and nobody else.
    """

    def __init__(self, stream: TextIO, environment: Mapping[str, str]) -> None:
        self._stream = stream
        self._number = stream.fileno()
        self._colour = not environment.get("NO_COLOR")
        self._lock = threading.Lock()
        self._lines: tuple[Line, ...] = ()
        self._width = 0
        self.ascii_only = "utf" not in (stream.encoding or "").lower()

    def size(self) -> tuple[int, int]:
        """Columns and lines that a frame may have: the last of each stays free."""
        try:
            columns, lines = os.get_terminal_size(self._number)
        except OSError:
            columns, lines = 80, 24
        return max(20, (columns or 80) - 1), max(4, (lines or 24) - 1)

    def show(self, lines: Sequence[Line]) -> None:
        """Replace the frame; does nothing while another program has the terminal."""
        with self._lock:
            width = self.size()[0]
            if (tuple(lines) == self._lines and width == self._width) or not self._is_ours():
                return
            self._paint(lines, width)

    def clear(self) -> None:
        """Take the frame away; what is written next begins where it was."""
        with self._lock:
            if self._lines:
                self._paint((), self._width)

    def write_above(self, text: str) -> None:
        """Write whole lines where the frame begins; the frame moves down."""
        with self._lock:
            lines, width = self._lines, self.size()[0]
            self._send(self._to_top() + "\x1b[J" + text.replace("\n", "\r\n"))
            self._lines = ()
            self._paint(lines, width)

    def _paint(self, lines: Sequence[Line], width: int) -> None:
        painted = "".join(self._styled(line) + "\x1b[K\r\n" for line in lines)
        self._send(self._to_top() + _NO_WRAP + painted + "\x1b[J" + _WRAP)
        self._lines, self._width = tuple(lines), width

    def _to_top(self) -> str:
        """The way to the first line of the frame; a terminal that became narrower has wrapped its lines."""
        width = self.size()[0] + 1
        used = (sum(cell_len(text) for text, _ in line) for line in self._lines)
        rows = sum(max(1, -(-cells // width)) for cells in used) if width <= self._width else len(self._lines)
        return "\r" + (f"\x1b[{rows}A" if rows else "")

    def _styled(self, line: Line) -> str:
        parts = []
        for text, style in line:
            codes = ";".join(_CODES[word] for word in style.split()) if self._colour else ""
            parts.append(f"\x1b[{codes}m{text}\x1b[0m" if codes else text)
        return "".join(parts)

    def _send(self, text: str) -> None:
        data = memoryview(text.encode(self._stream.encoding or "utf-8", "replace"))
        with suppress(OSError):  # the terminal has gone; the work goes on
            while data:
                data = data[os.write(self._number, data) :]

    def _is_ours(self) -> bool:
        try:
            return os.tcgetpgrp(self._number) == os.getpgrp()
        except (OSError, AttributeError):
            return True


class _Above:
    """Stands in for a text stream: whole lines go above the frame."""

    def __init__(self, stream: TextIO, screen: Screen) -> None:
        self._stream = stream
        self._screen = screen
        self._pending = ""
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        """Take text; a line is shown when it is complete."""
        with self._lock:
            whole, newline, self._pending = (self._pending + text).rpartition("\n")
        if newline:
            self._screen.write_above(whole + newline)
        return len(text)

    def flush(self) -> None:
        """Lines are shown at once; what is not complete waits."""

    def rest(self) -> str:
        """What never became a line."""
        return self._pending

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def beside(screen: Screen) -> Iterator[None]:
    """While the block runs, what is written to stderr appears above the frame."""
    stream = sys.stderr
    above = _Above(stream, screen)
    sys.stderr = above
    try:
        yield
    finally:
        sys.stderr = stream
        if above.rest():
            stream.write(above.rest())
