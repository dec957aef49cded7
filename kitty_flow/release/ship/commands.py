"""Running the project's commands on exactly the tree of the release commit, in a scratch worktree."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kitty_flow.agents.command import AgentSpec, check_executable
from kitty_flow.agents.process import ProcessOutcome
from kitty_flow.effects import reach
from kitty_flow.errors import ExternalToolError
from kitty_flow.flow.project_command import run_command
from kitty_flow.flow.workspace import workspace_path
from kitty_flow.ledger.lock import exclusive
from kitty_flow.release.ship.sheet import Release
from kitty_flow.release.tested_tree import digest_of

__all__ = ["Ran", "Workplace", "clear_scratch", "scratch"]


@dataclass(frozen=True)
class Ran:
    """How a command ended, and where its whole output is."""

    outcome: ProcessOutcome

    @property
    def passed(self) -> bool:
        """Ended by itself with status 0."""
        return self.outcome.reason == "exited" and self.outcome.exit_code == 0

    @property
    def how(self) -> str:
        """How it ended, in words."""
        return f"status {self.outcome.exit_code}" if self.outcome.reason == "exited" else self.outcome.reason

    def as_data(self) -> dict[str, Any]:
        """What the ledger keeps: status, time, and the log's file and SHA-256."""
        log = self.outcome.log_path
        return {
            "exit_status": self.outcome.exit_code,
            "ended": self.outcome.reason,
            "duration_ms": round(self.outcome.duration_s * 1000),
            "log": str(log),
            "log_sha256": digest_of(log) if log.is_file() else "",
        }


@dataclass(frozen=True)
class Workplace:
    """A scratch worktree at the release commit, and what every command there is told."""

    release: Release
    path: Path

    def run(self, name: str, argv: Sequence[str], timeout_s: float, more: Mapping[str, str] | None = None) -> Ran:
        """Run one command to its end; its log is called `name`.

        Words may hold ``{version}``, ``{tag}``, ``{commit}``, ``{folder}`` (of the artifacts) and what `more` adds;
        the word ``{artifacts}`` becomes the path of every artifact. SOURCE_DATE_EPOCH is the commit's time.

        Raises:
            ExternalToolError: SHIP_COMMAND_MISSING.
        """
        words = self._filled(argv, more or {})
        spec = self._found(AgentSpec(name, words, timeout_s, 0.0))
        log = self.release.folder / "logs" / f"{name.replace('/', '_')}.log"
        log.unlink(missing_ok=True)
        reach("ship.command")
        done = run_command(spec, self.path, log, None, self._variables())
        reach("ship.ran")
        return Ran(done)

    def _filled(self, argv: Sequence[str], more: Mapping[str, str]) -> tuple[str, ...]:
        release = self.release
        folder = release.folder / "artifacts"
        values = {
            "version": release.version,
            "tag": release.tag,
            "commit": release.commit,
            "folder": str(folder),
            **more,
        }
        words: list[str] = []
        for word in argv:
            if word == "{artifacts}":
                words += [str(folder / name) for name in sorted(release.artifacts or {})]
                continue
            for name, value in values.items():
                word = word.replace(f"{{{name}}}", value)
            words.append(word)
        return tuple(words)

    def _found(self, spec: AgentSpec) -> AgentSpec:
        try:
            return check_executable(spec, self.path)
        except ExternalToolError as error:
            raise ExternalToolError(
                "SHIP_COMMAND_MISSING",
                f"the command of {spec.name} cannot be started: there is no {spec.argv[0]!r}",
                hint=f"install it, or correct [ship] in .kitty-flow/config.toml; then {self.release.command}",
                details=error.details,
            ) from error

    def _variables(self) -> dict[str, str]:
        release = self.release
        at = release.mission.project.history.committed_at(release.commit)
        return {
            "SOURCE_DATE_EPOCH": str(int(at.timestamp())),
            "SHIP_VERSION": release.version,
            "SHIP_TAG": release.tag,
            "SHIP_COMMIT": release.commit,
            "SHIP_ARTIFACTS": json.dumps(release.artifacts or {}, sort_keys=True),
        }


@contextmanager
def scratch(release: Release, lane: str = "ship") -> Iterator[Workplace]:
    """A fresh worktree at the release commit, removed afterwards; one that a killed process left is replaced.

    Raises:
        ConflictError: LOCK_TIMEOUT, another process uses it.
    """
    mission = release.mission
    worktrees, path = mission.project.worktrees, workspace_path(mission, lane)
    lock = mission.project.repository.state_dir / "locks" / f"{mission.id}.{lane}.lock"
    with exclusive(lock, timeout_s=0.0, what=f"the release of {mission.slug}"):
        worktrees.clear_unfinished(path)
        left_over = worktrees.at(path)
        if left_over is not None:
            worktrees.remove(left_over, disposable=True)
        checkout = worktrees.add(path, release.commit)
        try:
            yield Workplace(release, path)
        finally:
            worktrees.remove(checkout, disposable=True)


def clear_scratch(release: Release) -> None:
    """Remove what a killed process left of the scratch worktrees of this release."""
    worktrees = release.mission.project.worktrees
    for lane in ("ship", "ship-again"):
        left_over = worktrees.at(workspace_path(release.mission, lane))
        if left_over is not None:
            worktrees.remove(left_over, disposable=True)
