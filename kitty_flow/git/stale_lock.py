"""Lock files that a killed git process left behind: removed only when they are provably dead, never when in doubt."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["LEDGER_MOVER", "OWN_REFS", "STALE_AFTER_S", "clear_stale_lock", "git_processes", "lifetime_s"]

OWN_REFS: Final = ("refs/kitty/", "refs/heads/kitty/")
"""Where nobody but kitty-flow has business."""

STALE_AFTER_S: Final = 10.0
"""git holds a lock for the time of one command; an older one is most likely left over."""

_OWN_STALE_AFTER_S: Final = 2.0


LEDGER_MOVER: Final = "kitty-flow.moves=ledger"
"""A setting that marks the git process of an open ledger. It stays for as long as a run does, and moves the ref of that
ledger alone, under the ledger's own lock: whoever asks about that ref's lock file holds this lock."""

_LOCKLESS: Final = frozenset({"cat-file", "hash-object", "mktree", LEDGER_MOVER})
"""What marks a git process as one that holds no lock that is asked about; kitty-flow keeps such processes running."""

_WAIT_S: Final = 15.0
_LOOK_AGAIN_S: Final = 0.1


def lifetime_s(name: str) -> float:
    """How old a lock may be, in seconds, before it can be dead; `name` is relative to the git directory."""
    return _OWN_STALE_AFTER_S if name.startswith(OWN_REFS) else STALE_AFTER_S


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


def clear_stale_lock(path: Path, *, older_than_s: float, places: Iterable[Path], wait_s: float | None = None) -> bool:
    """Wait until the lock file is gone, or remove it once it is dead; says whether the way is free.

    Dead means: older than `older_than_s` seconds, and no git process is at work below `places`. A lock whose owner
    lives is never touched; after `wait_s` seconds (by default `_WAIT_S`) we give up.
    """
    folders = tuple(places)
    deadline = time.monotonic() + (_WAIT_S if wait_s is None else wait_s)
    while True:
        try:
            written = path.lstat().st_mtime_ns
        except OSError:
            return True
        if time.time() - written / 1e9 > older_than_s and not git_processes(folders):
            # Looking at processes takes a while: meanwhile the lock may have gone, and a live one have come.
            with suppress(OSError):
                if path.lstat().st_mtime_ns == written:
                    path.unlink()
            return not os.path.lexists(path)
        if time.monotonic() >= deadline:
            return False
        time.sleep(_LOOK_AGAIN_S)
