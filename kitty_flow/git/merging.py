"""Merges without a checkout, in a private git directory that no repository configuration can reach.

An agent shares `.git/config` with us: in a trial, a merge driver planted there turned a conflict into a "clean" tree.
The private directory borrows the user's objects and has neither global, system nor repository configuration, no
attributes (not even those of the home directory, where one line `* merge=union` hides every conflict), no hooks;
conflicts are reported, never resolved by a strategy option.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kitty_flow.git.process import Git
from kitty_flow.git.repository import Repository

__all__ = ["MergedTree", "Merger", "open_merger"]


@dataclass(frozen=True)
class MergedTree:
    """Result of merging two commits: the tree, and the paths that are in conflict (empty when clean)."""

    tree: str
    conflicts: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether the tree has no conflicts."""
        return not self.conflicts


@dataclass(frozen=True)
class Merger:
    """Merges commits of one repository inside the private git directory `git` points to."""

    git: Git

    def merge_trees(self, ours: str, theirs: str) -> MergedTree:
        """Merge two commits into a tree with git's `ort` strategy and default options.

        Raises:
            GitFailedError: the commits cannot be merged at all, for example unrelated histories.
        """
        done = self.git.call("merge-tree", "--write-tree", "-z", "--name-only", ours, theirs, ok=(0, 1))
        tree, *rest = done.stdout.decode("utf-8", "surrogateescape").split("\0")
        if done.returncode == 0:
            return MergedTree(tree, ())
        paths = tuple(dict.fromkeys(rest[: rest.index("")]))
        return MergedTree(tree, paths or ("(unknown)",))


@contextmanager
def open_merger(repository: Repository) -> Iterator[Merger]:
    """A merger whose private git directory lives as long as the block, outside the repository."""
    with tempfile.TemporaryDirectory(prefix="kitty-flow-merge-", ignore_cleanup_errors=True) as name:
        private = Path(name)
        (private / "objects").mkdir()
        (private / "refs").mkdir()
        (private / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
        (private / "config").write_text(_config(repository), encoding="ascii")
        # Without this list git walks past the end of a shallow clone and finds histories unrelated.
        with suppress(FileNotFoundError):
            shutil.copyfile(repository.common_dir / "shallow", private / "shallow")
        environment = {
            "GIT_DIR": name,
            "GIT_OBJECT_DIRECTORY": os.fspath(repository.common_dir / "objects"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
        }
        yield Merger(Git(private, environment))


def _config(repository: Repository) -> str:
    return (
        f"[core]\n\trepositoryformatversion = 1\n\tbare = true\n\tattributesFile = {os.devnull}\n"
        f"[extensions]\n\tobjectformat = {repository.object_format}\n"
    )
