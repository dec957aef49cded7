"""Running one hook: a command that gets a document on standard input, ends in time, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from kitty_flow.agents.group import signal_group

__all__ = ["HOOK_VARIABLE", "HookOutcome", "HookProcess", "hook_environment"]

HOOK_VARIABLE: Final = "KITTY_FLOW_HOOK"
"""Set for every hook: a kitty-flow that it starts tells no hooks, or one that moves something would never end."""

_TAIL_BYTES: Final = 2048
_REAP_S: Final = 5.0


class HookOutcome(NamedTuple):
    """How it ended: None, or why it failed in a few words; and the last 2 KB of what it printed."""

    failure: str | None
    tail: str


class HookProcess:
    """One hook that runs; `stop` may be called from another thread at any time, also before `run`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._stopped = False

    def run(self, argv: tuple[str, ...], document: bytes, cwd: Path, timeout_s: float) -> HookOutcome:
        """Run the command to its end, at most `timeout_s` seconds; then its whole process group is killed.

        The document is a file and not a pipe, so that a command which never reads it cannot hold us.
        """
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as output:
            stdin.write(document)
            stdin.seek(0)
            try:
                process = self._start(argv, stdin, output, cwd)
            except (OSError, ValueError) as error:
                return HookOutcome(f"could not be started: {error}", "")
            if process is None:
                return HookOutcome("was not started: the command that it belongs to is over", "")
            failure = None
            try:
                status = process.wait(timeout_s)
                failure = f"ended with status {status}" if status else None
            except subprocess.TimeoutExpired:
                failure = f"took longer than {timeout_s:g} s and was killed"
            finally:
                self._end(process)
            if self._stopped and failure:
                failure = "was killed: the command that it belongs to could not wait any longer"
            output.seek(max(0, os.fstat(output.fileno()).st_size - _TAIL_BYTES))
            return HookOutcome(failure, output.read().decode("utf-8", "replace"))

    def stop(self) -> None:
        """Kill what runs, and let nothing start any more."""
        with self._lock:
            self._stopped = True
            if self._pid:
                signal_group(self._pid, force=True)

    def _start(self, argv: tuple[str, ...], stdin: Any, output: Any, cwd: Path) -> subprocess.Popen[bytes] | None:
        options: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        with self._lock:
            if self._stopped:
                return None
            environment = hook_environment(os.environ)
            process = subprocess.Popen(
                argv, stdin=stdin, stdout=output, stderr=output, cwd=cwd, env=environment, **options
            )
            self._pid = process.pid
            return process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._pid = 0
            signal_group(process.pid, force=True)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_REAP_S)


def hook_environment(base: Mapping[str, str]) -> dict[str, str]:
    """`base` without what belongs to an invocation or to a git command that is running."""
    dropped = ("KITTY_FLOW_", "GIT_DIR", "GIT_INDEX", "GIT_WORK_TREE", "GIT_OBJECT", "GIT_PREFIX")
    return {name: value for name, value in base.items() if not name.startswith(dropped)} | {HOOK_VARIABLE: "1"}
