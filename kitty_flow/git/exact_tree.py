"""A working tree that holds exactly one tree of the repository, for tests, and tells what they did to it.

It is no worktree of the repository: it has a git directory of its own, which borrows the objects and copies the tags.
So no filter, hook or submodule setting of the shared configuration runs while it is filled, and what tests do with git
moves none of the user's refs. The user's global configuration holds, as everywhere. The index that the comparison
trusts lies where tests do not look for it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kitty_flow.errors import ExternalToolError
from kitty_flow.git.process import Git, GitFailedError
from kitty_flow.git.repository import Repository
from kitty_flow.git.worktrees import delete_folder

__all__ = ["ExactTree"]


@dataclass(frozen=True)
class ExactTree:
    """The folder `folder` with the working tree (`path`) and what belongs to it; used by one process at a time."""

    repository: Repository
    folder: Path

    @property
    def path(self) -> Path:
        """The working tree."""
        return self.folder / "tree"

    def put(self, commit: str) -> None:
        """Fill the working tree with the files of `commit` and nothing else, whatever was there.

        Only the files that differ are written. What is damaged is made anew.

        Raises:
            GitFailedError: git cannot write the files.
            ExternalToolError: WORKTREE_BROKEN, the folder cannot be emptied.
        """
        if self._is_sound():
            with suppress(GitFailedError, OSError):
                self._fill(commit)
                return
        self.remove()
        self._make()
        self._fill(commit)

    def changes(self, commit: str) -> tuple[str, ...]:
        """The tracked paths that are not as in `commit`, and what of git's own files is not as it was put."""
        paths: dict[str, None] = dict.fromkeys(self._changed_files())
        if self._read(self.path / ".git") != self._link or self._read(self._git_dir / "config") != self._config:
            return (*paths, ".git")
        if self._read(self._git_dir / "HEAD").strip() != commit:
            paths["HEAD"] = None
        try:
            staged = self._git("index", shown=True).output("diff-index", "--cached", "--name-only", "-z", commit)
        except GitFailedError:
            return (*paths, ".git/index")
        return tuple(dict.fromkeys((*paths, *_paths(staged))))

    def remove(self) -> None:
        """Delete it with everything in it; a symbolic link in its place goes, and not what it leads to.

        Raises:
            ExternalToolError: WORKTREE_BROKEN, something of it cannot be deleted.
        """
        if self.folder.is_symlink() or self.folder.is_file():
            self.folder.unlink()
        elif self.folder.exists():
            delete_folder(self.folder)
        if os.path.lexists(self.folder):
            raise ExternalToolError(
                "WORKTREE_BROKEN", f"{self.folder} cannot be emptied", hint=f"delete {self.folder} by hand"
            )

    @property
    def _git_dir(self) -> Path:
        return self.folder / "git"

    @property
    def _link(self) -> str:
        return f"gitdir: {self._git_dir}\n"

    @property
    def _config(self) -> str:
        return (
            "[core]\n\trepositoryformatversion = 1\n\tbare = false\n\tlogallrefupdates = false\n"
            f"[extensions]\n\tobjectformat = {self.repository.object_format}\n[gc]\n\tauto = 0\n"
        )

    def _git(self, index: str, *, shown: bool = False) -> Git:
        place = (self._git_dir if shown else self.folder) / index
        values = {"GIT_DIR": self._git_dir, "GIT_WORK_TREE": self.path, "GIT_INDEX_FILE": place}
        return Git(self.path if self.path.is_dir() else self.folder, {k: os.fspath(v) for k, v in values.items()})

    def _is_sound(self) -> bool:
        """Whether every part is there and is itself, no link to something that may be the user's."""
        folders = (self.folder, self.path, self._git_dir, self._git_dir / "objects", self._git_dir / "refs")
        files = (self.folder / "index", self.path / ".git", self._git_dir / "HEAD", self._git_dir / "config")
        are_folders = all(f.is_dir() and not f.is_symlink() for f in folders)
        return are_folders and all(f.is_file() and not f.is_symlink() for f in files)

    def _make(self) -> None:
        for folder in (self.path, self._git_dir / "objects" / "info", self._git_dir / "refs"):
            folder.mkdir(mode=0o700, parents=True)
        objects = os.fspath(self.repository.common_dir / "objects")
        _write(self._git_dir / "objects" / "info" / "alternates", f"{objects}\n")

    def _fill(self, commit: str) -> None:
        git_dir = self._git_dir
        _write(git_dir / "config", self._config)
        _write(git_dir / "HEAD", f"{commit}\n")
        _write(self.path / ".git", self._link)
        tags = self.repository.git.text("for-each-ref", "--format=%(objectname) %(refname)", "refs/tags")
        _write(git_dir / "packed-refs", f"{tags}\n" if tags else "")
        with suppress(FileNotFoundError):
            shutil.copyfile(self.repository.common_dir / "shallow", git_dir / "shallow")
        for lock in (self.folder / "index.lock", git_dir / "index.lock"):
            lock.unlink(missing_ok=True)  # of a git that was killed: whoever holds this folder is alone in it
        git = self._git("index")
        git.call("read-tree", "--reset", "-u", commit)
        git.call("clean", "-d", "-x", "--force", "--force", "--quiet")
        shutil.copy2(self.folder / "index", git_dir / "index")

    def _changed_files(self) -> Iterator[str]:
        git = self._git("index")
        try:
            git.call("update-index", "-q", "--refresh", ok=(0, 1))
            yield from _paths(git.output("diff-files", "--name-only", "-z"))
        except GitFailedError:
            yield ".git"

    @staticmethod
    def _read(path: Path) -> str:
        with suppress(OSError):
            return path.read_text(encoding="utf-8", errors="surrogateescape")
        return ""


def _write(path: Path, text: str) -> None:
    """Put a file in place whole; a link that somebody put there goes, and not what it leads to."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    new.write_text(text, encoding="utf-8", errors="surrogateescape")
    new.replace(path)


def _paths(out: bytes) -> list[str]:
    return [path for path in out.decode("utf-8", "surrogateescape").split("\0") if path]
