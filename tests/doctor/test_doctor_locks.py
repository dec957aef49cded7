"""Locks that were left over, locks that are held, and locks that are none of our business."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kitty_flow.flow.doctor.finding import DoctorFinding
from kitty_flow.flow.doctor.locks import STALE_AFTER_S, examine_locks
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.lock import exclusive

MISSION = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
WRITTEN = 1_700_000_000.0


def _lock(repo: Path, name: str) -> Path:
    path = repo / ".git" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (WRITTEN, WRITTEN))
    return path


def _look(repo: Path, now: float) -> list[DoctorFinding]:
    return list(examine_locks(Repository.discover(repo), {MISSION: "shop"}, now=now))


@pytest.mark.parametrize(
    "name",
    ["index.lock", "HEAD.lock", "packed-refs.lock", "config.lock", "refs/heads/x.lock", f"refs/kitty/m/{MISSION}.lock",
     "worktrees/lane-a/index.lock", "objects/info/commit-graph.lock"],
)  # fmt: skip
def test_a_lock_that_git_left_over_is_named_with_its_age_and_remedy(repo: Path, name: str) -> None:
    path = _lock(repo, name)
    (found,) = _look(repo, WRITTEN + 7200)
    assert (found.status, found.subject) == ("problem", name)
    assert "2 hours old" in found.message
    assert path.exists()
    subprocess.run(shlex.split(found.remedy), check=True, timeout=60)
    assert [f.status for f in _look(repo, WRITTEN + 7200)] == ["ok"]


@pytest.mark.parametrize("age", [-3600.0, 0.0, STALE_AFTER_S])
def test_a_young_lock_is_somebody_at_work(repo: Path, age: float) -> None:
    _lock(repo, "index.lock")
    assert [f.status for f in _look(repo, WRITTEN + age)] == ["ok"]


@pytest.mark.parametrize("name", ["kitty-flow/locks/adopt.lock", "modules/sub/index.lock", "lfs/tmp/x.lock"])
def test_locks_of_others_are_left_alone(repo: Path, name: str) -> None:
    _lock(repo, name)
    assert [f.status for f in _look(repo, WRITTEN + 7200)] == ["ok"]


def test_an_old_lock_may_be_in_use_while_git_is_at_work_here(repo: Path) -> None:
    _lock(repo, "index.lock")
    with _idle_git(repo, "fast-import") as pid:
        (found,) = _look(repo, WRITTEN + 7200)
    assert found.status == "warning"
    assert f"git fast-import --quiet (pid {pid})" in found.message


def test_a_git_process_that_only_reads_holds_no_lock(repo: Path) -> None:
    _lock(repo, "index.lock")
    with _idle_git(repo, "cat-file", "--batch"):
        (found,) = _look(repo, WRITTEN + 7200)
    assert found.status == "problem"


@pytest.mark.parametrize(
    ("name", "subject", "kind"),
    [
        (f"{MISSION}.run.lock", "shop", "a run or a merge"),
        (f"{MISSION}.lock", "shop", "a command that records"),
        ("adopt.lock", "missions", "a command that takes a mission into the ledger"),
        ("housekeeping.lock", "objects", "a command that packs the ledger's objects"),
    ],
)
def test_a_held_lock_of_ours_is_listed_with_its_holder(repo: Path, name: str, subject: str, kind: str) -> None:
    path = repo / ".git" / "kitty-flow" / "locks" / name
    with exclusive(path, timeout_s=1, what="a test"):
        (found,) = _look(repo, WRITTEN)
    assert (found.status, found.subject) == ("ok", subject)
    assert found.message.startswith(f"{kind} is at work: ")
    assert f"(pid {os.getpid()})" in found.message
    assert [f.message for f in _look(repo, WRITTEN)] == ["none is held, and none was left over"]


def test_looking_takes_no_lock(repo: Path) -> None:
    path = repo / ".git" / "kitty-flow" / "locks" / f"{MISSION}.run.lock"
    with exclusive(path, timeout_s=0, what="a test"):
        pass
    looking = _look(repo, WRITTEN)
    with exclusive(path, timeout_s=0, what="a test"):
        assert [f.status for f in looking] == ["ok"]


@contextmanager
def _idle_git(repo: Path, *arguments: str) -> Iterator[int]:
    """A git process that waits for input, and that certainly runs: it has answered."""
    if arguments[0] == "fast-import":
        arguments = (*arguments, "--quiet")
        question, answer = b"progress ready\n", b"progress ready\n"
    else:
        question, answer = b"HEAD:none\n", b"HEAD:none missing\n"
    process = subprocess.Popen(
        ["git", *arguments], cwd=repo, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(question)
        process.stdin.flush()
        assert process.stdout.readline() == answer
        yield process.pid
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(timeout=60)
