"""A worktree inside the user's checkout that lost its own identity: nothing of the user's is touched by mistake."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kitty_flow.errors import ExternalToolError
from kitty_flow.git.repository import Repository
from kitty_flow.git.worktrees import Checkout, Worktrees

RunGit = Callable[..., str]
Spoil = Callable[[Path, Path], None]


@pytest.fixture
def worktrees(repo: Path) -> Worktrees:
    return Worktrees(Repository.discover(repo).git)


@pytest.fixture
def lane(repo: Path, git: RunGit, worktrees: Worktrees) -> Checkout:
    """A worktree below the user's checkout, on its branch, and the user's unsaved work around it."""
    (repo / ".git/info").mkdir(exist_ok=True)
    (repo / ".git/info/exclude").write_text("/lanes\n")
    checkout = worktrees.add(repo / "lanes/a", "HEAD")
    checkout.switch("kitty/a", "HEAD")
    (repo / "README.md").write_text("the user's edit\n")
    (repo / "staged.txt").write_text("staged\n")
    git(repo, "add", "staged.txt")
    (repo / "untracked.txt").write_text("untracked\n")
    return checkout


def missing(path: Path, repo: Path) -> None:
    (path / ".git").unlink()


def the_users(path: Path, repo: Path) -> None:
    (path / ".git").write_text(f"gitdir: {repo / '.git'}\n")


def link_to_the_users(path: Path, repo: Path) -> None:
    (path / ".git").unlink()
    (path / ".git").symlink_to(repo / ".git")


def link_to_a_file(path: Path, repo: Path) -> None:
    (path / ".git").unlink()
    (path / ".git").symlink_to(repo / "README.md")


def another_worktrees(path: Path, repo: Path) -> None:
    other = Worktrees(Repository.discover(repo).git).add(repo / "lanes/other", "HEAD")
    shutil.copy(other.path / ".git", path / ".git")


def rubbish(path: Path, repo: Path) -> None:
    (path / ".git").write_bytes(b"gitdir: \xff\0\n")


def a_repository(path: Path, repo: Path) -> None:
    (path / ".git").unlink()
    subprocess.run(["git", "init", "-q"], cwd=path, check=True)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "mine"], cwd=path, check=True)


SPOILT = [missing, the_users, link_to_the_users, link_to_a_file, another_worktrees, rubbish, a_repository]


def users_side(repo: Path, git: RunGit) -> tuple[object, ...]:
    names = ("README.md", "staged.txt", "untracked.txt")
    return (
        (repo / ".git/HEAD").read_bytes(),
        (repo / ".git/index").read_bytes(),
        git(repo, "rev-parse", "trunk"),
        git(repo, "status", "--porcelain"),
        [(repo / name).read_text() for name in names],
    )


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(ExternalToolError) as refused:
        action()
    assert refused.value.hint == "kitty-flow doctor worktrees"
    return refused.value.code


@pytest.mark.parametrize("spoil", SPOILT)
def test_work_goes_on_in_the_worktree_and_nowhere_else(
    repo: Path, git: RunGit, worktrees: Worktrees, lane: Checkout, spoil: Spoil
) -> None:
    (lane.path / "work.txt").write_text("the agent's\n")
    spoil(lane.path, repo)
    before = users_side(repo, git)

    found = worktrees.at(lane.path)
    assert found is not None
    assert found.git.text("symbolic-ref", "HEAD") == "refs/heads/kitty/a"
    assert found.changes() == ("work.txt",)
    tree = found.snapshot()
    assert git(repo, "ls-tree", "-r", "--name-only", tree).split() == ["README.md", "work.txt"]
    assert git(repo, "cat-file", "blob", f"{tree}:README.md") == "hello"
    assert found.operation_in_progress() is None
    assert found.rebased_branch() is None
    assert found.can_move("HEAD", "HEAD")
    found.switch("kitty/a", "HEAD")

    assert users_side(repo, git) == before
    assert sorted(path.name for path in lane.path.iterdir()) == [".git", "README.md"]
    assert not (lane.path / ".git").is_symlink()
    assert git(lane.path, "rev-parse", "--absolute-git-dir") == str(lane.git_dir)
    assert git(lane.path, "status", "--porcelain", "--branch") == "## kitty/a"
    assert users_side(repo, git) == before


@pytest.mark.parametrize("spoil", SPOILT)
def test_before_it_is_used_again_it_is_put_right(repo: Path, git: RunGit, lane: Checkout, spoil: Spoil) -> None:
    spoil(lane.path, repo)
    before = users_side(repo, git)
    lane.clear_stale_locks()
    assert git(lane.path, "rev-parse", "--absolute-git-dir") == str(lane.git_dir)
    assert users_side(repo, git) == before


def test_a_repository_that_took_its_place_is_kept_as_unsaved_work(repo: Path, git: RunGit, lane: Checkout) -> None:
    for number in (1, 2):
        a_repository(lane.path, repo)
        head = git(lane.path, "rev-parse", "HEAD")
        lane.restore_link()
        kept = lane.path / f".git.replaced-{number}"
        assert git(lane.path, f"--git-dir={kept}", "log", "-1", "--format=%H %s") == f"{head} mine"
    names = git(repo, "ls-tree", "-r", "--name-only", lane.snapshot()).split()
    assert {".git.replaced-1/HEAD", ".git.replaced-2/HEAD"} <= set(names)


def test_a_link_that_is_right_is_left_alone(lane: Checkout) -> None:
    before = (lane.path / ".git").stat()
    lane.restore_link()
    after = (lane.path / ".git").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_relative_link_is_right_too(lane: Checkout) -> None:
    assert lane.git_dir is not None
    (lane.path / ".git").write_text("gitdir: ../../.git/worktrees/a\n")
    (lane.git_dir / "gitdir").write_text("../../../lanes/a/.git\n")
    lane.switch("kitty/a", "HEAD")
    assert (lane.path / ".git").read_text() == "gitdir: ../../.git/worktrees/a\n"


def test_a_symbolic_link_in_its_place_is_refused(repo: Path, git: RunGit, worktrees: Worktrees, lane: Checkout) -> None:
    before = users_side(repo, git)
    shutil.rmtree(lane.path)
    lane.path.symlink_to(repo)
    found = worktrees.at(lane.path)
    assert found is not None
    for action in (
        found.clear_stale_locks, found.restore_link, found.changes, found.snapshot,
        lambda: found.switch("kitty/a", "HEAD"), lambda: found.move("HEAD", "HEAD"),
    ):  # fmt: skip
        assert code_of(action) == "WORKTREE_BROKEN"
    assert not worktrees.remove(found)
    assert code_of(lambda: worktrees.add(lane.path, "HEAD")) == "WORKTREE_BROKEN"
    assert users_side(repo, git) == before


def test_a_file_in_its_place_is_refused(worktrees: Worktrees, lane: Checkout) -> None:
    shutil.rmtree(lane.path)
    lane.path.write_text("x")
    found = worktrees.at(lane.path)
    assert found is not None
    assert code_of(found.clear_stale_locks) == "WORKTREE_BROKEN"


@pytest.mark.parametrize("target", ["lanes/elsewhere/.git", ".git", "lanes/a", ""])
def test_an_administrative_directory_of_something_else_is_refused(
    repo: Path, git: RunGit, worktrees: Worktrees, lane: Checkout, target: str
) -> None:
    assert lane.git_dir is not None
    before = users_side(repo, git)
    (lane.git_dir / "gitdir").write_text(f"{repo / target}\n" if target else "")
    assert code_of(lane.changes) == "WORKTREE_BROKEN"
    assert code_of(lambda: lane.switch("kitty/a", "HEAD")) == "WORKTREE_BROKEN"
    assert worktrees.at(lane.path) is None
    assert worktrees.all()[0] == Checkout(repo, git(repo, "rev-parse", "HEAD"), "refs/heads/trunk")
    shutil.rmtree(lane.git_dir)
    assert code_of(lane.clear_stale_locks) == "WORKTREE_BROKEN"
    assert users_side(repo, git) == before


def test_a_missing_folder_cannot_be_put_right(lane: Checkout) -> None:
    shutil.rmtree(lane.path)
    assert code_of(lane.restore_link) == "WORKTREE_BROKEN"


def test_a_workspace_that_was_moved_behind_a_link_is_the_same_one(
    repo: Path, tmp_path: Path, git: RunGit, worktrees: Worktrees, lane: Checkout
) -> None:
    (repo / "lanes").rename(tmp_path / "bigger")
    (repo / "lanes").symlink_to(tmp_path / "bigger")
    found = worktrees.at(lane.path)
    assert found is not None
    found.switch("kitty/a", "HEAD")
    assert git(lane.path, "rev-parse", "--absolute-git-dir") == str(lane.git_dir)


def test_the_users_own_worktree_follows_its_branch(repo: Path, tmp_path: Path, git: RunGit) -> None:
    old = git(repo, "rev-parse", "HEAD")
    git(repo, "worktree", "add", "-q", "-b", "side", tmp_path / "users")
    (repo / "new.txt").write_text("new\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "new")
    new = git(repo, "rev-parse", "HEAD")
    (users,) = Worktrees(Repository.discover(repo).git).on_branch("refs/heads/side")
    assert users.can_move(old, new)
    git(repo, "update-ref", "refs/heads/side", new)
    users.move(old, new)
    assert users.changes() == ()
    assert (tmp_path / "users/new.txt").is_file()
    assert git(repo, "status", "--porcelain") == ""
