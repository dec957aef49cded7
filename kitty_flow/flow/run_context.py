"""One run from within: its id, where its agents are executed, what they hold, and how far it is to be stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kitty_flow.agents.executor import Executor, Job
from kitty_flow.agents.process import ProcessOutcome
from kitty_flow.errors import InterruptedRunError
from kitty_flow.flow.claim import Claim
from kitty_flow.flow.stopping import Stop, StopLevel

__all__ = ["RunContext"]


class RunContext:
    """What everything that is done for one run shares. Every method may be called from any thread.

    Args:
        run_id: what ties the events of the run together.
        executor: executes its agents.
        stop: how far it is to be stopped; the agents at work follow it.
    """

    def __init__(self, run_id: str, executor: Executor, stop: Stop) -> None:
        self.id = run_id
        self.executor = executor
        self.stop = stop
        self.integrating = threading.Lock()
        """Verdicts and integrations come one after the other: each needs the tip that the one before it made."""
        self._door = threading.RLock()  # a signal handler may come while it is held
        self._at_work: dict[str, Claim | None] = {}
        self._ended_for: dict[str, tuple[str, str]] = {}

    def refuse_if_stopped(self) -> None:
        """Nothing new is begun in a run that is being stopped.

        Raises:
            InterruptedRunError: INTERRUPTED.
        """
        if self.stop.level > StopLevel.NONE:
            raise InterruptedRunError("INTERRUPTED", "the run is being stopped; nothing new is begun")

    @contextmanager
    def at_work(self, invocation_id: str, held: Claim | None) -> Iterator[None]:
        """Counts a job among those at work for the block, which hands it over and waits for it. `held` is its claim.

        Raises:
            InterruptedRunError: INTERRUPTED, the run is being stopped; the block is not entered.
        """
        with self._door:
            self.refuse_if_stopped()
            self._at_work[invocation_id] = held
        try:
            yield
        finally:
            with self._door:
                del self._at_work[invocation_id]

    def execute(self, job: Job) -> ProcessOutcome:
        """Have a job done that is no agent's, and wait for its end.

        Raises:
            InterruptedRunError: INTERRUPTED, the run is being stopped; the job was not begun, or it was ended.
            ExternalToolError: AGENT_NOT_STARTED.
        """
        with self.at_work(job.invocation_id, None):
            self.executor.submit(job)
            result = self.executor.collect(job.invocation_id)
        assert result is not None
        if result.outcome.reason == "canceled":
            self.refuse_if_stopped()
        return result.outcome

    def claims(self) -> dict[str, Claim]:
        """The claim behind each invocation at work."""
        with self._door:
            return {name: held for name, held in self._at_work.items() if held is not None}

    def end(self, invocation_id: str, code: str, message: str) -> None:
        """End one agent for a reason of the run's own, such as a budget: its attempt fails with code and message."""
        with self._door:
            if invocation_id in self._at_work:
                self._ended_for.setdefault(invocation_id, (code, message))
        self.executor.cancel(invocation_id)

    def ended_for(self, invocation_id: str) -> tuple[str, str] | None:
        """Code and message with which an agent was ended; None for the stop of the whole run."""
        with self._door:
            return self._ended_for.pop(invocation_id, None)

    def follow_stop(self, level: StopLevel) -> None:
        """End the agents at work when the run is to be stopped so far."""
        if level >= StopLevel.END:
            with self._door:
                for invocation_id in self._at_work:
                    self.executor.cancel(invocation_id, force=level >= StopLevel.KILL)
