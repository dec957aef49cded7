"""The approved work packages one on top of the other on the target: what each prefix of a landing would look like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from kitty_flow.flow.mission import OpenMission
from kitty_flow.git.merging import Merger, open_merger
from kitty_flow.release.commits import merge_message, write_merge
from kitty_flow.release.landing import contains

__all__ = ["Clash", "Layer", "Stack", "build_stack"]


class Layer(NamedTuple):
    """One work package on top of the ones before it: its approved head, the merge commit and that commit's tree."""

    work_package_id: str
    head: str
    commit: str
    tree: str


@dataclass(frozen=True)
class Clash:
    """Where a stack ends: a work package that does not merge, and the paths in conflict.

    `other` is the first thing in the stack that it collides with: the target branch, or an earlier work package.
    """

    work_package_id: str
    other: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Stack:
    """The layers on the commit `base`, from the bottom; `clash` says why there are not more, if there should be."""

    base: str
    layers: tuple[Layer, ...]
    clash: Clash | None = None

    @property
    def tip(self) -> str:
        """The commit on top: the base where there is no layer."""
        return self.layers[-1].commit if self.layers else self.base


def build_stack(mission: OpenMission, base: str, heads: Mapping[str, str]) -> Stack:
    """Merge the heads one after the other, in the order given, onto the commit `base`; objects only, no ref moves.

    The commits are made by the rules of the landing: from the same base and heads come the same commits, and those of
    a prefix of `heads` are the first layers of the whole. A head that the layer below contains already adds a layer
    with the same commit. The stack ends at the first head that does not merge.

    The tree on top is that of merging the mission branch into `base`, as long as that branch is what integration makes
    it: the heads and merges of them. Where a person resolved a conflict on it, or added commits, the stack clashes or
    lacks them. Then only the candidate itself, and no prefix, says what would land.

    Raises:
        GitFailedError: a head and the base have no common history.
    """
    layers: list[Layer] = []
    tip, tree = base, mission.project.history.tree(base)
    with open_merger(mission.project.repository) as merger:
        for work_package_id, head in heads.items():
            if not contains(mission, tip, head):
                merged = merger.merge_trees(tip, head)
                if not merged.is_clean:
                    other = _collides_with(mission, merger, base, layers, head)
                    return Stack(base, tuple(layers), Clash(work_package_id, other, merged.conflicts))
                message = merge_message(mission, work_package_id)
                tip, tree = write_merge(mission, merged.tree, (tip, head), message), merged.tree
            layers.append(Layer(work_package_id, head, tip, tree))
    return Stack(base, tuple(layers))


def _collides_with(mission: OpenMission, merger: Merger, base: str, layers: list[Layer], head: str) -> str:
    """The lowest part of the stack with which the head does not merge."""
    parts = [(mission.target_branch, base), *((layer.work_package_id, layer.commit) for layer in layers)]
    merged = merger.merge_pairs([(commit, head) for _, commit in parts])
    return next(name for (name, _), tree in zip(parts, merged, strict=True) if not tree.is_clean)
