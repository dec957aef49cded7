"""The zoo of git's lock files: the user's do not concern us, a dead one of ours is healed, no owner is robbed."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from workbench import Workbench

from kitty_flow.errors import ConflictError
from kitty_flow.git import stale_lock
from kitty_flow.git.refs import RefMovedError
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.draft import Batch, Draft
from kitty_flow.ledger.ledger import Ledger

USERS = ("index.lock", "HEAD.lock", "packed-refs.lock", "config.lock", "refs/heads/side.lock")
MISSION = "01J0000000000000000000000A"

Owner = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def ledger(repo: Path) -> Iterator[Ledger]:
    with Ledger(Repository.discover(repo), MISSION, "sample") as made:
        record(made, "WP00")
        yield made


@pytest.fixture
def owner(repo: Path) -> Iterator[Owner]:
    """Start a git that holds the lock of a ref, or none but could."""
    started: list[subprocess.Popen[str]] = []

    def start(ref: str = "") -> subprocess.Popen[str]:
        words = ["git", "update-ref", "--stdin"]
        git = subprocess.Popen(words, cwd=repo, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
        started.append(git)
        assert git.stdin is not None and git.stdout is not None
        for command in [f"start\nupdate {ref} HEAD\n", "prepare\n"] if ref else ["start\n"]:
            git.stdin.write(command)
            git.stdin.flush()
            assert git.stdout.readline().endswith(": ok\n")
        return git

    yield start
    for git in started:
        git.communicate()


def record(ledger: Ledger, entity_id: str) -> None:
    draft = Draft("work_package", entity_id, "work_package", "sha256:0", "plan", "ann", None, "planned")
    ledger.record(lambda view: Batch([draft]))


def leave(path: Path, age_s: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("left behind\n")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


@pytest.mark.parametrize("is_owner_alive", [False, True])
@pytest.mark.parametrize("age_s", [0.0, 3600.0])
def test_locks_of_the_user_do_not_concern_us(
    repo: Path, kitty_words: tuple[str, ...], owner: Owner, is_owner_alive: bool, age_s: float
) -> None:
    bench = Workbench(repo, kitty_words)
    bench.mission({"WP01": {"owned_files": ["one.txt"]}})
    bench.kitty("plan", "sample")
    if is_owner_alive:
        owner()
    left = [leave(repo / ".git" / name, age_s) for name in USERS]
    bench.kitty("wp", "block", "WP01", "--reason", "for a reason")
    assert bench.states() == {"WP01": "blocked"}
    assert [path.read_text() for path in left] == ["left behind\n"] * len(USERS)


def test_a_dead_lock_of_our_own_is_healed(repo: Path, ledger: Ledger) -> None:
    lock = leave(repo / ".git" / f"{ledger.ref}.lock", 3.0)
    record(ledger, "WP01")
    assert not lock.exists()


@pytest.mark.slow
def test_a_fresh_dead_lock_of_our_own_is_healed_when_it_has_aged(repo: Path, ledger: Ledger) -> None:
    lock = leave(repo / ".git" / f"{ledger.ref}.lock", 0.0)
    record(ledger, "WP01")
    assert not lock.exists()


def test_an_idle_ledger_of_another_process_does_not_keep_a_dead_lock_alive(repo: Path, ledger: Ledger) -> None:
    """Its git process stays for as long as it is open: a run would have kept every dead lock from being healed."""
    with Ledger(ledger.repository, MISSION, "sample") as idle:
        record(idle, "WP01")
        leave(repo / ".git" / f"{ledger.ref}.lock", 3.0)
        record(ledger, "WP02")
    leave(repo / ".git/refs/heads/kitty/lane.lock", 3.0)
    head = str(ledger.repository.refs.read("HEAD"))
    ledger.repository.refs.swap("refs/heads/kitty/lane", head, "")
    assert ledger.repository.refs.read("refs/heads/kitty/lane") == head


def test_a_live_owner_is_never_robbed(
    repo: Path, ledger: Ledger, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stale_lock, "_WAIT_S", 0.3)
    git = owner(ledger.ref)
    lock = repo / ".git" / f"{ledger.ref}.lock"
    os.utime(lock, (time.time() - 3600,) * 2)
    with pytest.raises(ConflictError) as refused:
        record(ledger, "WP01")
    assert refused.value.code == "LEDGER_BUSY"
    assert lock.exists()
    git.communicate("abort\n")
    record(ledger, "WP01")


def test_the_dead_lock_of_a_head_that_points_to_the_target_is_healed(repo: Path) -> None:
    """git locks HEAD with the branch that it points to, and a git that was killed leaves both locks behind."""
    repository = Repository.discover(repo)
    head = str(repository.refs.read("HEAD"))
    tree = repository.git.text("rev-parse", "HEAD^{tree}")
    new = repository.git.text("commit-tree", "-p", head, "-m", "Next", tree)
    locks = [leave(repo / ".git" / name, 60.0) for name in ("HEAD.lock", "refs/heads/trunk.lock")]
    with pytest.raises(RefMovedError):
        repository.refs.swap("refs/heads/trunk", new, head)
    assert all(lock.exists() for lock in locks)
    repository.refs.swap("refs/heads/trunk", new, head, is_ours=True)
    assert (repository.refs.read("HEAD"), [lock.exists() for lock in locks]) == (new, [False, False])


@pytest.mark.slow
def test_locks_at_the_target_while_a_mission_is_merged(repo: Path, kitty_words: tuple[str, ...], owner: Owner) -> None:
    """G12: a lock whose owner lives stops the merge; dead ones of the target are healed; the index is the user's."""
    bench = Workbench(repo, kitty_words)
    bench.commit("Ignore", __gitignore=".kitty-flow/\n")
    bench.mission({"WP01": {"owned_files": ["one.txt"]}}, target_branch="trunk")
    bench.run(jobs=1)
    words = ("merge", "sample", "--test-command", "true")
    before = bench.git("rev-parse", "trunk")
    git = owner("refs/heads/trunk")
    target, head, index = (repo / ".git" / name for name in ("refs/heads/trunk.lock", "HEAD.lock", "index.lock"))
    os.utime(target, (time.time() - 3600,) * 2)
    assert bench.refusal(*words, exit=5)["code"] == "TARGET_MOVED"
    assert target.exists()
    git.communicate("abort\n")
    assert bench.git("rev-parse", "trunk") == before

    for lock in (target, head, index):
        leave(lock, 3600.0)
    bench.kitty(*words)
    assert [lock.exists() for lock in (target, head, index)] == [False, False, True]
    assert bench.git("log", "-1", "--format=%s", "trunk") == "Land A sample"
    index.unlink()
    bench.kitty(*words)  # the checkout that could not follow is brought along
    assert bench.git("status", "--porcelain") == ""
