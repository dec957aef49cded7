"""Questions about commits, and who signs them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from kitty_flow.git.history import History
from kitty_flow.git.identity import stamp, user_identity
from kitty_flow.git.process import Git, GitFailedError
from kitty_flow.git.repository import Repository

RunGit = Callable[..., str]
MakeRepo = Callable[..., Path]


@pytest.fixture
def chain(repo: Path, git: RunGit) -> list[str]:
    """Three commits: the start, a new file, a rename of that file."""
    found = [git(repo, "rev-parse", "HEAD")]
    (repo / "ö\nld.txt").write_text("content\n" * 9)
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "add")
    found.append(git(repo, "rev-parse", "HEAD"))
    git(repo, "mv", "ö\nld.txt", "new.txt")
    git(repo, "commit", "-q", "-m", "rename")
    return [*found, git(repo, "rev-parse", "HEAD")]


def test_ancestry(repo: Path, git: RunGit, chain: list[str]) -> None:
    history = History(Git(repo))
    assert history.is_ancestor(chain[0], chain[2])
    assert history.is_ancestor(chain[2], chain[2])
    assert not history.is_ancestor(chain[2], chain[0])
    alone = git(repo, "commit-tree", "-m", "alone", "HEAD^{tree}")
    assert not history.is_ancestor(chain[0], alone)
    with pytest.raises(GitFailedError):
        history.is_ancestor("12" * 20, chain[0])


def test_ancestry_of_many_is_that_of_each(repo: Path, git: RunGit, chain: list[str]) -> None:
    history = History(Git(repo))
    asked = [*chain, git(repo, "commit-tree", "-m", "alone", "HEAD^{tree}")]
    for tip in asked:
        assert history.beyond(asked, tip) == {one for one in asked if not history.is_ancestor(one, tip)}
    assert history.beyond([], chain[0]) == frozenset()
    with pytest.raises(GitFailedError):
        history.beyond([chain[0], "12" * 20], chain[2])
    for odd in ("HEAD", "--all", "", f"^{chain[2]}", chain[0][:20]):  # none may change what is asked
        with pytest.raises(ValueError, match="full object names"):
            history.beyond([chain[2], odd], chain[0])


def test_changed_paths_name_both_sides_of_a_rename(repo: Path, git: RunGit, chain: list[str]) -> None:
    history = History(Git(repo))
    git(repo, "config", "diff.renames", "copies")
    assert history.changed_paths(chain[1], chain[2]) == ("new.txt", "ö\nld.txt")
    assert history.changed_paths(chain[0], chain[2]) == ("new.txt",)
    assert history.changed_paths(history.tree(chain[0]), history.tree(chain[0])) == ()


def test_the_user_signs_where_git_knows_one(repo: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert user_identity(Git(repo)) == "Ann Writer <ann@example.invalid>"
    monkeypatch.setenv("GIT_COMMITTER_NAME", "Bö Driver")
    assert user_identity(Git(repo)) == "Bö Driver <ann@example.invalid>"
    monkeypatch.delenv("GIT_COMMITTER_NAME")
    (home / "gitconfig").write_text("")
    assert user_identity(Git(repo)) is None


def test_the_repository_remembers_who_the_user_is(repo: Path, home: Path) -> None:
    repository = Repository.discover(repo)
    assert repository.identity == "Ann Writer <ann@example.invalid>"
    (home / "gitconfig").write_text("")
    assert repository.identity == "Ann Writer <ann@example.invalid>"
    assert Repository.discover(repo).identity is None


@pytest.mark.parametrize("name", ["sha1", "sha256"])
def test_the_repository_knows_its_object_format(make_repo: MakeRepo, name: str) -> None:
    assert Repository.discover(make_repo("it", f"--object-format={name}")).object_format == name


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC), "1767323045 +0000"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=-3, minutes=-30))), "1767335645 -0330"),
    ],
)
def test_a_stamp_keeps_moment_and_zone(at: datetime, text: str) -> None:
    assert stamp("A <a@b>", at) == f"A <a@b> {text}"
