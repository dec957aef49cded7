"""Working trees: what is in them is kept, moved or saved, and never lost on the way."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kitty_flow.errors import ExternalToolError
from kitty_flow.git import process, stale_lock
from kitty_flow.git.process import GitFailedError
from kitty_flow.git.repository import Repository
from kitty_flow.git.worktrees import Checkout, Worktrees

RunGit = Callable[..., str]
MakeRepo = Callable[..., Path]


@pytest.fixture
def worktrees(repo: Path) -> Worktrees:
    return Worktrees(Repository.discover(repo).git)


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


def files_of(root: Path, git: RunGit, tree: str) -> dict[str, str]:
    names = git(root, "ls-tree", "-r", "-z", "--name-only", tree).split("\0")
    return {name: git(root, "cat-file", "blob", f"{tree}:{name}") for name in names if name}


# Listing, adding, removing


def test_all_working_trees_are_listed_the_main_one_first(
    repo: Path, tmp_path: Path, git: RunGit, worktrees: Worktrees
) -> None:
    head = git(repo, "rev-parse", "HEAD")
    git(repo, "worktree", "add", "-q", "-b", "side", tmp_path / "with\nnewline")
    added = worktrees.add(tmp_path / "deep" / "detached", head)
    side_dir = Path(git(tmp_path / "with\nnewline", "rev-parse", "--absolute-git-dir"))
    side = Checkout(tmp_path / "with\nnewline", head, "refs/heads/side", side_dir)
    assert added == Checkout(tmp_path / "deep" / "detached", head, None, repo / ".git/worktrees/detached")
    assert set(worktrees.all()) == {Checkout(repo, head, "refs/heads/trunk"), added, side}
    assert worktrees.all()[0].path == repo
    assert worktrees.on_branch("refs/heads/side") == (side,)
    assert worktrees.on_branch("refs/heads/si") == ()
    assert worktrees.at(tmp_path / "deep" / ".." / "deep" / "detached") == added
    assert worktrees.at(tmp_path) is None
    assert worktrees.at(repo) is None, "the user's checkout is not one of ours"


def test_before_the_first_commit_there_is_no_head(tmp_path: Path, git: RunGit) -> None:
    git(tmp_path, "init", "-q")
    assert Worktrees(Repository.discover(tmp_path).git).all() == (Checkout(tmp_path, None, "refs/heads/trunk"),)
    (tmp_path / "first.txt").write_text("first\n")
    assert files_of(tmp_path, git, Checkout(tmp_path, None, None).snapshot()) == {"first.txt": "first"}


def test_a_taken_path_is_refused_and_left_alone(repo: Path, tmp_path: Path, worktrees: Worktrees) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    with pytest.raises(GitFailedError):
        worktrees.add(tmp_path / "taken", "HEAD")
    assert [p.name for p in (tmp_path / "taken").iterdir()] == ["mine.txt"]


def test_a_deleted_worktree_is_made_again_and_others_that_are_away_stay_known(
    repo: Path, tmp_path: Path, git: RunGit, worktrees: Worktrees
) -> None:
    ours, users = tmp_path / "ours", tmp_path / "users"
    worktrees.add(ours, "HEAD")
    git(repo, "worktree", "add", "-q", "-b", "side", users)
    (users / "README.md").write_text("staged\n")
    git(users, "add", "-A")
    shutil.rmtree(ours)
    users.rename(tmp_path / "unplugged")
    assert worktrees.at(ours) is None

    worktrees.add(ours, "HEAD")

    (tmp_path / "unplugged").rename(users)
    assert (ours / "README.md").is_file()
    assert git(users, "status", "--porcelain") == "M  README.md"


def test_only_a_clean_worktree_is_removed(tmp_path: Path, worktrees: Worktrees) -> None:
    checkout = worktrees.add(tmp_path / "w", "HEAD")
    for spoil in ("new.txt", "README.md"):
        (checkout.path / spoil).write_text("unsaved\n")
        assert checkout.changes() == (spoil,)
        assert not worktrees.remove(checkout)
        assert (checkout.path / spoil).read_text() == "unsaved\n"
        checkout.switch("work", "HEAD")
    assert worktrees.remove(checkout)
    assert not checkout.path.exists()
    assert len(worktrees.all()) == 1


def _unlinked(path: Path) -> None:
    (path / ".git").unlink()


def _linked_elsewhere(path: Path) -> None:
    (path / ".git").write_text(f"gitdir: {path.parent / 'repo/.git'}\n")


def _own_repository(path: Path) -> None:
    (path / ".git").unlink()
    subprocess.run(["git", "init", "-q"], cwd=path, check=True)


def _deleted(path: Path) -> None:
    shutil.rmtree(path)


def _locked(path: Path) -> None:
    """As a killed `git worktree add` leaves it."""
    (path.parent / "repo/.git/worktrees" / path.name / "locked").write_text("initializing\n")


def _half_made(path: Path) -> None:
    _locked(path)
    _unlinked(path)


def _locked_and_deleted(path: Path) -> None:
    _locked(path)
    _deleted(path)


def _symbolic_link(path: Path) -> None:
    shutil.rmtree(path)
    path.symlink_to(path.parent / "users")


def _file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("x")


def _without_commit(path: Path) -> None:
    """As a `git worktree add` leaves it that was killed before it had a commit."""
    _locked(path)
    for child in path.iterdir():
        if child.name != ".git":
            shutil.rmtree(child) if child.is_dir() else child.unlink()
    own = path.parent / "repo/.git/worktrees" / path.name
    (own / "HEAD").write_text("0" * 40 + "\n")
    (own / "index").unlink()


SPOILT = [
    _unlinked, _linked_elsewhere, _own_repository, _deleted, _locked, _half_made, _locked_and_deleted,
    _symbolic_link, _file,
]  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_disposable_one_goes_in_any_case_and_can_be_made_again(
    repo: Path, tmp_path: Path, git: RunGit, worktrees: Worktrees, spoil: Callable[[Path], None]
) -> None:
    users = tmp_path / "users"
    git(repo, "worktree", "add", "-q", "-b", "side", users)
    git(repo, "worktree", "add", "-q", "-b", "away", tmp_path / "away")
    (tmp_path / "away").rename(tmp_path / "unplugged")
    (users / "unsaved.txt").write_text("unsaved\n")
    gate = tmp_path / "gate"
    checkout = worktrees.add(gate, "HEAD")
    (gate / "rubbish").mkdir()
    (gate / "rubbish/link").symlink_to(users)
    spoil(gate)
    left_over = worktrees.at(gate)

    if left_over is not None:
        assert left_over == replace(checkout, head=git(repo, "rev-parse", "HEAD"))
        assert worktrees.remove(left_over, disposable=True)
        assert not os.path.lexists(gate)
        assert not checkout.git_dir or not checkout.git_dir.exists()
    again = worktrees.add(gate, "HEAD")

    assert sorted(path.name for path in gate.iterdir()) == [".git", "README.md"]
    assert worktrees.remove(again, disposable=True)
    (tmp_path / "unplugged").rename(tmp_path / "away")
    assert git(tmp_path / "away", "status", "--porcelain") == "", "other worktrees stay known"
    assert git(users, "status", "--porcelain") == "?? unsaved.txt"
    assert git(repo, "status", "--porcelain") == ""


def test_a_folder_that_is_not_registered_is_never_deleted(tmp_path: Path, git: RunGit, worktrees: Worktrees) -> None:
    checkout = worktrees.add(tmp_path / "w", "HEAD")
    assert checkout.git_dir is not None
    shutil.rmtree(checkout.git_dir)
    assert not worktrees.remove(checkout, disposable=True)
    assert (tmp_path / "w/README.md").is_file()


def test_a_broken_one_stays_and_a_mended_one_goes(tmp_path: Path, worktrees: Worktrees) -> None:
    checkout = worktrees.add(tmp_path / "w", "HEAD")
    (tmp_path / "w").rename(tmp_path / "moved")
    (tmp_path / "w").symlink_to(tmp_path / "moved")
    assert not worktrees.remove(checkout)
    (tmp_path / "w").unlink()
    (tmp_path / "moved").rename(tmp_path / "w")
    (tmp_path / "w/.git").unlink()
    assert worktrees.remove(checkout)
    assert not (tmp_path / "w").exists()


def test_the_main_checkout_is_never_removed(repo: Path, worktrees: Worktrees, main: Checkout) -> None:
    assert not worktrees.remove(main, disposable=True)
    assert (repo / "README.md").is_file()


# Changes, unfinished operations, stale locks


def test_changes_name_every_path_once(repo: Path, git: RunGit, main: Checkout) -> None:
    assert main.changes() == ()
    (repo / ".gitignore").write_text("*.log\n")
    commit(repo, git, {"a.txt": "a\n" * 9, "b.txt": "b\n"})
    git(repo, "mv", "a.txt", "moved.txt")
    (repo / "b.txt").write_text("unstaged\n")
    (repo / "dir").mkdir()
    (repo / "dir/ne\nw ü.txt").write_text("x")
    (repo / "build.log").write_text("ignored")
    git(repo, "config", "status.showUntrackedFiles", "no")
    git(repo, "config", "status.renames", "true")
    assert sorted(main.changes()) == ["a.txt", "b.txt", "dir/ne\nw ü.txt", "moved.txt"]
    assert sorted(main.changes(untracked=False)) == ["a.txt", "b.txt", "moved.txt"]


def test_looking_does_not_write_the_index(repo: Path, main: Checkout) -> None:
    os.utime(repo / "README.md", (1, 1))
    before = (repo / ".git/index").read_bytes()
    assert main.changes() == ()
    assert (repo / ".git/index").read_bytes() == before


@pytest.mark.parametrize("operation", ["merge", "rebase", "cherry-pick", "revert", "bisect"])
@pytest.mark.parametrize("linked", [False, True])
def test_an_unfinished_operation_is_seen_where_it_is(
    repo: Path, tmp_path: Path, git: RunGit, worktrees: Worktrees, operation: str, linked: bool
) -> None:
    start = git(repo, "rev-parse", "HEAD")
    theirs = commit(repo, git, {"README.md": "theirs\n"}, "theirs")
    place = worktrees.add(tmp_path / "w", start) if linked else worktrees.all()[0]
    git(place.path, "checkout", "-q", "-B", "work", start)
    commit(place.path, git, {"README.md": "ours\n"}, "ours")
    assert place.operation_in_progress() is None
    arguments = {
        "merge": ("merge", theirs),
        "rebase": ("rebase", theirs),
        "cherry-pick": ("cherry-pick", theirs),
        "revert": ("revert", "--no-edit", start),
        "bisect": ("bisect", "start"),
    }[operation]
    try:
        git(place.path, *arguments)
    except AssertionError:
        assert operation != "bisect", "the others stop at a conflict, as they should here"
    assert place.operation_in_progress() == operation
    others = [c for c in worktrees.all() if c.path != place.path]
    assert [c.operation_in_progress() for c in others] == [None] * len(others)


def test_locks_of_killed_processes_are_cleared_in_this_worktree_only(
    repo: Path, tmp_path: Path, git: RunGit, worktrees: Worktrees
) -> None:
    checkout = worktrees.add(tmp_path / "w", "HEAD")
    own = Path(git(checkout.path, "rev-parse", "--absolute-git-dir"))
    for lock in (own / "index.lock", own / "HEAD.lock", repo / ".git/index.lock"):
        lock.touch()
        os.utime(lock, (0, 0))
    with pytest.raises(GitFailedError):
        checkout.switch("side", "HEAD")
    checkout.clear_stale_locks()
    checkout.clear_stale_locks()
    checkout.switch("side", "HEAD")
    assert git(checkout.path, "branch", "--show-current") == "side"
    assert (repo / ".git/index.lock").exists(), "a lock of the user's checkout is not ours to remove"


def test_a_lock_whose_owner_may_live_is_left_and_said(
    repo: Path, tmp_path: Path, worktrees: Worktrees, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stale_lock, "_WAIT_S", 0.3)
    checkout = worktrees.add(tmp_path / "w", "HEAD")
    lock = repo / ".git/worktrees/w/index.lock"
    lock.touch()
    os.utime(lock, (0, 0))
    with subprocess.Popen(["git", "fast-import", "--quiet"], cwd=checkout.path, stdin=subprocess.PIPE) as alive:
        with pytest.raises(ExternalToolError) as refused:
            checkout.clear_stale_locks()
        assert lock.exists()
        assert alive.stdin is not None
        alive.stdin.close()
    assert refused.value.code == "WORKTREE_BUSY"
    checkout.clear_stale_locks()
    assert not lock.exists()


def test_a_lock_that_was_just_made_is_waited_for(
    repo: Path, tmp_path: Path, worktrees: Worktrees, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stale_lock, "_WAIT_S", 0.1)
    checkout = worktrees.add(tmp_path / "w", "HEAD")
    (repo / ".git/worktrees/w/HEAD.lock").touch()
    with pytest.raises(ExternalToolError) as refused:
        checkout.clear_stale_locks()
    assert refused.value.code == "WORKTREE_BUSY"


def test_the_users_checkout_is_never_switched_or_unlocked(repo: Path, main: Checkout) -> None:
    (repo / ".git/index.lock").touch()
    os.utime(repo / ".git/index.lock", (0, 0))
    (repo / "mine.txt").write_text("mine\n")
    for action in (main.clear_stale_locks, lambda: main.switch("work", "HEAD")):
        with pytest.raises(ExternalToolError) as refused:
            action()
        assert refused.value.code == "WORKTREE_BROKEN"
    assert (repo / ".git/index.lock").exists()
    assert (repo / "mine.txt").exists()
    assert main.branch == "refs/heads/trunk"


# Snapshots


def test_a_snapshot_holds_everything_unsaved_and_changes_nothing(repo: Path, git: RunGit, main: Checkout) -> None:
    commit(repo, git, {"gone.txt": "g\n", "staged.txt": "1\n", "edited.txt": "1\n", ".gitignore": "*.log\n"})
    (repo / "gone.txt").unlink()
    (repo / "staged.txt").write_text("2\n")
    git(repo, "add", "staged.txt")
    (repo / "staged.txt").write_text("3\n")
    (repo / "edited.txt").write_text("2\n")
    (repo / "sub").mkdir()
    (repo / "sub/ün\ntracked.txt").write_text("new\n")
    (repo / "skipped.log").write_text("ignored\n")
    (repo / "forced.log").write_text("wanted\n")
    git(repo, "add", "-f", "forced.log")
    before = ((repo / ".git/index").read_bytes(), git(repo, "status", "--porcelain"), git(repo, "for-each-ref"))

    tree = main.snapshot()

    assert files_of(repo, git, tree) == {
        ".gitignore": "*.log",
        "README.md": "hello",
        "edited.txt": "2",
        "forced.log": "wanted",
        "staged.txt": "3",
        "sub/ün\ntracked.txt": "new",
    }
    assert ((repo / ".git/index").read_bytes(), git(repo, "status", "--porcelain"), git(repo, "for-each-ref")) == before


def test_a_snapshot_of_a_clean_tree_is_the_commits_tree(repo: Path, git: RunGit, main: Checkout) -> None:
    assert main.snapshot() == git(repo, "rev-parse", "HEAD^{tree}")


def test_a_snapshot_sees_an_edit_of_the_same_size_in_the_same_moment(repo: Path, git: RunGit, main: Checkout) -> None:
    path = repo / "README.md"
    git(repo, "config", "core.trustctime", "false")  # a test cannot set the time of change
    moment = (1_700_000_000, 1_700_000_000)
    os.utime(path, moment)
    git(repo, "update-index", "--refresh")
    path.write_text("HELLO\n")
    os.utime(path, moment)
    os.utime(repo / ".git/index", moment)
    assert files_of(repo, git, main.snapshot()) == {"README.md": "HELLO"}


def test_a_snapshot_in_the_middle_of_a_merge_keeps_the_files_as_they_are(
    repo: Path, git: RunGit, main: Checkout
) -> None:
    start = git(repo, "rev-parse", "HEAD")
    theirs = commit(repo, git, {"README.md": "theirs\n"})
    git(repo, "checkout", "-q", "-b", "other", start)
    commit(repo, git, {"README.md": "ours\n"})
    with pytest.raises(AssertionError):
        git(repo, "merge", theirs)
    assert "<<<<<<<" in files_of(repo, git, main.snapshot())["README.md"]
    assert main.operation_in_progress() == "merge"


def test_a_snapshot_works_for_users_who_are_strict_about_line_ends(repo: Path, git: RunGit, main: Checkout) -> None:
    git(repo, "config", "core.autocrlf", "input")
    git(repo, "config", "core.safecrlf", "true")
    (repo / "dos.txt").write_bytes(b"a\r\nb\r\n")
    assert set(files_of(repo, git, main.snapshot())) == {"README.md", "dos.txt"}


def test_a_snapshot_of_a_sparse_checkout_keeps_what_is_not_checked_out(repo: Path, git: RunGit, main: Checkout) -> None:
    commit(repo, git, {"in/a.txt": "a\n", "out/b.txt": "b\n"})
    git(repo, "sparse-checkout", "set", "in")
    (repo / "in/a.txt").write_text("changed\n")
    assert not (repo / "out").exists()
    assert files_of(repo, git, main.snapshot()) == {"README.md": "hello", "in/a.txt": "changed", "out/b.txt": "b"}


def test_what_cannot_be_stored_is_said_and_not_left_out(repo: Path, git: RunGit, main: Checkout) -> None:
    (repo / "inner").mkdir()
    git(repo / "inner", "init", "-q")
    (repo / "inner/work.txt").write_text("unsaved\n")
    with pytest.raises(GitFailedError):
        main.snapshot()
    assert (repo / "inner/work.txt").is_file()


# Switching


def test_switching_puts_the_worktree_on_the_branch_and_clears_it(
    repo: Path, tmp_path: Path, git: RunGit, worktrees: Worktrees
) -> None:
    start = git(repo, "rev-parse", "HEAD")
    later = commit(repo, git, {"later.txt": "x\n", ".gitignore": "*.log\n"})
    checkout = worktrees.add(tmp_path / "w", start)
    (checkout.path / "README.md").write_text("edited\n")
    (checkout.path / "rubbish").mkdir()
    (checkout.path / "rubbish/x").write_text("x")

    checkout.switch("kitty/work", later)

    assert git(checkout.path, "symbolic-ref", "HEAD") == "refs/heads/kitty/work"
    assert git(checkout.path, "rev-parse", "HEAD") == later
    assert checkout.changes() == ()
    assert not (checkout.path / "rubbish").exists()
    (checkout.path / "cache.log").write_text("ignored files, such as caches, stay")
    checkout.switch("kitty/work", later)
    assert (checkout.path / "cache.log").is_file()
    checkout.switch("kitty/work", start)
    assert git(repo, "rev-parse", "kitty/work") == start
    assert "branch" not in (repo / ".git/config").read_text(), "no upstream is set up"


def test_a_branch_named_like_a_file_is_no_question(
    repo: Path, tmp_path: Path, git: RunGit, worktrees: Worktrees
) -> None:
    checkout = worktrees.add(tmp_path / "w", "HEAD")
    checkout.switch("README.md", git(repo, "rev-parse", "HEAD"))
    assert git(checkout.path, "symbolic-ref", "HEAD") == "refs/heads/README.md"


def test_a_worktree_that_was_never_finished_is_made_anew(
    worktrees: Worktrees, main: Checkout, repo: Path, tmp_path: Path
) -> None:
    assert main.head
    path = tmp_path / "lane"
    worktrees.add(path, main.head)
    _without_commit(path)
    assert worktrees.at(path) is None
    (path / "left-by-somebody").write_text("mine\n")
    worktrees.clear_unfinished(path)
    assert (path / "left-by-somebody").read_text() == "mine\n"
    (path / "left-by-somebody").unlink()
    worktrees.clear_unfinished(path)
    assert not path.exists()
    worktrees.add(path, main.head).switch("lane", main.head)
    again = worktrees.at(path)
    assert again is not None
    assert (again.head, again.changes()) == (main.head, ())
    worktrees.clear_unfinished(path)
    assert worktrees.at(path) == again


def test_a_worktree_that_is_just_being_made_elsewhere_is_waited_for(
    worktrees: Worktrees, main: Checkout, repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git makes the file `commondir` and writes it a moment later; whoever looks in between gives up."""
    assert main.head
    worktrees.add(tmp_path / "lane", main.head)
    file = repo / ".git/worktrees/lane/commondir"
    content = file.read_text()
    file.write_text("")
    waited: list[float] = []
    monkeypatch.setattr(process, "sleep", waited.append)
    with pytest.raises(GitFailedError, match="commondir"):
        worktrees.all()
    assert len(waited) == 40
    monkeypatch.setattr(process, "sleep", lambda seconds: file.write_text(content))
    assert [each.path.name for each in worktrees.all()] == [repo.name, "lane"]
