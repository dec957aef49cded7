"""Process groups: signalling a whole agent, and killing what a dead run left behind without hitting a stranger.

POSIX: every agent leads its own session and process group, so one signal reaches all its descendants, however deep.
Windows has no such groups; there the tree of child processes is walked while its leader lives.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kitty_flow.agents.environment import INVOCATION_VARIABLE

if TYPE_CHECKING:
    import psutil

__all__ = ["ProcessIdentity", "group_members", "kill_group", "kill_invocation", "signal_group", "start_time"]

# psutil derives a start time from the boot time, which the kernel reports in whole seconds and which may move by one.
_TOLERANCE_S: Final = 1.5
_GONE_S: Final = 5.0
_POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process beyond its reusable number: the pid together with the time the kernel started it."""

    pid: int
    create_time: float


def start_time(pid: int) -> float | None:
    """When the process started, in seconds since the epoch; None when there is no such process."""
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def signal_group(pgid: int, *, force: bool) -> bool:
    """Send SIGTERM, or with `force` SIGKILL, to every member of the group; False when nobody was there to get it."""
    if pgid <= 1:
        return False
    if sys.platform == "win32":
        return _signal_tree(pgid, force=force)
    try:
        os.killpg(pgid, signal.SIGKILL if force else signal.SIGTERM)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def group_members(pgid: int) -> list[int]:
    """The living members of the group; zombies do nothing any more and are left out."""
    import psutil

    if sys.platform == "win32":
        return [pgid] if psutil.pid_exists(pgid) else []
    members = []
    for pid in psutil.pids():
        with suppress(OSError, psutil.Error):
            if os.getpgid(pid) == pgid and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                members.append(pid)
    return members


def kill_group(identity: ProcessIdentity) -> bool:
    """Kill the process group that a dead run left behind, and wait until it is gone.

    Only when the pid still belongs to the process that was started: a reused pid has another start time and is left
    alone, and so is a process that does not lead its own group. Returns whether something was killed. Left-overs whose
    leader is gone are found by `kill_invocation`.
    """
    pid = identity.pid
    if pid <= 1 or pid == os.getpid():
        return False
    found = start_time(pid)
    if found is None or abs(found - identity.create_time) > _TOLERANCE_S:
        return False
    if sys.platform != "win32":
        try:
            if os.getpgid(pid) != pid or pid == os.getpgrp():
                return False
        except ProcessLookupError:
            return False
    if not group_members(pid) or not signal_group(pid, force=True):
        return False
    _wait_until_gone(pid)
    return True


def kill_invocation(invocation_id: str) -> int:
    """Kill every process that carries this invocation id in its environment; returns how many.

    For resuming after a crash: it also finds processes whose leader is gone, that moved to a session of their own, or
    whose start was never recorded. This process and its ancestors are spared. Call it only for an invocation of a dead
    run, and never for an empty id.
    """
    import psutil

    if not invocation_id:
        return 0
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    killed: set[int] = set()
    deadline = time.monotonic() + _GONE_S
    # A process can fork between the listing and its kill, so look again until nobody is left.
    while time.monotonic() < deadline:
        found = [process for process in psutil.process_iter() if process.pid not in spared]
        found = [process for process in found if _carries(process, invocation_id)]
        if not found:
            break
        for process in found:
            with suppress(psutil.Error):
                process.kill()
                killed.add(process.pid)
        time.sleep(_POLL_S)
    return len(killed)


def _carries(process: psutil.Process, invocation_id: str) -> bool:
    import psutil

    try:
        if process.environ().get(INVOCATION_VARIABLE) != invocation_id:
            return False
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.Error, OSError):
        return False


def _wait_until_gone(pgid: int) -> None:
    deadline = time.monotonic() + _GONE_S
    while group_members(pgid) and time.monotonic() < deadline:
        time.sleep(_POLL_S)


if sys.platform == "win32":

    def _signal_tree(pid: int, *, force: bool) -> bool:
        import psutil

        try:
            leader = psutil.Process(pid)
            processes = [*leader.children(recursive=True), leader]
        except psutil.Error:
            return False
        for process in processes:
            with suppress(psutil.Error):
                process.kill() if force else process.terminate()
        return True
