"""The guardian of a run: a process that outlives it, to end the agents of a run that was killed.

Started as a script by `guardian`, with the standard library alone and without ``site``. It reads lines from its
standard input: ``watch ID``, ``group ID NUMBER``, ``forget ID``. The end of the input means that the run has gone; then
it kills every process that belongs to an invocation which was not forgotten, and ends.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["carriers", "main"]

_VARIABLE = b"KITTY_FLOW_INVOCATION="
_PAUSE_S = 0.05
_QUIET = 12
_PATIENCE_S = 10.0
_ENVIRONMENT_BYTES = 4 * 1024 * 1024


def environment_of(pid: str) -> bytes:
    """The environment that a process was started with (Linux); empty for a zombie, or when it cannot be read."""
    with suppress(OSError), open(f"/proc/{pid}/environ", "rb", buffering=0) as file:  # noqa: PTH123 - a hot path
        return file.read(_ENVIRONMENT_BYTES)
    return b""


def carriers(invocations: set[bytes]) -> list[int]:
    """The processes that carry one of these invocations in their environment (Linux); zombies are none."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - a hot path
        if name.isdigit():
            environment = environment_of(name)
            at = environment.find(_VARIABLE)
            if at >= 0 and (at == 0 or environment[at - 1] == 0):
                value = environment[at + len(_VARIABLE) :].partition(b"\0")[0]
                if value in invocations:
                    found.append(int(name))
    return found


def main() -> None:
    """Watch until the run has gone, then kill what it left."""
    groups: dict[bytes, int] = {}
    for line in sys.stdin.buffer:
        word, *rest = line.split()
        if word == b"watch":
            groups[rest[0]] = 0
        elif word == b"group":
            groups[rest[0]] = int(rest[1])
        elif word == b"forget":
            groups.pop(rest[0], None)
    if groups:
        _kill(groups)


def _kill(groups: dict[bytes, int]) -> None:
    has_environments = Path("/proc/self/environ").exists()
    for invocation, group in groups.items():
        # The number of a group is not given out again while it has members; a leader without the id is a stranger.
        leader = environment_of(str(group)) if has_environments else b""
        if group > 1 and (not leader or _VARIABLE + invocation in leader):
            with suppress(OSError):
                os.killpg(group, signal.SIGKILL)
    deadline = time.monotonic() + _PATIENCE_S
    quiet = 0
    # Nobody several times: a process that is just being made has no environment that could be read for a moment.
    while has_environments and quiet < _QUIET and time.monotonic() < deadline:
        found = [pid for pid in carriers(set(groups)) if pid != os.getpid()]
        quiet = 0 if found else quiet + 1
        for pid in found:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE_S)


if __name__ == "__main__":
    main()
