"""Questions about commits: ancestry, changed paths, merge bases."""

from __future__ import annotations

from dataclasses import dataclass

from kitty_flow.git.process import Git

__all__ = ["History"]


@dataclass(frozen=True)
class History:
    """The commit graph of one repository."""

    git: Git

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Whether `descendant` contains `ancestor`."""
        return self.git.status("merge-base", "--is-ancestor", ancestor, descendant) == 0

    def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor, or None for unrelated histories."""
        done = self.git.call("merge-base", one, other, ok=(0, 1))
        return done.stdout.decode().strip() or None

    def changed_paths(self, base: str, head: str) -> tuple[str, ...]:
        """Paths that differ between two commits or trees, sorted; both sides of a rename are named."""
        out = self.git.output("diff-tree", "-r", "-z", "--name-only", "--no-renames", base, head)
        return tuple(sorted(p for p in out.decode("utf-8", "surrogateescape").split("\0") if p))

    def commits(self, base: str, head: str) -> tuple[str, ...]:
        """Commits reachable from `head` and not from `base`, oldest first."""
        return tuple(self.git.text("rev-list", "--reverse", "--topo-order", f"{base}..{head}").split())

    def tree(self, commit: str) -> str:
        """The tree of a commit."""
        return self.git.text("rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}")
