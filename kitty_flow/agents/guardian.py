"""Agents must not outlive their run: a small process is told of each, and kills them when the run dies.

A run that is killed with SIGKILL can do nothing itself. The kernel could tell each agent (PR_SET_PDEATHSIG), at the
cost of a wrapper around every agent and without reaching its children; one guardian for the whole run costs a line
written to a pipe for each agent, reaches whole groups and, on Linux, also what left its group. Should the guardian be
killed too, the recovery of the next run does the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from kitty_flow.agents import guardian_process

__all__ = ["Guardian"]

_END_S: Final = 5.0


class Guardian:
    """The guardian of one run; started with the first agent. On Windows, without process groups, it does nothing.

    Every method may be called from any thread.
    """

    def __init__(self) -> None:
        self._door = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def watch(self, invocation_id: str) -> None:
        """An agent is about to be started: from now on it must not outlive this process."""
        with self._door:
            if self._process is None and os.name == "posix" and sys.executable:
                with suppress(OSError):  # no process to spare: the agent itself will tell
                    self._process = subprocess.Popen(
                        [sys.executable, "-I", "-S", guardian_process.__file__],
                        cwd=Path("/"),
                        env={},
                        stdin=subprocess.PIPE,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        start_new_session=True,
                    )
        self._tell(f"watch {invocation_id}")

    def group(self, invocation_id: str, number: int) -> None:
        """The agent leads the process group of this number."""
        self._tell(f"group {invocation_id} {number}")

    def forget(self, invocation_id: str) -> None:
        """The agent has ended, and nothing of it is left."""
        self._tell(f"forget {invocation_id}")

    def _tell(self, line: str) -> None:
        with self._door, suppress(OSError, ValueError):  # it was killed, or is closed already
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.write(line.encode() + b"\n")
                self._process.stdin.flush()

    def close(self) -> None:
        """End it. What is still watched is killed."""
        with self._door:
            process, self._process = self._process, None
        if process is None:
            return
        with suppress(OSError):
            process.stdin.close()  # type: ignore[union-attr]
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
