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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kitty_flow.git.identity import OWN_IDENTITY
from kitty_flow.git.objects import CommitText
from kitty_flow.git.process import Git, failed
from kitty_flow.git.repository import Repository

__all__ = ["MergedTree", "Merger", "open_merger"]

_NOBODY: Final = f"{OWN_IDENTITY} 0 +0000"


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
            GitFailedError: the commits cannot be merged at all, for example unrelated histories, or one is not here.
        """
        words = ("merge-tree", "--write-tree", "-z", "--name-only", ours, theirs)
        done = self.git.call(*words, ok=(0, 1))
        tree, *rest = done.stdout.decode("utf-8", "surrogateescape").split("\0")
        if done.returncode == 0:
            return MergedTree(tree, ())
        if "" not in rest:  # a commit that is not here ends git with the same status as a conflict
            raise failed(words, done.returncode, done.stderr)
        paths = tuple(dict.fromkeys(rest[: rest.index("")]))
        return MergedTree(tree, paths or ("(unknown)",))

    def merge_pairs(self, pairs: Sequence[tuple[str, str]]) -> tuple[MergedTree, ...]:
        """Merge every pair of commits, as `merge_trees` does, in one git process.

        Raises:
            GitFailedError: some pair cannot be merged at all.
        """
        if not pairs:
            return ()
        script = "".join(f"{ours} {theirs}\n" for ours, theirs in pairs).encode()
        words = ("merge-tree", "--write-tree", "--stdin", "--name-only", "--no-messages")
        fields = iter(self.git.output(*words, stdin=script).decode("utf-8", "surrogateescape").split("\0"))
        found = []
        for _ in pairs:
            is_clean = next(fields) == "1"  # git's own sense in this form: 1 for clean, 0 for conflicts
            tree = next(fields)
            paths = tuple(dict.fromkeys(iter(lambda: next(fields), "")))
            found.append(MergedTree(tree, () if is_clean else paths or ("(unknown)",)))
        return tuple(found)

    def merge_all(self, base: str, heads: Sequence[str]) -> MergedTree:
        """Merge the heads into `base` one after the other; ends at the first that does not merge.

        Raises:
            GitFailedError: some of them cannot be merged at all.
        """
        at, merged = base, MergedTree(self.git.text("rev-parse", "--verify", f"{base}^{{tree}}"), ())
        for head in heads:
            merged = self.merge_trees(at, head)
            if not merged.is_clean:
                break
            # Only to be merged with the next one, so that who made it and when is all the same.
            stand_in = CommitText(merged.tree, (at, head), _NOBODY, _NOBODY, "Merged\n").encode()
            at = self.git.text("hash-object", "-t", "commit", "-w", "--stdin", stdin=stand_in)
        return merged


@contextmanager
def open_merger(repository: Repository, *, keep_trees: bool = True) -> Iterator[Merger]:
    """A merger whose private git directory lives as long as the block, outside the repository.

    Args:
        keep_trees: put the merged trees into the repository's objects; else they are gone with the block.
    """
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
            **_objects(repository.common_dir / "objects", private / "objects", keep_trees=keep_trees),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
        }
        # Objects that are gone with the block need not reach the disk: that took most of the time of many merges.
        yield Merger(Git(private, environment, () if keep_trees else ("core.fsync=none",)))


def _objects(theirs: Path, own: Path, *, keep_trees: bool) -> dict[str, str]:
    """Where git finds objects, and where it writes them."""
    if keep_trees:
        return {"GIT_OBJECT_DIRECTORY": os.fspath(theirs)}
    quoted = os.fspath(theirs)
    if os.pathsep in quoted or quoted.startswith('"'):
        quoted = '"' + quoted.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return {"GIT_OBJECT_DIRECTORY": os.fspath(own), "GIT_ALTERNATE_OBJECT_DIRECTORIES": quoted}


def _config(repository: Repository) -> str:
    return (
        f"[core]\n\trepositoryformatversion = 1\n\tbare = true\n\tattributesFile = {os.devnull}\n"
        f"[extensions]\n\tobjectformat = {repository.object_format}\n"
    )
