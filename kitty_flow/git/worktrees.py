"""Worktrees and checkouts: made, looked at, moved to a commit, and removed only when nothing can be lost."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kitty_flow.errors import ExternalToolError
from kitty_flow.git.process import Git

__all__ = ["Checkout", "Worktrees"]


@dataclass(frozen=True)
class Checkout:
    """One working tree of the repository: its path, commit (None before the first one), and branch (full ref) unless
    detached."""

    path: Path
    head: str | None
    branch: str | None

    @property
    def git(self) -> Git:
        """Runs git in this working tree."""
        return Git(self.path)

    def changes(self, *, untracked: bool = True) -> tuple[str, ...]:
        """Paths with uncommitted changes, staged or not; ignored files never count."""
        mode = "all" if untracked else "no"
        out = self.git.output("status", "--porcelain=v1", "-z", "--no-renames", f"--untracked-files={mode}")
        return tuple(entry[3:] for entry in _paths(out))

    def operation_in_progress(self) -> str | None:
        """The user's unfinished merge, rebase, cherry-pick, revert or bisect in this checkout, if any."""
        git_dir = Path(self.git.text("rev-parse", "--absolute-git-dir"))
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
        git_dir = Path(self.git.text("rev-parse", "--absolute-git-dir"))
        for folder in ("rebase-merge", "rebase-apply"):
            with suppress(OSError):
                return (git_dir / folder / "head-name").read_text(encoding="utf-8", errors="surrogateescape").strip()
        return None

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
            git.call("add", "--all", "--", ".")
            return git.text("write-tree")

    @contextmanager
    def _scratch_index(self) -> Iterator[Git]:
        """A git that works on a copy of the index."""
        index = Path(self.git.text("rev-parse", "--path-format=absolute", "--git-path", "index"))
        with tempfile.TemporaryDirectory(prefix="kitty-flow-index-", ignore_cleanup_errors=True) as scratch:
            # copy2 keeps the time of the index: by it git knows which files changed too recently to trust their times.
            with suppress(FileNotFoundError):
                shutil.copy2(index, Path(scratch) / "index")
            yield Git(self.path, {"GIT_INDEX_FILE": os.fspath(Path(scratch) / "index")})

    def clear_stale_locks(self) -> None:
        """Remove lock files that killed git processes left in our own worktree. No process may be working in it."""
        git_dir = Path(self.git.text("rev-parse", "--absolute-git-dir"))
        for name in ("index.lock", "HEAD.lock"):
            (git_dir / name).unlink(missing_ok=True)

    def switch(self, branch: str, start: str) -> None:
        """Put our own worktree on `branch` (short name) at `start`, discarding what is there.

        The caller must have saved unsaved work first (`snapshot`): this is for worktrees that kitty-flow made.
        """
        self.git.call("checkout", "--quiet", "--force", "-B", branch, start, "--")
        self.git.call("clean", "-d", "--force", "--force", "--quiet")

    def detach(self, commit: str) -> None:
        """Put our own disposable worktree on `commit` without a branch, discarding what is there."""
        self.git.call("checkout", "--quiet", "--force", "--detach", commit, "--")
        self.git.call("clean", "-d", "--force", "--force", "--quiet", "-x")


@dataclass(frozen=True)
class Worktrees:
    """All working trees of one repository. `git` runs in its main checkout."""

    git: Git

    def all(self) -> tuple[Checkout, ...]:
        """Every working tree, the main one first."""
        out = self.git.output("worktree", "list", "--porcelain", "-z").decode("utf-8", "surrogateescape")
        found: list[Checkout] = []
        for number, record in enumerate(out.split("\0\0")):
            fields = dict(_field(line) for line in record.split("\0") if line)
            if "worktree" in fields and "bare" not in fields:
                # git names the git directory instead of the main checkout where that is not beside it (submodules).
                path = Path(fields["worktree"]) if number else self.git.cwd
                head = fields.get("HEAD", "")
                found.append(Checkout(path, head if head.strip("0") else None, fields.get("branch")))
        return tuple(found)

    def on_branch(self, ref: str) -> tuple[Checkout, ...]:
        """The working trees that have `ref` (full name) checked out."""
        return tuple(checkout for checkout in self.all() if checkout.branch == ref)

    def at(self, path: Path) -> Checkout | None:
        """The working tree at `path`, if git knows it and the directory is there."""
        wanted = path.resolve()
        return next((c for c in self.all() if c.path.resolve() == wanted and wanted.is_dir()), None)

    def add(self, path: Path, commit: str) -> Checkout:
        """Make a new detached working tree at `path`, also where git still knows one that somebody deleted.

        Raises:
            GitFailedError: the path is taken.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.git.call("worktree", "add", "--quiet", "--force", "--detach", "--", os.fspath(path), commit)
        return Checkout(path, commit, None)

    def remove(self, checkout: Checkout, *, disposable: bool = False) -> bool:
        """Remove a working tree if it is clean; a `disposable` one (gate runs) in any case. Says whether it went."""
        if not disposable and checkout.changes():
            return False
        force = ("--force",) if disposable else ()
        return self.git.status("worktree", "remove", *force, "--", os.fspath(checkout.path), ok=(0, 128)) == 0


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


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(" ")
    return name, value
