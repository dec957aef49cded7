"""Process groups: signalling a whole agent, and killing what an invocation left behind without hitting a stranger.

POSIX: every agent leads its own session and process group, so one signal reaches all its descendants, however deep.
Linux: the kernel's files tell of a group and of an environment in a fraction of the time that psutil takes. Windows has
no such groups; there the tree of child processes is walked while its leader lives.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from typing import Final

from kitty_flow.agents.environment import INVOCATION_VARIABLE
from kitty_flow.agents.guardian_process import carriers

__all__ = ["group_members", "kill_invocation", "signal_group"]

_GONE_S: Final = 5.0
_POLL_S: Final = 0.02
_HAS_PROC: Final = sys.platform == "linux"


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
    if pgid <= 1:
        return []
    if sys.platform == "win32":
        import psutil

        return [pgid] if psutil.pid_exists(pgid) else []
    try:
        os.killpg(pgid, 0)
    except ProcessLookupError:
        return []  # mostly: nobody has to be looked for
    except PermissionError:
        pass
    return [pid for pid in _all_pids() if _is_member(pid, pgid)]


def _all_pids() -> list[int]:
    if _HAS_PROC:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - a hot path
    import psutil

    return psutil.pids()


def _is_member(pid: int, pgid: int) -> bool:
    if _HAS_PROC:
        with suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            fields = file.read().rpartition(b")")[2].split()
            return int(fields[2]) == pgid and fields[0] not in (b"Z", b"X")
        return False
    import psutil

    with suppress(OSError, psutil.Error):
        return os.getpgid(pid) == pgid and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def kill_invocation(invocation_id: str) -> int:
    """Kill every process that carries this invocation id in its environment; returns how many.

    It also finds processes whose leader is gone, that moved to a session of their own, or whose start was never
    recorded. This process and its ancestors are spared, and its descendants when it belongs to the invocation itself.
    Never for an empty id.
    """
    if not invocation_id:
        return 0
    spared: set[int] = set()
    killed: set[int] = set()
    deadline = time.monotonic() + _GONE_S
    # A process can fork between the listing and its kill, so look again until nobody is left.
    while time.monotonic() < deadline:
        found = _carriers(invocation_id)
        if found and not spared:
            spared = _ourselves(with_children=os.getpid() in found)
        found = [pid for pid in found if pid not in spared]
        if not found:
            break
        for pid in found:
            with suppress(OSError):
                os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
                killed.add(pid)
        time.sleep(_POLL_S)
    return len(killed)


def _ourselves(*, with_children: bool) -> set[int]:
    import psutil

    own = psutil.Process()
    family = [own, *own.parents(), *(own.children(recursive=True) if with_children else [])]
    return {process.pid for process in family}


def _carriers(invocation_id: str) -> list[int]:
    if _HAS_PROC:
        return carriers({invocation_id.encode()})
    import psutil

    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            is_one = process.environ().get(INVOCATION_VARIABLE) == invocation_id
            if is_one and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


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
