"""Worktrees and checkouts: made, looked at, moved to a commit, and removed only when nothing can be lost."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from kitty_flow.errors import ExternalToolError
from kitty_flow.git.process import Git
from kitty_flow.git.refs import Refs
from kitty_flow.git.sparse import SPARSE_VARIABLES, is_sparse, write_patterns
from kitty_flow.git.stale_lock import clear_stale_lock
from kitty_flow.git.worktree_head import may_be_on, read_head
from kitty_flow.git.worktree_link import (
    administrative_directories,
    administrative_directory,
    broken,
    check_link,
    location,
    restore_link,
)

__all__ = ["Checkout", "WorktreeStatus", "Worktrees", "delete_folder"]


class WorktreeStatus(NamedTuple):
    """The commit that a working tree is at (None before the first one), its branch (full ref, None when detached), and
    its uncommitted paths."""

    head: str | None
    branch: str | None
    changes: tuple[str, ...]


@dataclass(frozen=True)
class Checkout:
    """One working tree of the repository: its path, commit (None before the first one), and branch (full ref) unless
    detached. `git_dir` is the administrative directory of a linked worktree, None for the main checkout."""

    path: Path
    head: str | None
    branch: str | None
    git_dir: Path | None = None

    @property
    def is_unfinished(self) -> bool:
        """Whether `worktree add` has not come to its first commit, or was killed before."""
        return self.git_dir is not None and self.head is None and self.branch is None

    @property
    def git(self) -> Git:
        """Runs git in this working tree; in a linked one without regard to its `.git` file, which anybody may change.

        Raises:
            ExternalToolError: WORKTREE_BROKEN.
        """
        if self.git_dir is None:
            return Git(self.path)
        check_link(self.path, self.git_dir)
        place = {"GIT_DIR": os.fspath(self.git_dir), "GIT_WORK_TREE": os.fspath(self.path)}
        return Git(self.path, {**place, **SPARSE_VARIABLES} if is_sparse(self.git_dir) else place)

    def changes(self, *, untracked: bool = True) -> tuple[str, ...]:
        """Paths with uncommitted changes, staged or not; ignored files never count."""
        mode = "all" if untracked else "no"
        out = self.git.output("status", "--porcelain=v1", "-z", "--no-renames", f"--untracked-files={mode}")
        return tuple(entry[3:] for entry in _paths(out))

    def status(self) -> WorktreeStatus:
        """Head, branch and changes in one look; ignored files never count."""
        words = ("--porcelain=v2", "--branch", "--no-ahead-behind", "-z", "--no-renames", "--untracked-files=all")
        head, branch, changes = None, None, []
        for entry in _paths(self.git.output("status", *words)):
            kind, _, rest = entry.partition(" ")
            if kind == "#":
                name, _, value = rest.partition(" ")
                if name == "branch.oid" and value != "(initial)":
                    head = value
                elif name == "branch.head" and value != "(detached)":
                    branch = f"refs/heads/{value}"
            else:
                changes.append(entry.split(" ", _WORDS_BEFORE_PATH[kind])[-1])
        return WorktreeStatus(head, branch, tuple(changes))

    def operation_in_progress(self) -> str | None:
        """The user's unfinished merge, rebase, cherry-pick, revert or bisect in this checkout, if any."""
        git_dir = self._own_files()
        marks = {
            "MERGE_HEAD": "merge",
            "rebase-merge": "rebase",
            "rebase-apply": "rebase",
            "CHERRY_PICK_HEAD": "cherry-pick",
            "REVERT_HEAD": "revert",
            "BISECT_LOG": "bisect",
        }
        return next((name for mark, name in marks.items() if (git_dir / mark).exists()), None)

    def rebased_branch(self) -> str | None:
        """The branch (full ref) that an unfinished rebase here is going to move; meanwhile the checkout is detached."""
        git_dir = self._own_files()
        for folder in ("rebase-merge", "rebase-apply"):
            with suppress(OSError):
                return (git_dir / folder / "head-name").read_text(encoding="utf-8", errors="surrogateescape").strip()
        return None

    def _own_files(self) -> Path:
        """The directory in which git keeps what belongs to this working tree alone."""
        return self.git_dir or Path(self.git.text("rev-parse", "--absolute-git-dir"))

    def can_move(self, old: str, new: str) -> bool:
        """Whether the checkout can follow from `old` to `new` and overwrite no file of the user; changes nothing."""
        with self._scratch_index() as git:
            git.call("update-index", "-q", "--refresh", ok=(0, 1))
            done = git.status("read-tree", "-m", "-u", "-n", old, new, ok=(0, 128))
        return done == 0 and not self._in_the_way(old, new)

    def move(self, old: str, new: str) -> None:
        """Bring index and files from `old` to `new`, keeping the user's edits elsewhere. Repeating it is harmless.

        Raises:
            GitFailedError: an edit is in the way.
            ExternalToolError: FILE_IN_THE_WAY, an ignored file is.
        """
        in_the_way = self._in_the_way(old, new)
        if in_the_way:
            raise ExternalToolError(
                "FILE_IN_THE_WAY",
                f"{self.path / in_the_way[0]} is not under version control, and a new file would take its place",
                hint="move it away, then run the command again",
                details={"paths": list(in_the_way)},
            )
        self.git.call("update-index", "-q", "--refresh", ok=(0, 1))
        self.git.call("read-tree", "-m", "-u", old, new)

    def _in_the_way(self, old: str, new: str) -> tuple[str, ...]:
        """Files outside the index where `new` puts one: `read-tree` overwrites those of them that are ignored."""
        added = _paths(
            self.git.output("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=A", old, new)
        )
        places = {place for path in added for place in _places(self.path, path)}
        return tuple(sorted(places.difference(_paths(self.git.output("ls-files", "-z"))))) if places else ()

    def snapshot(self) -> str:
        """Write the whole working tree as a tree object: untracked files too, ignored ones only when added by force.

        The index stays as it is.

        Raises:
            GitFailedError: something cannot be stored, such as a repository without commits inside this one.
        """
        with self._scratch_index() as git:
            git.call("add", "--all", "--sparse", "--", ".")
            return git.text("write-tree")

    @contextmanager
    def _scratch_index(self) -> Iterator[Git]:
        """A git that works on a copy of the index."""
        git = self.git
        index = Path(git.text("rev-parse", "--path-format=absolute", "--git-path", "index"))
        with tempfile.TemporaryDirectory(prefix="kitty-flow-index-", ignore_cleanup_errors=True) as scratch:
            # copy2 keeps the time of the index: by it git knows which files changed too recently to trust their times.
            with suppress(FileNotFoundError):
                shutil.copy2(index, Path(scratch) / "index")
            yield Git(self.path, {**git.env, "GIT_INDEX_FILE": os.fspath(Path(scratch) / "index")})

    def restore_link(self) -> None:
        """Put the `.git` file of our own worktree right when it is missing or names something else.

        Raises:
            ExternalToolError: WORKTREE_BROKEN.
        """
        restore_link(self.path, self._linked())

    def set_sparse(self, folders: Sequence[str]) -> bool:
        """Limit our own worktree to some folders, or to none; says whether `switch` has to put it right for that."""
        return write_patterns(self._linked(), folders)

    def clear_stale_locks(self) -> None:
        """Make our own worktree usable again: its `.git` file, and lock files that killed git processes left.

        Raises:
            ExternalToolError: WORKTREE_BUSY, a git process that may own a lock is at work in it; WORKTREE_BROKEN.
        """
        git_dir = self._linked()
        self.restore_link()
        for name in ("index.lock", "HEAD.lock"):
            if not clear_stale_lock(git_dir / name, older_than_s=2.0, places=(self.path, git_dir)):
                raise ExternalToolError(
                    "WORKTREE_BUSY",
                    f"a git process is at work in the worktree {self.path}",
                    hint="run the command again when it has ended",
                    details={"worktree": os.fspath(self.path), "lock": os.fspath(git_dir / name)},
                )

    def switch(self, branch: str, start: str) -> None:
        """Put our own worktree on `branch` (short name) at `start`, discarding what is there.

        The caller must have saved unsaved work first (`snapshot`): this is for worktrees that kitty-flow made.

        Raises:
            ExternalToolError: WORKTREE_BROKEN.
            GitFailedError: git cannot write the files.
        """
        self.restore_link()
        git = self.git
        git.call("checkout", "--quiet", "--force", "-B", branch, start, "--")
        git.call("clean", "-d", "--force", "--force", "--quiet")

    def detach(self) -> None:
        """Free the branch that our own worktree is on: HEAD stays at its commit, index and files stay as they are.

        Who still works here loses nothing, and what is committed here from now on moves no branch.

        Raises:
            ExternalToolError: WORKTREE_BUSY or WORKTREE_BROKEN.
        """
        self.clear_stale_locks()
        head = self.git.text("rev-parse", "--verify", "HEAD")
        self.git.call("update-ref", "--no-deref", "-m", "kitty-flow: its lease ran out", "HEAD", head)

    def _linked(self) -> Path:
        """The administrative directory; the main checkout is the user's, and nothing of ours is done to it."""
        if self.git_dir is None:
            raise broken(self.path, "it is not a linked worktree of this repository")
        return self.git_dir


@dataclass(frozen=True)
class Worktrees:
    """All working trees of one repository. `git` runs in its main checkout.

    With the directory that all working trees share (`shared`), most answers take no git process.
    """

    git: Git
    shared: Path | None = None

    def all(self) -> tuple[Checkout, ...]:
        """Every working tree, the main one first."""
        out = self.git.output("worktree", "list", "--porcelain", "-z").decode("utf-8", "surrogateescape")
        main, *linked = out.split("\0\0")
        # git names the git directory instead of the main checkout where that is not beside it (submodules).
        found = [] if "bare" in _fields(main) else [_checkout(_fields(main), self.git.cwd, None)]
        git_dirs = administrative_directories(self._common_dir) if any(linked) else {}
        for fields in map(_fields, filter(None, linked)):
            path = Path(fields["worktree"])
            git_dir = git_dirs.get(location(path))
            if git_dir is not None:  # else it was removed in the meantime
                found.append(_checkout(fields, path, git_dir))
        return tuple(found)

    def on_branch(self, ref: str) -> tuple[Checkout, ...]:
        """The working trees that have `ref` (full name) checked out."""
        if not may_be_on(self._common_dir, ref):
            return ()
        return tuple(checkout for checkout in self.all() if checkout.branch == ref)

    def at(self, path: Path) -> Checkout | None:
        """The linked worktree at `path`, if git knows it and something is there; never the main checkout.

        One that `worktree add` was killed over before it had a commit is none: `clear_unfinished` takes it away.
        """
        found = self._known(path)
        return None if found is None or found.is_unfinished else found

    def _known(self, path: Path) -> Checkout | None:
        git_dir = administrative_directory(self._common_dir, path)
        if git_dir is None or not os.path.lexists(path):
            return None
        position = read_head(git_dir, Refs(self.git, self._common_dir))
        if position is not None:
            return Checkout(location(path), position.head, position.branch, git_dir)
        wanted = location(path)
        return next((c for c in self.all() if c.git_dir is not None and location(c.path) == wanted), None)

    def clear_unfinished(self, path: Path) -> None:
        """Take away what a killed `worktree add` left at `path`: a folder with nothing but the link in it."""
        found = self._known(path)
        if found is not None and found.is_unfinished and [each.name for each in path.iterdir()] == [".git"]:
            self._dispose(found)

    def add(self, path: Path, commit: str, branch: str | None = None, *, sparse: Sequence[str] = ()) -> Checkout:
        """Make a new working tree at `path`, also where git still knows one that somebody deleted.

        It is on `branch` (short name), which is put at the commit, where nothing stands in the way of that; else
        detached. A `sparse` one is limited to these folders, and has no file before `switch`.

        Raises:
            GitFailedError: the path is taken.
            ExternalToolError: WORKTREE_BROKEN, a symbolic link is there.
        """
        if path.is_symlink():
            raise broken(path, "a symbolic link is in its place")
        path.parent.mkdir(parents=True, exist_ok=True)
        begin, place = ["worktree", "add", "--quiet"], ("--", os.fspath(path), commit)
        # Never forced with a branch: git would take it from another working tree that has it checked out.
        if sparse:
            begin, branch = [*begin, "--no-checkout"], None
        if branch is None or self.git.status(*begin, "-B", branch, *place, ok=(0, 128, 255)):
            branch = None
            # Forced twice: a `worktree add` that was killed leaves its worktree locked.
            self.git.call(*begin, "--force", "--force", "--detach", *place)
        git_dir = administrative_directory(self._common_dir, path)
        if git_dir is None:
            raise broken(path, "it was removed while it was made")
        made = Checkout(path, commit, branch and f"refs/heads/{branch}", git_dir)
        if sparse:
            made.set_sparse(sparse)
        return made

    def remove(self, checkout: Checkout, *, disposable: bool = False) -> bool:
        """Remove a linked worktree if it is clean; a `disposable` one (gate runs) in any case. Says whether it went.

        One whose state cannot be told stays, unless it is disposable. The main checkout always stays.
        """
        if checkout.git_dir is None:
            return False
        if disposable:
            return self._dispose(checkout)
        try:
            checkout.restore_link()
            return not checkout.changes() and self._unregister(checkout)
        except ExternalToolError:
            return False

    def _dispose(self, checkout: Checkout) -> bool:
        path = checkout.path
        if administrative_directory(self._common_dir, path) != checkout.git_dir:
            return False
        # Before git sees the path: it would follow a link, to a worktree that may be the user's.
        if path.is_symlink() or path.is_file():
            path.unlink()
        if self._unregister(checkout, "--force", "--force"):
            return True
        delete_folder(path)
        return self._unregister(checkout, "--force", "--force")

    def _unregister(self, checkout: Checkout, *force: str) -> bool:
        return self.git.status("worktree", "remove", *force, "--", os.fspath(checkout.path), ok=(0, 128)) == 0

    @cached_property
    def _common_dir(self) -> Path:
        return self.shared or Path(self.git.text("rev-parse", "--path-format=absolute", "--git-common-dir"))


_WORDS_BEFORE_PATH: Final = {"1": 8, "2": 9, "u": 10, "?": 1, "!": 1}
"""Fields before the path in an entry of `git status --porcelain=v2` (git-status(1))."""


def _checkout(fields: Mapping[str, str], path: Path, git_dir: Path | None) -> Checkout:
    head = fields.get("HEAD", "")
    return Checkout(path, head if head.strip("0") else None, fields.get("branch"), git_dir)


def delete_folder(path: Path) -> None:
    """Delete a folder with what is in it, also where it may not be written; symbolic links are not followed."""
    for folder, children, _ in os.walk(path):
        for place in (Path(folder, child) for child in children):
            if not place.is_symlink():
                with suppress(OSError):
                    place.chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)


def _paths(out: bytes) -> list[str]:
    return [path for path in out.decode("utf-8", "surrogateescape").split("\0") if path]


def _places(root: Path, path: str) -> Iterator[str]:
    """The path itself where something is there, and a file where one of its folders would have to be."""
    if os.path.lexists(root / path):
        yield path
    for folder in PurePosixPath(path).parents:
        place = root / folder
        if place.is_symlink() or place.is_file():
            yield str(folder)


def _fields(record: str) -> dict[str, str]:
    return {name: value for name, _, value in (line.partition(" ") for line in record.split("\0") if line)}
