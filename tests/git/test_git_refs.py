"""A ref moves by compare-and-swap or not at all."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kitty_flow.git import stale_lock
from kitty_flow.git.process import GitFailedError
from kitty_flow.git.refs import ABSENT, RefMovedError, Refs
from kitty_flow.git.repository import Repository

RunGit = Callable[..., str]
MakeRepo = Callable[..., Path]
REF = "refs/kitty/m/01J00000000000000000000000"
USERS = "refs/heads/topic"


@pytest.fixture
def refs(repo: Path) -> Refs:
    return Repository.discover(repo).refs


@pytest.fixture
def oids(repo: Path, git: RunGit) -> list[str]:
    return [git(repo, "commit-tree", "-m", str(number), "HEAD^{tree}") for number in range(3)]


def test_create_and_move(refs: Refs, oids: list[str]) -> None:
    assert refs.read(REF) is None
    refs.swap(REF, oids[0], ABSENT)
    assert refs.read(REF) == oids[0]
    refs.swap(REF, oids[1], oids[0])
    assert refs.commit(REF) == oids[1]


def test_a_sha256_repository(make_repo: MakeRepo, git: RunGit) -> None:
    root = make_repo("wide", "--object-format=sha256")
    refs = Repository.discover(root).refs
    head = git(root, "rev-parse", "HEAD")
    refs.swap(REF, head, ABSENT)
    with pytest.raises(RefMovedError):
        refs.swap(REF, head, ABSENT)
    assert refs.read(REF) == head


@pytest.mark.parametrize("expected", [ABSENT, 1])
def test_a_stale_expectation_changes_nothing(refs: Refs, oids: list[str], expected: str | int) -> None:
    old = oids[expected] if isinstance(expected, int) else expected
    refs.swap(REF, oids[0], ABSENT)
    with pytest.raises(RefMovedError) as refused:
        refs.swap(REF, oids[2], old)
    assert (refused.value.code, refused.value.exit_status) == ("REF_MOVED", 5)
    assert refused.value.details["actual"] == oids[0]
    assert refs.read(REF) == oids[0]


def test_moving_a_ref_that_was_deleted(refs: Refs, oids: list[str]) -> None:
    with pytest.raises(RefMovedError):
        refs.swap(REF, oids[1], oids[0])
    assert refs.read(REF) is None


@pytest.mark.parametrize("packed", [False, True])
def test_a_lock_on_a_ref_of_the_user_is_left_alone(
    repo: Path, git: RunGit, refs: Refs, oids: list[str], packed: bool
) -> None:
    refs.swap(USERS, oids[0], ABSENT)
    if packed:
        git(repo, "pack-refs", "--all")
        (repo / ".git/refs/heads").mkdir(parents=True, exist_ok=True)
    lock = repo / ".git" / f"{USERS}.lock"
    lock.touch()
    with pytest.raises(RefMovedError) as refused:
        refs.swap(USERS, oids[1], oids[0])
    assert "locked" in refused.value.message
    assert refs.read(USERS) == oids[0]
    lock.unlink()
    refs.swap(USERS, oids[1], oids[0])
    assert refs.read(USERS) == oids[1]


@pytest.mark.parametrize(("ref", "is_ours", "age_s"), [(REF, False, 3), (USERS, True, 11)])
def test_a_dead_lock_is_removed_where_it_must_be_ours(
    repo: Path, refs: Refs, oids: list[str], ref: str, is_ours: bool, age_s: float
) -> None:
    refs.swap(ref, oids[0], ABSENT)
    lock = repo / ".git" / f"{ref}.lock"
    lock.touch()
    long_ago = time.time() - age_s
    os.utime(lock, (long_ago, long_ago))
    refs.swap(ref, oids[1], oids[0], is_ours=is_ours)
    assert refs.read(ref) == oids[1]
    assert not lock.exists()


def test_a_lock_whose_owner_may_live_is_never_removed(
    repo: Path, refs: Refs, oids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stale_lock, "_WAIT_S", 0.3)
    refs.swap(REF, oids[0], ABSENT)
    lock = repo / ".git" / f"{REF}.lock"
    lock.touch()
    os.utime(lock, (0, 0))
    with subprocess.Popen(["git", "fast-import", "--quiet"], cwd=repo, stdin=subprocess.PIPE) as alive:
        with pytest.raises(RefMovedError):
            refs.swap(REF, oids[1], oids[0])
        assert lock.exists()
        assert alive.stdin is not None
        alive.stdin.close()
    assert refs.read(REF) == oids[0]


def test_what_no_repetition_can_mend_is_no_conflict(repo: Path, refs: Refs, oids: list[str]) -> None:
    with pytest.raises(GitFailedError) as refused:
        refs.swap(REF, "12" * 20, ABSENT)  # no such object
    assert "nonexistent object" in refused.value.details["stderr"]
    path = repo / ".git" / REF
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("neither an object name nor a symbolic ref\n")
    with pytest.raises(GitFailedError) as refused:
        refs.swap(REF, oids[0], ABSENT)
    assert "broken" in refused.value.message
    assert path.read_text().startswith("neither")


def test_listing(refs: Refs, oids: list[str]) -> None:
    refs.swap("refs/kitty/m/b", oids[1], ABSENT)
    refs.swap("refs/kitty/m/a", oids[0], ABSENT)
    refs.swap("refs/kitty/mother", oids[2], ABSENT)
    assert refs.under("refs/kitty/m") == {"refs/kitty/m/a": oids[0], "refs/kitty/m/b": oids[1]}
    assert refs.under("refs/kitty/nothing") == {}


def test_an_odd_name_is_never_an_option(refs: Refs) -> None:
    assert refs.read("--all") is None
    assert refs.commit("--git-dir") is None


def test_a_tag_leads_to_its_commit(repo: Path, git: RunGit, refs: Refs) -> None:
    git(repo, "tag", "-a", "-m", "x", "v1")
    assert refs.commit("refs/tags/v1") == git(repo, "rev-parse", "HEAD")
    assert refs.read("refs/tags/v1") == git(repo, "rev-parse", "v1") != refs.commit("refs/tags/v1")
