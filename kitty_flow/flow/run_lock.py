"""Which runs of a mission are alive in this clone: told by locks that the kernel frees when their owner dies.

A run that drives a mission holds the mission's run lock, as a merge does. Every run, also one that joined, holds a lock
of its own beside a small file that says who it is.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kitty_flow.errors import ConflictError
from kitty_flow.flow.actor import current_user
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.standing import is_under_review
from kitty_flow.ledger.lock import exclusive
from kitty_flow.ledger.view import EntityState, LedgerView

__all__ = ["RunIdentity", "enrolled", "holding_run", "is_alive", "living_runs", "run_lock"]

_ENROL_S: Final = 10.0
"""Somebody who looks whether a run is alive holds its lock for a moment."""


@dataclass(frozen=True)
class RunIdentity:
    """Who runs a mission: where, as which process, since when (for display), on whose word."""

    run_id: str
    host: str
    pid: int
    since: str
    actor: str
    joined: bool

    @classmethod
    def ours(cls, run_id: str, *, joined: bool) -> RunIdentity:
        """The identity of a run in this process."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(run_id, socket.gethostname(), os.getpid(), since, current_user(), joined)

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    def as_evidence(self) -> dict[str, Any]:
        """What the ledger keeps of it. `run_process` tells this process from a later one of the same number."""
        return {"host": self.host, "pid": self.pid, "run_process": _process_mark(), "joined": self.joined}

    def __str__(self) -> str:
        kind = "a run that joined" if self.joined else "a run"
        return f"{kind} of {self.actor} (pid {self.pid} on {self.host}, since {self.since})"


@contextmanager
def run_lock(mission: OpenMission, *, beside_joined: bool = False) -> Iterator[None]:
    """Hold the lock that makes a run, or a merge, the only one of its mission in this clone.

    Args:
        beside_joined: runs that had joined another one may be alive.

    Raises:
        ConflictError: RUN_ACTIVE, a run is alive, and `details` say which; LOCK_TIMEOUT, something else holds the lock.
    """
    path = mission.project.repository.state_dir / "locks" / f"{mission.id}.run.lock"
    with ExitStack() as held:
        try:
            held.enter_context(exclusive(path, timeout_s=0.0, what=f"the run of {mission.slug}"))
        except ConflictError as error:
            runs = living_runs(mission)
            raise _active(mission, runs) if runs else error from error
        joined = [] if beside_joined else living_runs(mission)
        if joined:
            raise _active(mission, joined)
        yield


def _active(mission: OpenMission, runs: list[RunIdentity]) -> ConflictError:
    runs.sort(key=lambda run: run.joined)
    return ConflictError(
        "RUN_ACTIVE",
        f"{runs[0]} is at work on {mission.slug}",
        hint=f"kitty-flow status {mission.slug} --watch; kitty-flow run {mission.slug} --join helps it",
        details={"runs": [run.as_data() for run in runs]},
    )


@contextmanager
def enrolled(mission: OpenMission, run: RunIdentity) -> Iterator[None]:
    """Count a run among the living ones for the block."""
    folder = _folder(mission)
    _forget_dead(mission)
    lock, file = folder / f"{run.run_id}.lock", folder / f"{run.run_id}.json"
    with exclusive(lock, timeout_s=_ENROL_S, what=f"the run {run.run_id}"):
        file.write_text(json.dumps(run.as_data()), encoding="utf-8")
        try:
            yield
        finally:
            _remove(folder, run.run_id)


def is_alive(mission: OpenMission, run_id: str) -> bool:
    """Whether a run of this clone is alive."""
    lock = _folder(mission) / f"{run_id}.lock"
    if not run_id.isalnum() or not lock.exists():
        return False
    try:
        with exclusive(lock, timeout_s=0.0, what=f"the run {run_id}"):
            return False
    except ConflictError:
        return True


def living_runs(mission: OpenMission) -> list[RunIdentity]:
    """The runs of this clone that are alive, those that had begun first in front."""
    found = []
    for file in sorted(_folder(mission).glob("*.json")):
        if is_alive(mission, file.stem):
            with suppress(OSError, ValueError, TypeError):  # it ends just now
                found.append(RunIdentity(**json.loads(file.read_text(encoding="utf-8"))))
    return sorted(found, key=lambda run: run.since)


def holding_run(entity: EntityState, view: LedgerView) -> str | None:
    """The run that works on a work package or reviews it; None for an agent that came through `next`, or nobody."""
    if entity.state in ("claimed", "in_progress"):
        return entity.facts.get("run_id") or None
    if is_under_review(entity, view):
        known = view.entity("invocation", str(entity.facts.get("review_invocation_id")))
        return known.last_event.correlation_id if known is not None else None
    return None


def _process_mark() -> str:
    """Names this process beyond its reusable number: the boot, and when in it the kernel started the process.

    Where the kernel has no such files (not Linux) it is empty.
    """
    with suppress(OSError, IndexError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return f"{boot}:{fields[19]}"
    return ""


def _forget_dead(mission: OpenMission) -> None:
    for file in _folder(mission).glob("*.json"):
        if not is_alive(mission, file.stem):
            _remove(file.parent, file.stem)


def _remove(folder: Path, run_id: str) -> None:
    for name in (f"{run_id}.json", f"{run_id}.lock", f"{run_id}.lock.line"):
        with suppress(OSError):
            (folder / name).unlink()


def _folder(mission: OpenMission) -> Path:
    return mission.project.repository.state_dir / "runs" / mission.id
