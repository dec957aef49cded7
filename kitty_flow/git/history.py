"""Questions about commits: ancestry, changed paths, trees."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kitty_flow.git.nearby import is_near_ancestor
from kitty_flow.git.process import Git

__all__ = ["History"]

_OBJECT_NAME: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)


@dataclass(frozen=True)
class History:
    """The commit graph of one repository. With its `objects` directory, most answers take no git process."""

    git: Git
    objects: Path | None = None

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Whether `descendant` contains `ancestor`."""
        if self.is_near_ancestor(ancestor, descendant):
            return True
        return self.git.status("merge-base", "--is-ancestor", ancestor, descendant) == 0

    def is_near_ancestor(self, ancestor: str, descendant: str) -> bool:
        """As `is_ancestor`, as far as it can be told without a git process; False says nothing."""
        return self.objects is not None and is_near_ancestor(self.objects, ancestor, descendant)

    def beyond(self, commits: Iterable[str], tip: str) -> frozenset[str]:
        """Those of `commits`, full object names, that `tip` does not contain; one git process for all of them.

        Raises:
            ValueError: one is no full object name.
            GitFailedError: one of them does not exist.
        """
        asked = frozenset(commits)
        if not all(map(_OBJECT_NAME.fullmatch, asked | {tip})):
            raise ValueError("only full object names can be asked for together")
        listed = "".join(f"{name}\n" for name in (*asked, f"^{tip}"))
        return asked.intersection(self.git.output("rev-list", "--stdin", stdin=listed.encode()).decode().split())

    def common_ancestor(self, one: str, other: str) -> str | None:
        """A best common ancestor of two commits: one of both themselves where it contains the other; None if none."""
        for older, newer in ((one, other), (other, one)):
            if self.is_near_ancestor(older, newer):
                return older
        found = self.git.call("merge-base", one, other, ok=(0, 1)).stdout.decode().strip()
        return found or None

    def changed_paths(self, base: str, head: str) -> tuple[str, ...]:
        """Paths that differ between two commits or trees, sorted; both sides of a rename are named.

        Nothing that an agent could make hides a path: no setting such as `submodule.NAME.ignore`, no `git replace`.
        """
        git = Git(self.git.cwd, {**self.git.env, "GIT_NO_REPLACE_OBJECTS": "1"})
        plain = ("-r", "-z", "--name-only", "--no-renames", "--ignore-submodules=none")
        out = git.output("diff-tree", *plain, base, head)
        return tuple(sorted(p for p in out.decode("utf-8", "surrogateescape").split("\0") if p))

    def paths_touched(self, tips: Iterable[str], without: str) -> frozenset[str]:
        """Paths that some commit of `tips` that `without` has not changed; of a merge those that no parent has so."""
        git = Git(self.git.cwd, {**self.git.env, "GIT_NO_REPLACE_OBJECTS": "1"})
        plain = ("--format=", "-z", "-c", "--name-only", "--no-renames", "--ignore-submodules=none", "--no-ext-diff")
        out = git.output("log", *plain, "--end-of-options", *tips, f"^{without}", "--")
        return frozenset(p for p in out.decode("utf-8", "surrogateescape").replace("\n", "\0").split("\0") if p)

    def committed_at(self, *commits: str) -> datetime:
        """When the latest of the commits was made."""
        lines = self.git.text("show", "-s", "--format=%ct", "--end-of-options", *commits, "--").split()
        return datetime.fromtimestamp(max(map(int, lines)), UTC)

    def tree(self, commit: str) -> str:
        """The tree of a commit."""
        return self.git.text("rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}")
