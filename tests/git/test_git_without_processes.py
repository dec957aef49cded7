"""What is read without a git process is what git says; where only git can tell, it is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kitty_flow.git.history import History
from kitty_flow.git.nearby import is_near_ancestor
from kitty_flow.git.process import Git
from kitty_flow.git.repository import Repository
from kitty_flow.git.worktrees import Checkout, Worktrees

RunGit = Callable[..., str]


def _commit(git: RunGit, repo: Path, tree: str, parents: list[str], text: str) -> str:
    return git(repo, "commit-tree", tree, *(w for p in parents for w in ("-p", p)), "-m", text)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=6))
def test_a_near_ancestor_is_one_for_git_too(repo: Path, git: RunGit, shape: list[tuple[int, int]]) -> None:
    tree = git(repo, "rev-parse", "HEAD^{tree}")
    commits = [git(repo, "rev-parse", "HEAD")]
    for number, picks in enumerate(shape):
        parents = list(dict.fromkeys(commits[pick % len(commits)] for pick in picks))
        commits.append(_commit(git, repo, tree, parents, f"{number} {shape}"))
    alone = History(Git(repo))
    for one in commits:
        for other in commits:
            assert is_near_ancestor(repo / ".git/objects", one, other) is alone.is_ancestor(one, other)
            common = History(Git(repo), repo / ".git/objects").common_ancestor(one, other)
            assert common in git(repo, "merge-base", "--all", one, other).split()


def test_packed_and_far_commits_are_left_to_git(repo: Path, git: RunGit) -> None:
    first, tree = git(repo, "rev-parse", "HEAD"), git(repo, "rev-parse", "HEAD^{tree}")
    tip = first
    for number in range(70):
        tip = _commit(git, repo, tree, [tip], str(number))
    git(repo, "update-ref", "refs/heads/trunk", tip)
    history = History(Git(repo), repo / ".git/objects")
    assert not is_near_ancestor(repo / ".git/objects", first, tip)
    assert history.is_ancestor(first, tip)
    git(repo, "gc", "-q")
    assert not is_near_ancestor(repo / ".git/objects", tip, tip)
    assert history.is_ancestor(tip, tip)
    assert not history.is_ancestor(tip, first)
    for name in ("HEAD", tree, tip[:10], "0" * 40):
        assert not is_near_ancestor(repo / ".git/objects", name, tip)


@pytest.mark.parametrize("packed", [False, True])
def test_where_a_worktree_is(repo: Path, tmp_path: Path, git: RunGit, packed: bool) -> None:
    found = Repository.discover(repo)
    worktrees = Worktrees(found.git, found.common_dir)
    head, place = git(repo, "rev-parse", "HEAD"), tmp_path / "w"
    made = worktrees.add(place, head, "side")
    assert made == Checkout(place, head, "refs/heads/side", repo / ".git/worktrees/w")
    if packed:
        git(repo, "pack-refs", "--all")
    assert worktrees.at(place) == made == worktrees.all()[1]
    assert [c.path for c in worktrees.on_branch("refs/heads/side")] == [place]
    assert worktrees.on_branch("refs/heads/other") == ()
    git(place, "checkout", "-q", "--detach")
    assert worktrees.at(place) == worktrees.all()[1] == Checkout(place, head, None, made.git_dir)
    (place / ".git").write_text(f"gitdir: {repo}/.git/worktrees/elsewhere\n")
    assert worktrees.at(place) == Checkout(place, head, None, made.git_dir)


def test_a_branch_is_not_taken_from_another_worktree(repo: Path, tmp_path: Path, git: RunGit) -> None:
    found = Repository.discover(repo)
    worktrees = Worktrees(found.git, found.common_dir)
    old = git(repo, "rev-parse", "trunk")
    git(repo, "checkout", "-q", "-b", "other")
    git(repo, "commit", "-q", "--allow-empty", "-m", "more")
    git(repo, "worktree", "add", "-q", tmp_path / "users", "trunk")
    made = worktrees.add(tmp_path / "w", git(repo, "rev-parse", "other"), "trunk")
    assert made.branch is None
    assert git(repo, "rev-parse", "trunk") == old


def test_status_is_what_the_single_questions_say(repo: Path, git: RunGit) -> None:
    (main,) = Worktrees(Repository.discover(repo).git).all()
    (repo / "a b.txt").write_text("new\n")
    (repo / "README.md").write_text("edited\n")
    (repo / "staged\nname").write_text("staged\n")
    git(repo, "add", "staged\nname")
    status = main.status()
    assert (status.head, status.branch) == (main.head, main.branch)
    assert sorted(status.changes) == sorted(main.changes()) == ["README.md", "a b.txt", "staged\nname"]
    git(repo, "checkout", "-q", "--detach")
    assert main.status().branch is None
