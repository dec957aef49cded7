"""Where agents are executed: a port that knows nothing of missions. Its form on this machine is `local_executor`.

A job is data, so that another machine could execute it: what to run, where, with which variables on top of those of the
machine, and how long. The loop that submits jobs decides what a result is worth: it comes back with the epoch of the
claim that it was made for, and one of an epoch that has passed is no transition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from kitty_flow.agents.process import ProcessOutcome
from kitty_flow.errors import UsageError

__all__ = ["Executor", "Job", "JobResult", "unknown_job"]


@dataclass(frozen=True, slots=True)
class Job:
    """One agent process to be run.

    Args:
        invocation_id: names the job; the same job handed over twice is one job.
        epoch: the fencing number of the claim it works for; comes back with the result.
        variables: the environment on top of that of the machine which runs it.
        stdin_path: a file that is its standard input; without one that is empty.
        timeout_s: hard limit in seconds, as `stall_s` for a time without output (0: none) and `grace_s` for the time
            between SIGTERM and SIGKILL.
    """

    invocation_id: str
    epoch: int
    argv: tuple[str, ...]
    cwd: str
    variables: Mapping[str, str]
    log_path: str
    timeout_s: float
    stall_s: float = 0.0
    grace_s: float = 5.0
    stdin_path: str | None = None


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a job ended."""

    invocation_id: str
    epoch: int
    outcome: ProcessOutcome


class Executor(Protocol):
    """Runs jobs somewhere. Every method may be called from any thread; none but `collect` waits."""

    def submit(self, job: Job) -> None:
        """Take over a job. One with the id of a job that is known already changes nothing."""

    def is_alive(self, invocation_id: str) -> bool:
        """Whether the job has been taken over and has not ended."""

    def cancel(self, invocation_id: str, *, force: bool = False) -> None:
        """End a job: SIGTERM, grace, SIGKILL; with `force` at once. Harmless for one that has ended or is unknown."""

    def collect(self, invocation_id: str, timeout_s: float | None = None) -> JobResult | None:
        """Wait for the end of a job; None when it has not ended after `timeout_s` seconds.

        Raises:
            ExternalToolError: AGENT_NOT_STARTED, the machine starts no process.
            UsageError: JOB_UNKNOWN.
        """

    def close(self) -> None:
        """End what still runs, without grace, and give everything back. Safe to call twice."""


def unknown_job(invocation_id: str) -> UsageError:
    """The refusal of a question about a job that was never handed over, or that was collected and given up."""
    return UsageError("JOB_UNKNOWN", f"no job {invocation_id} was handed over", hint="kitty-flow status")
