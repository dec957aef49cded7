"""How git is called: nothing of the caller's environment, configuration or hooks gets in."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kitty_flow.git.coprocess import CoProcess
from kitty_flow.git.process import Git, GitFailedError
from kitty_flow.git.repository import Repository
from kitty_flow.git.worktrees import Checkout

RunGit = Callable[..., str]
MakeRepo = Callable[..., Path]


def test_the_callers_git_variables_do_not_redirect_us(
    repo: Path, make_repo: MakeRepo, tmp_path: Path, git: RunGit, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repo("other")
    head, others_head = git(repo, "rev-parse", "HEAD"), git(other, "rev-parse", "HEAD")
    index = (other / ".git/index").read_bytes()
    for name, value in {
        "GIT_DIR": other / ".git",
        "GIT_WORK_TREE": other,
        "GIT_INDEX_FILE": other / ".git/index",
        "GIT_OBJECT_DIRECTORY": other / ".git/objects",
        "GIT_COMMON_DIR": other / ".git",
        "GIT_NAMESPACE": "elsewhere",
        "GIT_CEILING_DIRECTORIES": tmp_path,
        "GIT_CONFIG_COUNT": "nonsense",
    }.items():
        monkeypatch.setenv(name, str(value))

    repository = Repository.discover(repo)
    with repository.objects() as objects:
        oid = objects.write_blob(b"mine")
        assert objects.read_blob(oid) == b"mine"
    repository.refs.swap("refs/kitty/x", oid, "")
    (repo / "new.txt").write_text("new\n")
    tree = Checkout(repo, head, None).snapshot()

    monkeypatch.undo()
    assert repository.root == repo
    assert (repo / ".git/objects" / oid[:2] / oid[2:]).is_file()
    assert git(repo, "rev-parse", "refs/kitty/x") == oid
    assert git(repo, "ls-tree", "--name-only", tree).split() == ["README.md", "new.txt"]
    assert git(other, "for-each-ref").split() == [others_head, "commit", "refs/heads/trunk"]
    assert (other / ".git/index").read_bytes() == index


def test_the_language_of_the_user_does_not_change_what_we_read(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGUAGE", "de")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    with pytest.raises(GitFailedError) as refused:
        Git(tmp_path).call("rev-parse", "HEAD")
    assert "not a git repository" in refused.value.details["stderr"]


def test_a_failure_says_what_was_run_and_what_git_said(repo: Path) -> None:
    with pytest.raises(GitFailedError) as refused:
        Git(repo).output("rev-parse", "--verify", "no-such-thing")
    error = refused.value
    assert error.code == "GIT_FAILED"
    assert error.message.startswith("git rev-parse failed: fatal: ")
    assert error.details["command"] == ["git", "rev-parse", "--verify", "no-such-thing"]
    assert error.details["status"] == 128


def test_a_command_that_does_not_end_is_given_up(repo: Path) -> None:
    with pytest.raises(GitFailedError) as refused:
        Git(repo).call("-c", "alias.forever=!exec tail -f /dev/null", "forever", timeout=0.2)
    assert refused.value.code == "GIT_TIMEOUT"


def test_no_hook_and_no_file_monitor_runs(repo: Path, tmp_path: Path, git: RunGit) -> None:
    witness = tmp_path / "witness"
    script = f"#!/bin/sh\necho ran >> '{witness}'\nexit 1\n"
    for name in ("post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc", "fsmonitor"):
        (repo / ".git/hooks").mkdir(exist_ok=True)
        (repo / ".git/hooks" / name).write_text(script)
        (repo / ".git/hooks" / name).chmod(0o755)
    git(repo, "config", "core.fsmonitor", repo / ".git/hooks/fsmonitor")
    subprocess.run(["git", "update-ref", "refs/x", "HEAD"], cwd=repo, check=False, capture_output=True)
    assert witness.exists(), "the trap works when git is called plainly"
    witness.unlink()

    ours = Git(repo)
    ours.call("update-ref", "refs/y", "HEAD")
    ours.call("checkout", "-q", "-b", "side")
    ours.call("status")

    assert not witness.exists()


def test_a_process_that_stays_open_is_started_again_after_it_died(repo: Path) -> None:
    process = CoProcess(Git(repo), ("mktree", "--batch"))
    process.send(b"this is not a tree\n")
    with pytest.raises(GitFailedError) as refused:
        process.line()
    assert "mktree" in refused.value.message
    process.send(b"\n")
    assert process.line() == b"4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    process.close()
    process.close()
