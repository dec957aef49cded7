"""The conflict radar: which heads of a mission could not be merged with each other or into the target."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

from kitty_flow.flow.mission import OpenMission
from kitty_flow.git.merging import open_merger

__all__ = ["Collision", "look_around"]


@dataclass(frozen=True)
class Collision:
    """Two sides that do not merge, and the paths in conflict; `other` is a work package or the target branch."""

    work_package: str
    other: str
    paths: tuple[str, ...]

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"work_package": self.work_package, "other": self.other, "paths": list(self.paths)}


def look_around(mission: OpenMission) -> tuple[Collision, ...]:
    """Merge every pair of submitted heads, and each with the target, into objects that nobody keeps.

    A head that contains another one is left out of that pair: `git merge-tree` would only say so.
    """
    view = mission.view()
    target = mission.project.repository.refs.commit(mission.target_ref)
    entities = (mission.work_package(i, view) for i in mission.plan.merge_order)
    heads = {
        e.entity_id: str(e.facts["head_commit"])
        for e in entities
        if e.facts.get("head_commit") and e.state not in ("done", "canceled")
    }
    sides = [(one, other, heads[one], heads[other]) for one, other in combinations(heads, 2)]
    if target is not None:
        sides += [(name, mission.target_branch, head, target) for name, head in heads.items()]
    with open_merger(mission.project.repository, keep_trees=False) as merger:
        merged = merger.merge_pairs([(ours, theirs) for _, _, ours, theirs in sides])
    return tuple(
        Collision(one, other, tree.conflicts)
        for (one, other, _, _), tree in zip(sides, merged, strict=True)
        if not tree.is_clean
    )
