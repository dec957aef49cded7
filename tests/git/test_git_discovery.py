"""Which repository we are in: one answer from every place that belongs to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kitty_flow.errors import ExternalToolError, UsageError
from kitty_flow.git.process import GitFailedError
from kitty_flow.git.repository import Repository
from kitty_flow.git.worktrees import Worktrees

RunGit = Callable[..., str]
MakeRepo = Callable[..., Path]


def test_every_place_of_a_repository_gives_the_same_answer(repo: Path, tmp_path: Path, git: RunGit) -> None:
    linked = tmp_path / "elsewhere" / "linked"
    git(repo, "worktree", "add", "-q", linked)
    places = [repo, repo / "src" / "deep", linked, linked / "sub", repo / ".git", repo / ".git" / "refs"]
    for place in places:
        place.mkdir(parents=True, exist_ok=True)

    found = {Repository.discover(place) for place in places}

    assert found == {Repository(repo / ".git", repo)}
    assert found.pop().state_dir == repo / ".git" / "kitty-flow"


def test_the_current_directory_is_the_default(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repo)
    assert Repository.discover().root == repo


def test_a_symbolic_link_leads_to_the_real_place(repo: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(repo)
    assert Repository.discover(tmp_path / "link").root == repo


def test_a_name_with_spaces_and_unicode(make_repo: MakeRepo) -> None:
    root = make_repo("Räume und Zeiten 🐈")
    assert Repository.discover(root).root == root


def test_a_bare_repository_is_its_own_root_also_from_its_worktrees(repo: Path, tmp_path: Path, git: RunGit) -> None:
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "-q", "--bare", repo, bare)
    git(bare, "worktree", "add", "-q", tmp_path / "linked", "trunk")

    from_bare, from_linked = Repository.discover(bare), Repository.discover(tmp_path / "linked")

    assert from_bare == from_linked == Repository(bare, bare, is_bare=True)
    assert from_bare.refs.read("refs/heads/trunk") == git(bare, "rev-parse", "trunk")
    assert [c.path for c in Worktrees(from_bare.git).all()] == [tmp_path / "linked"]


def test_a_submodule_is_a_repository_of_its_own(repo: Path, tmp_path: Path, make_repo: MakeRepo, git: RunGit) -> None:
    outer = make_repo("outer")
    git(outer, "submodule", "add", "-q", repo, "libs/inner")
    git(outer / "libs/inner", "worktree", "add", "-q", tmp_path / "linked")
    expected = Repository(outer / ".git/modules/libs/inner", outer / "libs/inner")

    for place in (outer / "libs/inner", tmp_path / "linked", outer / ".git/modules/libs/inner"):
        assert Repository.discover(place) == expected
    assert [c.path for c in Worktrees(expected.git).all()] == [outer / "libs/inner", tmp_path / "linked"]


def test_a_separate_git_directory(make_repo: MakeRepo, tmp_path: Path, git: RunGit) -> None:
    root = make_repo("work", f"--separate-git-dir={tmp_path / 'store'}")
    assert Repository.discover(root) == Repository(tmp_path / "store", root)
    git(root, "worktree", "add", "-q", tmp_path / "linked")

    with pytest.raises(UsageError) as refused:
        Repository.discover(tmp_path / "linked")
    assert refused.value.code == "MAIN_CHECKOUT_UNKNOWN"

    git(root, "config", "core.worktree", root)  # as the hint says
    assert Repository.discover(tmp_path / "linked") == Repository.discover(root)
    assert [c.path for c in Worktrees(Repository.discover(root).git).all()] == [root, tmp_path / "linked"]


def test_outside_of_any_repository(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        Repository.discover(tmp_path)
    assert refused.value.code == "NO_REPOSITORY"
    assert str(tmp_path) in refused.value.message


def test_a_damaged_repository_is_not_called_missing(repo: Path) -> None:
    (repo / ".git" / "config").write_text("[core\n")
    with pytest.raises(GitFailedError) as refused:
        Repository.discover(repo)
    assert "config" in refused.value.message


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.write_text("a file")])
def test_a_place_that_is_no_directory(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "x")
    with pytest.raises(ExternalToolError) as refused:
        Repository.discover(tmp_path / "x")
    assert refused.value.code == "DIRECTORY_MISSING"


def test_a_current_directory_that_was_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ExternalToolError) as refused:
        Repository.discover()
    assert refused.value.code == "DIRECTORY_MISSING"


def test_git_is_missing(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Repository.discover(repo)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing-here"))
    with pytest.raises(ExternalToolError) as refused:
        Repository.discover(repo)
    assert refused.value.code == "GIT_MISSING"
    with here.objects() as objects, pytest.raises(ExternalToolError) as refused:
        objects.read("HEAD")
    assert refused.value.code == "GIT_MISSING"


@pytest.mark.parametrize("version", ["2.37.9", "1.9.5", "gibberish"])
def test_git_is_too_old(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    _fake_git(tmp_path / "bin", f"echo git version {version}", monkeypatch)
    with pytest.raises(ExternalToolError) as refused:
        Repository.discover(repo)
    assert refused.value.code == "GIT_TOO_OLD"
    assert refused.value.details == {"found": f"git version {version}", "minimum": "2.38"}


@pytest.mark.parametrize("version", ["2.38.0", "2.50.1 (Apple Git-155)", "3.0.0", "2.100.0.windows.1"])
def test_git_is_new_enough(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    _fake_git(
        tmp_path / "bin",
        f'for last in "$@"; do :; done\nif [ "$last" = version ]; then echo "git version {version}"; exit; fi\n'
        f'PATH="{os.environ["PATH"]}" exec git "$@"',
        monkeypatch,
    )
    assert Repository.discover(repo).root == repo


def _fake_git(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    (folder / "git").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
