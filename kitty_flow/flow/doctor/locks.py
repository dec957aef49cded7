"""Which locks are held, and which were left behind by a git process that was killed?

No lock is taken to find out: a command that only looks must never make another one wait or fail.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Final

from kitty_flow.errors import ConflictError
from kitty_flow.flow.doctor.finding import DoctorFinding, fixable, ok, problem, warning
from kitty_flow.git.repository import Repository
from kitty_flow.git.stale_lock import STALE_AFTER_S, clear_stale_lock, git_processes, lifetime_s
from kitty_flow.git.worktrees import Worktrees

__all__ = ["STALE_AFTER_S", "examine_locks"]

_GIT_LOCKED: Final = frozenset({"refs", "logs", "info", "objects", "worktrees", "reftable"})
"""The folders of a git directory in which git makes lock files: not ours, not submodules, not large files."""

_OBJECT_FOLDER: Final = re.compile(r"[0-9a-f]{2}")


def examine_locks(repository: Repository, slugs: Mapping[str, str], *, now: float) -> Iterator[DoctorFinding]:
    """Lock files of git that are too old to be in use at `now`, and kitty-flow's own locks that are held.

    `slugs` names missions by id, `now` is in seconds since the epoch.
    """
    found = False
    users = None
    for path in _git_lock_files(repository.common_dir):
        age = _age(path, now)
        if age is not None and age > lifetime_s(_name(path, repository)):
            users = _git_processes(repository) if users is None else users
            found = True
            yield _left_over(path, repository, age, users)
    for path, holders in _held(repository.state_dir / "locks").items():
        found = True
        subject, purpose = _purpose(path.name, slugs)
        yield ok("locks", subject, f"{purpose} is at work: {', '.join(holders)}")
    if not found:
        yield ok("locks", "locks", "none is held, and none was left over")


def _git_lock_files(common_dir: Path) -> Iterator[Path]:
    for folder, children, files in os.walk(common_dir):
        place = Path(folder)
        if place == common_dir:
            children[:] = [name for name in children if name in _GIT_LOCKED]
        elif place == common_dir / "objects":
            children[:] = [name for name in children if not _OBJECT_FOLDER.fullmatch(name)]
        children.sort()
        yield from (place / name for name in sorted(files) if name.endswith(".lock"))


def _age(path: Path, now: float) -> float | None:
    try:
        return now - path.lstat().st_mtime
    except OSError:  # it was removed in the meantime
        return None


def _left_over(path: Path, repository: Repository, age: float, users: list[str]) -> DoctorFinding:
    subject = _name(path, repository)
    if users:
        message = f"{_duration(age)} old, and perhaps in use by {', '.join(users)}"
        return warning("locks", subject, message, "when that has finished: kitty-flow doctor locks --fix")
    found = problem("locks", subject, f"{_duration(age)} old, and no git process is at work here", "")
    return fixable(found, lambda: _remove(path, repository))


def _remove(path: Path, repository: Repository) -> str:
    """Remove a lock file, by the rules by which every command of kitty-flow removes one.

    Raises:
        ConflictError: LOCK_IN_USE, it is not certain any more that it is dead.
    """
    lifetime = lifetime_s(_name(path, repository))
    if not clear_stale_lock(path, older_than_s=lifetime, places=_places(repository), wait_s=0):
        raise ConflictError(
            "LOCK_IN_USE",
            f"{path} may be in use by now",
            hint=f"when no git command runs here: rm -- {quote(str(path))}",
        )
    return f"{path} was removed"


def _name(path: Path, repository: Repository) -> str:
    return path.relative_to(repository.common_dir).as_posix()


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _purpose(name: str, slugs: Mapping[str, str]) -> tuple[str, str]:
    """The mission that a lock of ours belongs to, and the kind of command that takes it."""
    stem = name.removesuffix(".lock")
    if stem == "adopt":
        return "missions", "a command that takes a mission into the ledger"
    if stem == "housekeeping":
        return "objects", "a command that packs the ledger's objects"
    if stem.startswith("sync-"):
        return "remotes", "an exchange with a remote"
    if stem == "ports":
        return "ports", "a start that takes a range of ports"
    if stem == "errors":
        return "errors", "a command that was refused"
    mission_id = stem.removesuffix(".run")
    kind = "a run or a merge" if stem.endswith(".run") else "a command that records"
    return slugs.get(mission_id, mission_id), kind


def _held(folder: Path) -> dict[Path, list[str]]:
    """Lock files that a process has open, with these processes; it opens one only to hold it."""
    import psutil

    if not folder.is_dir():
        return {}
    wanted = {str(path.resolve()): path for path in folder.glob("*.lock")}
    held: dict[Path, list[str]] = {}
    for process in psutil.process_iter() if wanted else ():
        # A process of somebody else, or one that has just ended, cannot be asked.
        with suppress(psutil.Error, OSError):
            for path in {file.path for file in process.open_files()} & wanted.keys():
                held.setdefault(wanted[path], []).append(_words(process.pid, process.cmdline()))
    return dict(sorted(held.items()))


def _git_processes(repository: Repository) -> list[str]:
    return [_words(pid, command) for pid, command in git_processes(_places(repository))]


def _places(repository: Repository) -> tuple[Path, ...]:
    return (repository.common_dir, *(checkout.path for checkout in Worktrees(repository.git).all()))


def _words(pid: int, command: Sequence[str]) -> str:
    """A process for people: the words from the program's name on, without settings and without interpreters."""
    names = [Path(word).name.replace("_", "-") for word in command]
    start = next((i for i, name in enumerate(names) if name in ("kitty-flow", "git")), 0)
    words = [*names[start : start + 1], *command[start + 1 :]]
    while words[1:2] == ["-c"]:
        del words[1:3]
    return f"{' '.join(words)[:60] or 'a process'} (pid {pid})"
