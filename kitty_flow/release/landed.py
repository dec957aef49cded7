"""A landing that was proved, looked at again: is it what it was said to be, and what became of it since."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from kitty_flow.flow.mission import OpenMission
from kitty_flow.ledger.view import LedgerView
from kitty_flow.release.landing import in_merge_order
from kitty_flow.release.recompute import landing_fault
from kitty_flow.release.replay import own_commits

__all__ = ["Landed", "landed_of"]

_REVERTS: Final = re.compile(r"This reverts commit ([0-9a-f]{7,64})\b")


@dataclass(frozen=True)
class Landed:
    """One landing as the ledger has it: the target before, the commit that landed with its tree, what it carried."""

    mission: OpenMission
    before: str
    commit: str
    tree: str
    mission_head: str
    heads: Mapping[str, str]

    @cached_property
    def holds(self) -> bool:
        """Whether the landed commit is the merge of the heads that it carried, computed again.

        Where the mission branch of then is not in this clone, its tree has at least to be the one that was tested.
        """
        if self.mission.project.history.tree(self.commit) != self.tree:
            return False
        if not self._has_heads:
            return True
        return landing_fault(self.mission, self.before, self.mission_head, self.heads, self.commit) is None

    @cached_property
    def _has_heads(self) -> bool:
        refs = self.mission.project.repository.refs
        return all(refs.commit(commit) for commit in (*self.heads.values(), self.mission_head))

    def taken_back(self, work_package_id: str, target: str) -> str | None:
        """What the target did to a landed work package: None when it stands, else the revert, empty where none tells.

        It was taken back when all that it changed is as it was before the landing; or when a commit that says that it
        reverts landed commits touched its files, and they are not as they had landed.
        """
        history = self.mission.project.history
        since = self._changed & frozenset(history.changed_paths(self.commit, target))
        mine = self._paths(work_package_id) & self._changed if since else since
        if not mine & since:
            return None
        revert = next((r for r, paths in self._reverts(target).items() if mine & paths), None)
        is_as_before = not mine & frozenset(history.changed_paths(self.before, target))
        return (revert or "") if is_as_before or revert else None

    @cached_property
    def _changed(self) -> frozenset[str]:
        return frozenset(self.mission.project.history.changed_paths(self.before, self.commit))

    @cached_property
    def _commits(self) -> dict[str, list[tuple[str, ...]]]:
        return own_commits(self.mission, self.before, self.heads, self.mission_head) if self._has_heads else {}

    def _paths(self, work_package_id: str) -> frozenset[str]:
        """What a work package's own commits changed; without them in this clone, all that the landing did."""
        if not self._has_heads:
            return self._changed
        history, own = self.mission.project.history, self._commits[work_package_id]
        return frozenset(
            path for commit, *parents in own if len(parents) == 1 for path in history.changed_paths(parents[0], commit)
        )

    def _reverts(self, target: str) -> dict[str, frozenset[str]]:
        """The commits since the landing that say that they revert some of it, and stand; with what they touch."""
        git, history = self.mission.project.repository.git, self.mission.project.history
        words = (
            "log",
            "-z",
            "--format=%H %P%n%B",
            "--grep=This reverts commit",
            "--end-of-options",
            f"{self.commit}..{target}",
            "--",
        )
        entries = [entry.partition("\n") for entry in git.text(*words).split("\0") if entry]
        if not entries:
            return {}
        landed = set(git.text("rev-list", "--end-of-options", self.commit, f"^{self.before}", "--").split())
        landed |= {commit for commits in self._commits.values() for commit, *_ in commits}
        found, named = {}, set[str]()
        for head, _, message in entries:  # the newest first, so that a revert that was reverted is known by then
            commit, *parents = head.split()
            if any(commit.startswith(name) for name in named):
                continue
            names = _REVERTS.findall(message)
            named.update(names)
            if parents and any(known.startswith(name) for name in names for known in landed):
                found[commit] = frozenset(history.changed_paths(parents[0], commit))
        return found


def landed_of(mission: OpenMission, view: LedgerView, merge_id: str) -> Landed | None:
    """The proved landing with that id; None when there is none, or its commits are not in this clone."""
    entity = view.entity("merge", merge_id) if merge_id else None
    if entity is None or entity.state != "proved":
        return None
    facts, refs = entity.facts, mission.project.repository.refs
    before, commit = str(facts["target_commit_before"]), str(facts["candidate_commit"])
    if not refs.commit(before) or not refs.commit(commit):
        return None
    tree, heads = str(facts["candidate_tree"]), in_merge_order(mission, facts["heads"])
    return Landed(mission, before, commit, tree, str(facts["mission_head"]), heads)
