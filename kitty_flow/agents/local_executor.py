"""Agents as processes of this machine: a thread that does nothing else watches all of them and keeps their limits."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYetError
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Final

from kitty_flow.agents.environment import complete_environment
from kitty_flow.agents.executor import Job, JobResult, unknown_job
from kitty_flow.agents.group import kill_invocation
from kitty_flow.agents.guardian import Guardian
from kitty_flow.agents.process import ProcessOutcome, ProcessSpec, run_process

__all__ = ["LocalExecutor"]

_END_S: Final = 30.0


@dataclass(eq=False)
class _Running:
    job: Job
    ended: Future[ProcessOutcome] = field(default_factory=Future)
    task: asyncio.Task[None] | None = None


class LocalExecutor:
    """The `Executor` of this machine. Use as a context manager, or call `close`.

    Args:
        environment: the environment of the machine, this process's own by default.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        self._door = threading.Lock()
        self._jobs: dict[str, _Running] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._guardian = Guardian()

    def submit(self, job: Job) -> None:
        """Take over a job. One with the id of a job that is known already changes nothing."""
        with self._door:
            if job.invocation_id in self._jobs:
                return
            running = self._jobs[job.invocation_id] = _Running(job)
            loop = self._started()
        loop.call_soon_threadsafe(self._begin, running)

    def is_alive(self, invocation_id: str) -> bool:
        """Whether the job has been taken over and has not ended."""
        running = self._jobs.get(invocation_id)
        return running is not None and not running.ended.done()

    def cancel(self, invocation_id: str, *, force: bool = False) -> None:
        """End a job: SIGTERM, grace, SIGKILL; with `force` at once. Harmless for one that has ended or is unknown."""
        running, loop = self._jobs.get(invocation_id), self._loop
        if running is None or loop is None or running.ended.done():
            return

        def end() -> None:
            if running.task is not None:
                running.task.cancel()
                if force:  # a second one cuts the time for an end in order short
                    loop.call_soon(running.task.cancel)

        loop.call_soon_threadsafe(end)

    def collect(self, invocation_id: str, timeout_s: float | None = None) -> JobResult | None:
        """Wait for the end of a job; None when it has not ended after `timeout_s` seconds.

        Raises:
            ExternalToolError: AGENT_NOT_STARTED, the machine starts no process.
            UsageError: JOB_UNKNOWN.
        """
        running = self._jobs.get(invocation_id)
        if running is None:
            raise unknown_job(invocation_id)
        try:
            outcome = running.ended.result(timeout_s)
        except NotYetError:
            return None
        return JobResult(invocation_id, running.job.epoch, outcome)

    def close(self) -> None:
        """End what still runs, without grace, and the thread. Safe to call twice."""
        loop, thread = self._loop, self._thread
        for running in list(self._jobs.values()):
            self.cancel(running.job.invocation_id, force=True)
        for running in list(self._jobs.values()):
            try:
                running.ended.exception(_END_S)
            except NotYetError:
                break
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_END_S)
            self._loop = self._thread = None
        self._guardian.close()

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            loop = self._loop = asyncio.new_event_loop()

            def watch() -> None:
                try:
                    loop.run_forever()
                finally:
                    loop.close()

            self._thread = threading.Thread(target=watch, name="kitty-flow-agents", daemon=True)
            self._thread.start()
        return self._loop

    def _begin(self, running: _Running) -> None:
        assert self._loop is not None
        running.task = self._loop.create_task(self._run(running))
        running.task.add_done_callback(lambda task: self._settle(running))

    def _settle(self, running: _Running) -> None:
        if not running.ended.done():  # canceled before its first step
            running.ended.set_result(_canceled(running.job, 0.0))

    async def _run(self, running: _Running) -> None:
        job = running.job
        begun = time.monotonic()
        name, log = job.invocation_id, Path(job.log_path)
        spec = ProcessSpec(
            job.argv,
            Path(job.cwd),
            complete_environment(self._environment, job.variables),
            log,
            job.timeout_s,
            job.stall_s,
            job.grace_s,
            Path(job.stdin_path) if job.stdin_path is not None else None,
        )
        self._guardian.watch(name)
        try:
            outcome = await run_process(spec, on_started=lambda pid: self._guardian.group(name, pid))
        except asyncio.CancelledError:
            outcome = _canceled(job, time.monotonic() - begun)
        except BaseException as error:
            self._guardian.forget(name)
            running.ended.set_exception(error)
            return
        # The work goes on to somebody else: what escaped from the group must not go on in that worktree.
        sweeping = asyncio.ensure_future(asyncio.to_thread(kill_invocation, name))
        while not sweeping.done():
            with suppress(asyncio.CancelledError):  # it ends anyway
                await asyncio.wait({sweeping})
        self._guardian.forget(name)
        running.ended.set_result(replace(outcome, stragglers=outcome.stragglers or sweeping.result() > 0))

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _canceled(job: Job, duration_s: float) -> ProcessOutcome:
    return ProcessOutcome(None, "canceled", duration_s, Path(job.log_path), "")
