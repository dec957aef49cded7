"""Painting over the end of a terminal: nothing flickers, nothing is left, other lines go above."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from terminal import Terminal

from kitty_flow.views.screen import Screen, beside, is_live

fcntl = pytest.importorskip("fcntl")
termios = pytest.importorskip("termios")


class Pty:
    """A pseudo terminal: what is written to `stream` is read by `seen`."""

    def __init__(self) -> None:
        self.reader, slave = os.openpty()
        attributes = termios.tcgetattr(slave)
        attributes[1] &= ~termios.OPOST
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        os.set_blocking(self.reader, False)
        self.stream: TextIO = open(slave, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - closed by `close`
        self.resize(80, 24)

    def resize(self, columns: int, lines: int) -> None:
        """As if the window was given another size."""
        termios.tcsetwinsize(self.stream.fileno(), (lines, columns))

    def seen(self) -> str:
        """What was written since the last call."""
        found = b""
        try:
            while data := os.read(self.reader, 65536):
                found += data
        except BlockingIOError:
            pass
        return found.decode()

    def close(self) -> None:
        """Close both ends."""
        self.stream.close()
        os.close(self.reader)


@pytest.fixture
def pty() -> Iterator[Pty]:
    made = Pty()
    yield made
    made.close()


def lines(*texts: str) -> list[tuple[tuple[str, str], ...]]:
    return [((text, "bold red"),) for text in texts]


def test_a_frame_takes_the_place_of_the_last_one(pty: Pty) -> None:
    screen, terminal = Screen(pty.stream, {}), Terminal()
    terminal.feed("$ run\r\n")
    for texts in (["one", "two", "three"], ["eins", "zwei"], ["a", "b", "c", "d"], []):
        screen.show(lines(*texts))
        terminal.feed(pty.seen())
        assert terminal.shown() == ["$ run", *texts]
        assert terminal.wraps
    assert terminal.colours == {"1;31", "0"}


def test_nothing_is_blank_between_two_frames_and_the_same_frame_is_not_written(pty: Pty) -> None:
    screen = Screen(pty.stream, {})
    screen.show(lines("one", "two"))
    pty.seen()
    screen.show(lines("one", "two"))
    assert pty.seen() == ""
    screen.show(lines("one", "2"))
    written = pty.seen()
    assert written.index("one") < written.index("\x1b[K"), "the old line goes only when the new one stands"
    assert "\x1b[2J" not in written and "\x1b[2K" not in written and "\x1b[?25l" not in written


def test_other_lines_go_above(pty: Pty) -> None:
    screen, terminal = Screen(pty.stream, {}), Terminal()
    screen.show(lines("board"))
    before = sys.stderr
    with beside(screen):
        sys.stderr.write("stopping: once more ")
        sys.stderr.write("to stop at once\nand more\n")
        screen.show(lines("board 2"))
        assert sys.stderr.isatty() == before.isatty()
    assert sys.stderr is before
    terminal.feed(pty.seen())
    assert terminal.shown() == ["stopping: once more to stop at once", "and more", "board 2"]


def test_a_narrower_terminal_that_wrapped_the_frame_is_cleaned_up(pty: Pty) -> None:
    screen = Screen(pty.stream, {})
    screen.show(lines("x" * 70, "y" * 30))
    pty.seen()
    pty.resize(40, 24)
    screen.show(lines("z" * 39))
    terminal = Terminal(columns=40)
    terminal.feed("$ run\r\n" + "x" * 70 + "\r\n" + "y" * 30 + "\r\n" + pty.seen())
    assert terminal.shown() == ["$ run", "z" * 39]


def test_no_color_means_no_colour(pty: Pty) -> None:
    screen, terminal = Screen(pty.stream, {"NO_COLOR": "1"}), Terminal()
    screen.show(lines("one"))
    terminal.feed(pty.seen())
    assert (terminal.shown(), terminal.colours) == (["one"], set())


def test_a_terminal_that_has_gone_is_no_error(pty: Pty) -> None:
    screen = Screen(pty.stream, {})
    os.close(pty.reader)
    screen.show(lines("one"))
    screen.write_above("two\n")
    screen.clear()
    pty.reader = os.open(os.devnull, os.O_RDONLY)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "CI": "false"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True),
        ({"TERM": "xterm", "CI": "true"}, False),
        ({"TERM": "dumb"}, False),
        ({}, False),
    ],
)
def test_a_board_needs_a_terminal_that_a_person_looks_at(
    pty: Pty, environment: dict[str, str], expected: bool, tmp_path: Path
) -> None:
    assert is_live(pty.stream, environment) is expected
    with (tmp_path / "file").open("w") as file:
        assert not is_live(file, environment)
    assert not is_live(file, environment)
    assert not is_live(None, environment)
