"""`kitty-flow doctor locks --fix`: dead locks go, and whatever may be alive stays."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kitty_flow.flow.doctor.examination import examine
from kitty_flow.git.repository import Repository
from kitty_flow.git.stale_lock import clear_stale_lock
from kitty_flow.ledger.lock import exclusive

MISSION = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
OWN = (f"refs/kitty/m/{MISSION}.lock", "refs/heads/kitty/mission-shop.lock")
OTHERS = ("index.lock", "packed-refs.lock", "refs/heads/kitty-like.lock", "refs/heads/x.lock", "config.lock")


@pytest.fixture
def lock(repo: Path) -> Callable[..., Path]:
    """Make a lock file of git that is so many seconds old: ``lock("index.lock", 3)``."""

    def make(name: str, age: float) -> Path:
        path = repo / ".git" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
        return path

    return make


def test_locks_are_dead_after_two_seconds_on_refs_of_ours_and_after_ten_elsewhere(
    repo: Path, lock: Callable[..., Path]
) -> None:
    dead = [*(lock(name, 5) for name in OWN), lock("HEAD.lock", 3600)]
    alive = [lock(name, 5) for name in OTHERS]  # they may have been made by a command that is no `git`
    done = examine("locks", repo, fix=True)
    assert done.problems == ()
    assert sorted(str(t.done) for t in done.treatments or ()) == sorted(f"{path} was removed" for path in dead)
    assert [path for path in dead if path.exists()] == []
    assert [path for path in alive if not path.exists()] == []
    assert examine("locks", repo, fix=True).treatments == ()


def test_while_git_is_at_work_here_everything_stays(repo: Path, lock: Callable[..., Path]) -> None:
    paths = [lock(name, 3600) for name in (*OWN, *OTHERS)]
    with subprocess.Popen(
        ["git", "fast-import", "--quiet"], cwd=repo, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as git:
        assert git.stdin is not None and git.stdout is not None
        git.stdin.write(b"progress ready\n")
        git.stdin.flush()
        assert git.stdout.readline() == b"progress ready\n"
        done = examine("locks", repo, fix=True)
        git.stdin.close()
    assert done.treatments == ()
    assert {f.status for f in done.findings} == {"warning"}
    assert all(path.exists() for path in paths)
    assert examine("locks", repo, fix=True).problems == ()
    assert not any(path.exists() for path in paths)


def test_a_lock_that_somebody_took_meanwhile_stays(
    repo: Path, lock: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = lock("index.lock", 3600)

    def taken_meanwhile(places: object) -> list[tuple[int, list[str]]]:
        os.utime(path)
        return []

    monkeypatch.setattr("kitty_flow.git.stale_lock.git_processes", taken_meanwhile)
    assert not clear_stale_lock(path, older_than_s=10, places=[repo], wait_s=0)
    assert path.exists()


def test_locks_of_kitty_flow_and_of_others_are_none_of_its_business(repo: Path, lock: Callable[..., Path]) -> None:
    names = ("kitty-flow/locks/adopt.lock", "modules/sub/index.lock", "lfs/tmp/x.lock")
    paths = [lock(name, 3600) for name in names]
    with exclusive(Repository.discover(repo).state_dir / "locks" / "sync-origin.lock", timeout_s=1, what="a test"):
        done = examine("locks", repo, fix=True)
    assert [f.subject for f in done.findings] == ["remotes"]
    assert all(path.exists() for path in paths)
