"""Testing exactly one tree: in the warm worktree, watched by a guardian, and compared with the tree afterwards."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.environment import INVOCATION_VARIABLE, test_environment
from kitty_flow.agents.executor import Job
from kitty_flow.agents.process import ProcessOutcome
from kitty_flow.flow.project import Project
from kitty_flow.ledger.ledger import new_ulid
from kitty_flow.release.gate_worktree import gate_worktree
from kitty_flow.release.landing import Landing, TestRun
from kitty_flow.release.test_results import environment_digest, known_pass, record_result, result_name

__all__ = ["TreeTester", "digest_of", "run_on_tree"]

_GRACE_S: Final = 5.0


class TreeTester:
    """Tests trees for one landing.

    Args:
        spec: the test command, its program absolute, and its limit.
    """

    def __init__(self, landing: Landing, spec: AgentSpec) -> None:
        self._landing = landing
        self._spec = spec
        self._say = landing.say
        self._own: dict[str, TestRun] = {}

    def test(self, commit: str, what: str, *, again: bool = False) -> TestRun:
        """The tests of the tree of `commit`; one that passed before is not tested again, unless that was asked for.

        Args:
            what: says in words whose tree it is.
            again: repeat a run that failed.

        Raises:
            ConflictError: LOCK_TIMEOUT, too many processes test trees of this repository.
            ExternalToolError: the worktree cannot be filled, or the machine starts no process.
            LedgerError: the result cannot be recorded.
        """
        landing, command = self._landing, self._landing.options.test_command or ()
        project = landing.mission.project
        tree = project.history.tree(commit)
        environment = environment_digest(self._spec.argv[0], test_environment(os.environ, Path("/")))
        name = result_name(tree, command, environment)
        known = None if again else self._own.get(tree)
        if known is None and not again and not landing.options.retest:
            known = known_pass(landing.mission, name, command)
        if known is not None:
            if known.is_remembered:
                self._say(f"{what}: tested before, at {known.at}, log sha256 {known.log_digest[:12]}")
            return known
        self._say(f"{what}: {'testing once more' if again else 'testing'} tree {tree[:12]}")
        log = project.workspace_root / "merges" / f"{landing.id}-{tree[:12]}{'-again' if again else ''}.log"
        outcome, changed = run_on_tree(project, commit, self._spec, log)
        run = TestRun(
            command,
            outcome.exit_code,
            outcome.reason,
            outcome.duration_s,
            outcome.tail,
            str(log),
            changed,
            digest_of(log),
            datetime.now(UTC).isoformat(timespec="seconds"),
            left_processes=outcome.stragglers,
        )
        self._say(f"{what}: {'passed' if run.passed else 'FAILED'} in {run.duration_s:.1f} s, log {log}")
        record_result(landing, name, run, tree=tree, commit=commit, environment=environment, what=what)
        self._own[tree] = run
        return run


def run_on_tree(project: Project, commit: str, spec: AgentSpec, log: Path) -> tuple[ProcessOutcome, tuple[str, ...]]:
    """Run a command, its program absolute, and end whatever it started; only then the tree is looked at again.

    Returns how it ended, and the tracked paths that it changed.

    Raises:
        ConflictError, ExternalToolError: as `TreeTester.test`.
    """
    from kitty_flow.agents.local_executor import LocalExecutor

    log.unlink(missing_ok=True)
    with gate_worktree(project) as tree:
        tree.put(commit)
        surroundings = test_environment(os.environ, tree.path)
        job_id = new_ulid()
        told = {name: surroundings[name] for name in ("PWD", "GIT_CEILING_DIRECTORIES")}
        told[INVOCATION_VARIABLE] = job_id  # by which the guardian finds what the command started
        job = Job(job_id, 0, spec.argv, str(tree.path), told, str(log), spec.timeout_s, grace_s=_GRACE_S)
        with LocalExecutor(surroundings) as executor:
            executor.submit(job)
            result = executor.collect(job_id)
        assert result is not None
        return result.outcome, tree.changes(commit)


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
