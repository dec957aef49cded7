"""Questions about commits: ancestry, changed paths, trees."""

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

    def changed_paths(self, base: str, head: str) -> tuple[str, ...]:
        """Paths that differ between two commits or trees, sorted; both sides of a rename are named.

        Nothing that an agent could make hides a path: no setting such as `submodule.NAME.ignore`, no `git replace`.
        """
        git = Git(self.git.cwd, {**self.git.env, "GIT_NO_REPLACE_OBJECTS": "1"})
        plain = ("-r", "-z", "--name-only", "--no-renames", "--ignore-submodules=none")
        out = git.output("diff-tree", *plain, base, head)
        return tuple(sorted(p for p in out.decode("utf-8", "surrogateescape").split("\0") if p))

    def tree(self, commit: str) -> str:
        """The tree of a commit."""
        return self.git.text("rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}")
