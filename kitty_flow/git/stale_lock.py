"""Lock files that a killed git process left behind: removed only when they are provably dead, never when in doubt."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["clear_stale_lock", "git_processes"]

_LOCKLESS: Final = frozenset({"cat-file", "hash-object", "mktree"})
"""Commands of git that never lock anything; kitty-flow keeps some of them running."""

_WAIT_S: Final = 15.0
_LOOK_AGAIN_S: Final = 0.1


def git_processes(places: Iterable[Path]) -> list[tuple[int, list[str]]]:
    """(pid, command) of the git processes that work below one of `places` and could hold a lock, as far as is seen."""
    import psutil

    folders = [place.resolve() for place in places]
    found = []
    for process in psutil.process_iter():
        # A process of somebody else, or one that has just ended, cannot be asked.
        with suppress(psutil.Error, OSError):
            if not process.name().startswith("git") or process.status() == psutil.STATUS_ZOMBIE:
                continue
            command, cwd = process.cmdline(), Path(process.cwd())
            if _LOCKLESS.isdisjoint(command) and any(cwd.is_relative_to(folder) for folder in folders):
                found.append((process.pid, command))
    return found


def clear_stale_lock(path: Path, *, older_than_s: float, places: Iterable[Path]) -> bool:
    """Wait until the lock file is gone, or remove it once it is dead; says whether the way is free.

    Dead means: older than `older_than_s` seconds, and no git process is at work below `places`. A lock whose owner
    lives is never touched; after `_WAIT_S` seconds we give up.
    """
    folders = tuple(places)
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        try:
            age = time.time() - path.lstat().st_mtime
        except OSError:
            return True
        if age > older_than_s and not git_processes(folders):
            path.unlink(missing_ok=True)
            return True
        time.sleep(_LOOK_AGAIN_S)
    return False
