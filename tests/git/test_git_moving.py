"""Following a branch that moved under a checkout: the user's edits stay, and no file is overwritten."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kitty_flow.errors import ExternalToolError
from kitty_flow.git.worktrees import Checkout

RunGit = Callable[..., str]


@pytest.fixture
def main(repo: Path, git: RunGit) -> Checkout:
    return Checkout(repo, git(repo, "rev-parse", "HEAD"), "refs/heads/trunk")


def commit(root: Path, git: RunGit, files: dict[str, str | None], message: str = "change") -> str:
    for name, content in files.items():
        if content is None:
            (root / name).unlink()
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", message)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def moved(repo: Path, git: RunGit) -> tuple[str, str]:
    """The branch under the user's checkout moves: one file changed, one new, one gone."""
    old = commit(repo, git, {"changed.txt": "1\n", "gone.txt": "1\n", "users.txt": "1\n"})
    new = commit(repo, git, {"changed.txt": "2\n", "gone.txt": None, "fresh.txt": "1\n"})
    git(repo, "reset", "-q", "--hard", old)
    return old, new


def test_a_clean_checkout_follows_and_may_be_told_twice(
    repo: Path, git: RunGit, main: Checkout, moved: tuple[str, str]
) -> None:
    assert main.can_move(*moved)
    assert (repo / "changed.txt").read_text() == "1\n"
    git(repo, "update-ref", "refs/heads/trunk", moved[1])
    for _ in range(2):
        main.move(*moved)
        assert main.changes() == ()
        assert (repo / "changed.txt").read_text() == "2\n"
        assert not (repo / "gone.txt").exists()


def test_edits_of_other_files_are_kept(repo: Path, git: RunGit, main: Checkout, moved: tuple[str, str]) -> None:
    (repo / "users.txt").write_text("edited\n")
    (repo / "README.md").write_text("staged\n")
    git(repo, "add", "README.md")
    (repo / "untracked.txt").write_text("mine\n")
    assert main.can_move(*moved)
    git(repo, "update-ref", "refs/heads/trunk", moved[1])
    main.move(*moved)
    assert git(repo, "status", "--porcelain").splitlines() == ["M  README.md", " M users.txt", "?? untracked.txt"]
    assert (repo / "users.txt").read_text() == "edited\n"
    assert (repo / "fresh.txt").read_text() == "1\n"


@pytest.mark.parametrize(
    ("name", "staged"), [("changed.txt", False), ("changed.txt", True), ("gone.txt", False), ("fresh.txt", False)]
)
def test_an_edit_in_the_way_is_never_overwritten(
    repo: Path, git: RunGit, main: Checkout, moved: tuple[str, str], name: str, staged: bool
) -> None:
    (repo / name).write_text("the user's\n")
    if staged:
        git(repo, "add", name)
    before = (repo / ".git/index").read_bytes()
    assert not main.can_move(*moved)
    assert (repo / ".git/index").read_bytes() == before
    with pytest.raises(ExternalToolError):
        main.move(*moved)
    assert (repo / name).read_text() == "the user's\n"
    assert (repo / "users.txt").read_text() == "1\n"


@pytest.mark.parametrize("place", ["folder/fresh.txt", "folder", "folder/fresh.txt/deeper"])
def test_an_ignored_file_in_the_way_is_not_overwritten(repo: Path, git: RunGit, main: Checkout, place: str) -> None:
    new = commit(repo, git, {"folder/fresh.txt": "1\n"})
    git(repo, "reset", "-q", "--hard", main.head or "")
    (repo / ".git/info").mkdir(exist_ok=True)
    (repo / ".git/info/exclude").write_text("folder\n")
    (repo / place).parent.mkdir(parents=True, exist_ok=True)
    (repo / place).write_text("a secret that is nowhere else\n")
    assert main.changes() == ()

    assert not main.can_move(str(main.head), new)
    with pytest.raises(ExternalToolError) as refused:
        main.move(str(main.head), new)

    assert refused.value.code == "FILE_IN_THE_WAY"
    assert (repo / place).read_text().startswith("a secret")


def test_a_file_that_becomes_a_folder_is_followed(repo: Path, git: RunGit, main: Checkout) -> None:
    (repo / "README.md").unlink()
    new = commit(repo, git, {"README.md/inside.txt": "1\n"})
    git(repo, "reset", "-q", "--hard", main.head or "")
    assert main.can_move(str(main.head), new)
    git(repo, "update-ref", "refs/heads/trunk", new)
    for _ in range(2):
        main.move(str(main.head), new)
        assert main.changes() == ()


def test_a_touched_file_is_no_edit_and_asking_does_not_write_the_index(
    repo: Path, main: Checkout, moved: tuple[str, str]
) -> None:
    os.utime(repo / "changed.txt", (1, 1))
    before = (repo / ".git/index").read_bytes()
    assert main.can_move(*moved)
    assert (repo / ".git/index").read_bytes() == before
    main.move(*moved)
    assert (repo / "changed.txt").read_text() == "2\n"
