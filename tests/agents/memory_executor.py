"""An executor without processes: what a job does is a function of this process, in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from kitty_flow.agents.executor import Job, JobResult, unknown_job
from kitty_flow.agents.process import ProcessOutcome

__all__ = ["Behaviour", "MemoryExecutor"]

Behaviour = Callable[[Job, threading.Event], int]
"""Does the job and returns its exit status; the event tells that it is to end."""


class MemoryExecutor:
    """Runs every job by one `behaviour`."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._door = threading.Lock()
        self._jobs: dict[str, tuple[Job, threading.Event, threading.Event, list[ProcessOutcome]]] = {}

    def submit(self, job: Job) -> None:
        with self._door:
            if job.invocation_id in self._jobs:
                return
            entry = self._jobs[job.invocation_id] = (job, threading.Event(), threading.Event(), [])
        threading.Thread(target=self._run, args=entry, daemon=True).start()

    def _run(self, job: Job, stop: threading.Event, ended: threading.Event, outcome: list[ProcessOutcome]) -> None:
        expired = threading.Timer(job.timeout_s, stop.set)
        expired.start()
        status = self._behaviour(job, stop)
        late = not expired.is_alive()
        expired.cancel()
        reason = "timeout" if late else "canceled" if stop.is_set() else "exited"
        outcome.append(ProcessOutcome(status, reason, 0.0, Path(job.log_path), ""))  # type: ignore[arg-type]
        ended.set()

    def is_alive(self, invocation_id: str) -> bool:
        entry = self._jobs.get(invocation_id)
        return entry is not None and not entry[2].is_set()

    def cancel(self, invocation_id: str, *, force: bool = False) -> None:
        if self.is_alive(invocation_id):
            self._jobs[invocation_id][1].set()

    def collect(self, invocation_id: str, timeout_s: float | None = None) -> JobResult | None:
        if invocation_id not in self._jobs:
            raise unknown_job(invocation_id)
        job, _, ended, outcome = self._jobs[invocation_id]
        return JobResult(invocation_id, job.epoch, outcome[0]) if ended.wait(timeout_s) else None

    def close(self) -> None:
        for name in list(self._jobs):
            self.cancel(name, force=True)
            self.collect(name)
