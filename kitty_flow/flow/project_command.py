"""Running a command of the project's settings, such as its setup or its tests, in a worktree to its end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.environment import INVOCATION_VARIABLE, test_environment
from kitty_flow.agents.executor import Job
from kitty_flow.agents.process import ProcessOutcome, ProcessSpec, run_process
from kitty_flow.ledger.ledger import new_ulid

if TYPE_CHECKING:
    from kitty_flow.flow.run_context import RunContext

__all__ = ["run_command"]

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def run_command(
    spec: AgentSpec, worktree: Path, log: Path, run: RunContext | None, variables: Mapping[str, str] = _NOTHING
) -> ProcessOutcome:
    """Run the command of `spec`, whose program is absolute; `variables` are added to its environment.

    In a run it is a job as its agents are: it ends when the run is stopped, and when the process of the run dies, and
    what it left behind in the background ends with it.

    Raises:
        InterruptedRunError: INTERRUPTED, the run is being stopped; the command was not begun, or it was ended.
        ExternalToolError: AGENT_NOT_STARTED.
    """
    environment = {**test_environment(os.environ, worktree), **variables}
    if run is not None:
        job_id = new_ulid()
        told = {name: environment[name] for name in ("PWD", "GIT_CEILING_DIRECTORIES", *variables)}
        told[INVOCATION_VARIABLE] = job_id  # by which the guardian finds it
        return run.execute(Job(job_id, 0, spec.argv, str(worktree), told, str(log), spec.timeout_s))
    process = ProcessSpec(spec.argv, worktree, environment, log, spec.timeout_s)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(run_process(process))
    with ThreadPoolExecutor(1, "kitty-flow-command") as pool:  # this thread has an event loop that is running
        return pool.submit(lambda: asyncio.run(run_process(process))).result()
