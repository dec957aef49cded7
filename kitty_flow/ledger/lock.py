"""Locks between kitty-flow processes: flock through filelock, so the kernel frees them when the owner dies.

filelock polls, and whoever looks at the right moment comes next: of 32 processes that all want a lock, one in a
hundred waits ten times as long as the others. So those who wait stand in line, at a second lock for which the kernel
wakes them in about the order of their coming, and only the first in line polls. Where the kernel has no flock, standing
in line fails, before filelock could fall back to a file that outlives its owner.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kitty_flow.errors import ConflictError, LedgerError

if sys.platform != "win32":
    import fcntl

__all__ = ["exclusive"]

_POLL_S: Final = 0.001


class _MeanwhileError(Exception):
    """What was done while waiting failed, for the reason that is the cause."""


@contextmanager
def exclusive(
    path: Path, *, timeout_s: float, what: str, meanwhile: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Hold the lock file `path` for the block.

    Args:
        meanwhile: is done once when the lock is not free at once; what it raises ends the waiting.

    Raises:
        ConflictError: LOCK_TIMEOUT, another process held it for longer than `timeout_s` seconds.
        LedgerError: LOCK_UNAVAILABLE, the lock file cannot be made (read-only or full disk), or there is no flock.
    """
    import filelock

    deadline = time.monotonic() + timeout_s

    def use_the_time() -> None:
        nonlocal deadline
        begun = time.monotonic()
        try:
            meanwhile()
        except Exception as error:  # is none of the lock's
            raise _MeanwhileError from error
        deadline += time.monotonic() - begun

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path, timeout=0)
        with _first_in_line(path.with_name(path.name + ".line"), timeout_s, use_the_time) as has_waited:
            try:
                lock.acquire()
            except filelock.Timeout:
                if not has_waited:
                    use_the_time()
                lock.acquire(timeout=max(0.0, deadline - time.monotonic()), poll_interval=_POLL_S)
    except _MeanwhileError as error:
        assert error.__cause__ is not None
        raise error.__cause__ from None
    except (TimeoutError, filelock.Timeout) as error:
        raise ConflictError(
            "LOCK_TIMEOUT",
            f"another kitty-flow process holds {what} (waited {timeout_s:.0f} s)",
            hint="run the command again when it has finished",
            details={"lock": str(path)},
        ) from error
    except OSError as error:
        raise LedgerError(
            "LOCK_UNAVAILABLE",
            f"nothing was recorded: the lock of {what} cannot be taken: {error}",
            hint="the git directory must be writable, with some space, and on a file system that supports flock",
            details={"lock": str(path)},
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _first_in_line(path: Path, timeout_s: float, meanwhile: Callable[[], object]) -> Iterator[bool]:
    """Gives whether it had to wait; raises TimeoutError, and OSError where there is no flock.

    Windows has locks of its own, which filelock uses.
    """
    if sys.platform == "win32":
        yield False
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    has_waited = False
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            has_waited = True
            _stand_in_line(descriptor, timeout_s, meanwhile)
        yield has_waited
    finally:
        os.close(descriptor)  # leaves the line, also when a thread still waits in it


def _stand_in_line(descriptor: int, timeout_s: float, meanwhile: Callable[[], object]) -> None:
    if timeout_s <= 0 or sys.platform == "win32":
        raise TimeoutError
    problems: list[OSError] = []
    is_first = threading.Event()

    def wait() -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            problems.append(error)
        is_first.set()

    threading.Thread(target=wait, daemon=True).start()
    meanwhile()
    if not is_first.wait(timeout_s):
        raise TimeoutError
    if problems:
        raise problems[0]
