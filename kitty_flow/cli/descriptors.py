"""File descriptors of the process: pointed elsewhere, emptied, silenced."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TextIO

__all__ = ["duplicate", "flush_aside", "point", "silence"]


def duplicate(number: int) -> int:
    """A private copy of a descriptor, not inherited, and never in the place of a closed stdin, stdout or stderr."""
    copy = os.dup(number)
    if copy > 2:
        return copy
    try:
        return duplicate(number)
    finally:
        os.close(copy)


def point(number: int, target: int | None) -> None:
    """Make file descriptor `number` a copy of `target`, or of the null device when that is None or closed."""
    if target is not None:
        with suppress(OSError):
            os.dup2(target, number)
            return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def silence(stream: TextIO) -> None:
    """Send what is still buffered nowhere, so that the interpreter does not complain when it flushes at exit."""
    with suppress(OSError, ValueError):
        point(stream.fileno(), None)


def flush_aside(stdout: TextIO, number: int) -> None:
    """Empty stdout's buffer while its descriptor still points away from the document."""
    try:
        stdout.flush()
    except (OSError, ValueError):
        point(number, None)
        with suppress(OSError, ValueError):
            stdout.flush()
