"""Running one agent process: its own group, a log file for its output, a hard timeout, and nothing left behind."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from kitty_flow.agents.group import group_members, signal_group
from kitty_flow.errors import ExternalToolError

__all__ = ["EndReason", "ProcessOutcome", "ProcessSpec", "run_process"]

EndReason = Literal["exited", "timeout", "stalled", "not_found", "killed", "canceled"]

_TAIL_BYTES: Final = 4096
_REAP_S: Final = 5.0
_POLL_S: Final = 0.02
_MAX_CHECK_S: Final = 30.0
_NOT_FOUND: Final = frozenset({errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ENOEXEC, errno.EISDIR, errno.ELOOP})


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """What to run. `env` is the whole environment; `stall_s` 0 turns stall detection off; times are in seconds.

    `stdin_path` names the file that is its standard input, which is empty without one.
    """

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    log_path: Path
    timeout_s: float
    stall_s: float = 0.0
    grace_s: float = 5.0
    stdin_path: Path | None = None


@dataclass(frozen=True, slots=True)
class ProcessOutcome:
    """How it ended. `exit_code` is negative for a signal, None when nothing ran or it could not be reaped.

    `reason` is ``exited`` for an exit status, ``killed`` for a signal that was not ours, ``timeout`` and ``stalled``
    for limits that we enforced, ``canceled`` when whoever had started it ended it, ``not_found`` when the command could
    not be executed. `stragglers` tells that
    processes outlived their leader and were killed. `tail` is the last 4 KB of the output. `ended_for` is the code and
    the sentence with which a canceled one was ended, where there is more to say than that the run was stopped.
    """

    exit_code: int | None
    reason: EndReason
    duration_s: float
    log_path: Path
    tail: str
    stragglers: bool = False
    ended_for: tuple[str, str] | None = None


async def run_process(spec: ProcessSpec, *, on_started: Callable[[int], None] | None = None) -> ProcessOutcome:
    """Run the command to its end, whatever it does, and leave no member of its group alive.

    Output goes to `spec.log_path` (appended), never through a pipe: neither a flood of output nor a grandchild that
    keeps the stream open can hang us. `on_started` gets the pid before we wait for anything.
    Cancellation ends the group in the same orderly way (SIGTERM, grace, SIGKILL), a second one at once; then it is
    raised again.

    Raises:
        ExternalToolError: AGENT_NOT_STARTED, when the system refuses to start any process (or the log file).
    """
    started = time.monotonic()
    try:
        spec.log_path.parent.mkdir(parents=True, exist_ok=True)
        output = spec.log_path.open("ab")
    except OSError as error:
        raise _not_started(spec, error) from error
    with output, spec.log_path.open("rb") as log:
        try:
            process = await _spawn(spec, output)
        except OSError as error:
            if error.errno not in _NOT_FOUND:
                raise _not_started(spec, error) from error
            return ProcessOutcome(None, "not_found", time.monotonic() - started, spec.log_path, str(error))
        except ValueError as error:
            raise _not_started(spec, error) from error
        limit: EndReason | None = None
        stragglers = False
        waiter = asyncio.ensure_future(process.wait())
        try:
            if on_started is not None:
                on_started(process.pid)
            limit = await _watch(waiter, spec, log, started)
        finally:
            stragglers = await _end(process.pid, waiter, spec.grace_s)
        duration = time.monotonic() - started
        code = process.returncode
        ended: EndReason = "exited" if code is not None and code >= 0 else "killed"
        return ProcessOutcome(code, limit or ended, duration, spec.log_path, _tail(log), stragglers and limit is None)


async def _spawn(spec: ProcessSpec, output: BinaryIO) -> Process:
    """Start the leader of a new group; a cancellation in the middle cannot lose the process that is being started."""
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    with spec.stdin_path.open("rb") if spec.stdin_path is not None else nullcontext(DEVNULL) as stdin:
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *spec.argv, stdin=stdin, stdout=output, stderr=output, cwd=spec.cwd, env=dict(spec.env), **options
            )
        )
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            with suppress(OSError, ValueError):
                process = await starting
                await _end(process.pid, asyncio.ensure_future(process.wait()), 0.0)
            raise


async def _watch(
    waiter: asyncio.Future[int], spec: ProcessSpec, log: BinaryIO, started: float
) -> Literal["timeout", "stalled"] | None:
    """Wait for the exit; return the limit that was hit first, or None when the process ended by itself.

    The log is looked at a few times per `stall_s`, so a stall is noticed at most a quarter of `stall_s` late.
    """
    deadline = started + spec.timeout_s
    size, grown = _size(log), time.monotonic()
    while True:
        now = time.monotonic()
        if now >= deadline:
            return "timeout"
        if spec.stall_s > 0 and now - grown >= spec.stall_s:
            return "stalled"
        pause = deadline - now
        if spec.stall_s > 0:
            pause = min(pause, spec.stall_s / 4, _MAX_CHECK_S)
        await asyncio.wait({waiter}, timeout=pause)
        if waiter.done():
            return None
        if (current := _size(log)) != size:
            size, grown = current, time.monotonic()


async def _end(pid: int, waiter: asyncio.Future[int], grace_s: float) -> bool:
    """Leave nothing of the group alive; returns whether members were left after their leader had gone.

    The number of a group is not given out again while it has members, so the signals after the leader was reaped reach
    our own left-overs or nobody.
    """
    try:
        if not waiter.done() and signal_group(pid, force=False):
            await asyncio.wait({waiter}, timeout=grace_s)
    finally:
        # No await before this signal: it must go out even when the grace period itself was cancelled.
        stragglers = waiter.done() and bool(group_members(pid))
        killed = signal_group(pid, force=True)
    if not waiter.done():
        await asyncio.wait({waiter}, timeout=_REAP_S)
        waiter.cancel()  # only has an effect on a process that SIGKILL cannot end, such as one stuck in the kernel
    if killed:
        deadline = time.monotonic() + _REAP_S
        while group_members(pid) and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_S)
    return stragglers


def _size(log: BinaryIO) -> int:
    return os.fstat(log.fileno()).st_size


def _tail(log: BinaryIO) -> str:
    log.seek(max(0, _size(log) - _TAIL_BYTES))
    return log.read(_TAIL_BYTES).decode("utf-8", errors="replace")


def _not_started(spec: ProcessSpec, error: Exception) -> ExternalToolError:
    return ExternalToolError(
        "AGENT_NOT_STARTED",
        f"{spec.argv[0]!r} could not be started: {error}",
        hint="free processes, memory or disk space, then kitty-flow run: it resumes where it stopped",
        details={"argv": list(spec.argv), "cwd": str(spec.cwd), "log": str(spec.log_path)},
    )
