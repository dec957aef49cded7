"""Work that is done in processes of its own, forked from the test's: with a failpoint, or many at once."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

from kitty_flow.effects import EXIT_STATUS, inject

__all__ = ["FAILED", "all_at_once", "apart"]

FAILED = 3
"""Exit status of a process whose work raised something."""


def _begin(work: Callable[[], object], failpoint: str | None, trace: Path | None) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = FAILED
    try:
        inject(failpoint, str(trace) if trace else None)
        work()
        status = 0
    except BaseException:
        if failpoint is None:
            traceback.print_exc()
    finally:
        os._exit(status)


def _end(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def apart(work: Callable[[], object], failpoint: str | None = None, trace: Path | None = None) -> int:
    """Do it in a process of its own; returns its exit status: 0, `FAILED`, or that of a stop at a failpoint."""
    status = _end(_begin(work, failpoint, trace))
    assert status in (0, FAILED, EXIT_STATUS), status
    return status


def all_at_once(works: Iterable[Callable[[], object]]) -> list[int]:
    """Do all of it at once, each in a process of its own; returns the exit statuses."""
    return [_end(pid) for pid in [_begin(work, None, None) for work in works]]
