"""The conflict radar: which heads of a mission do not merge with each other or into the target (MERGE.md, G7)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kitty_flow.flow.mission import OpenMission
from kitty_flow.git.merging import open_merger
from kitty_flow.git.process import GitFailedError

if TYPE_CHECKING:
    from kitty_flow.model.diagnostic import Diagnostic

__all__ = ["Collision", "look_around", "look_around_one"]

_SHOWN: Final = 5


@dataclass(frozen=True)
class Collision:
    """Two sides that do not merge, and the paths in conflict; `other` is a work package or the target branch."""

    work_package: str
    other: str
    paths: tuple[str, ...]

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"work_package": self.work_package, "other": self.other, "paths": list(self.paths)}

    @property
    def sentence(self) -> str:
        """The same for a person."""
        more = " …" if len(self.paths) > _SHOWN else ""
        return f"{self.work_package} does not merge with {self.other}, in {', '.join(self.paths[:_SHOWN])}{more}"


class _Pair(NamedTuple):
    """Two sides by name, and the commits of both."""

    work_package: str
    other: str
    head: str
    theirs: str


def look_around(mission: OpenMission) -> tuple[Collision, ...]:
    """Merge every pair of submitted heads, and each with the target, into objects that nobody keeps: one git process.

    Raises:
        GitFailedError: a head is not in this clone.
    """
    mission = mission.at(mission.view())
    heads = _heads(mission)
    pairs = [_Pair(one, other, heads[one], heads[other]) for one, other in combinations(heads, 2)]
    return _collisions(mission, [*pairs, *_with_target(mission, heads)])


def look_around_one(mission: OpenMission, work_package_id: str) -> tuple[Diagnostic, ...]:
    """One remark on each thing with which a work package that waits for its review, or is in it, does not merge.

    Only its own pairs are merged. Advice beside an answer: where git cannot say, and of anything else, there is none.
    """
    from kitty_flow.model.diagnostic import Diagnostic

    mission = mission.at(mission.view())
    heads, name = _heads(mission), work_package_id
    if name not in heads or mission.work_package(name).state not in ("for_review", "in_review"):
        return ()
    pairs = [_Pair(name, other, heads[name], theirs) for other, theirs in heads.items() if other != name]
    found: tuple[Collision, ...] = ()
    with suppress(GitFailedError):
        found = _collisions(mission, [*pairs, *_with_target(mission, {name: heads[name]})])
    return tuple(
        Diagnostic(
            severity="warning",
            diagnostic_code="HEADS_COLLIDE",
            message=f"{each.sentence}; whichever is integrated last has to resolve it",
            phase="review",
            details=each.as_data(),
        )
        for each in found
    )


def _heads(mission: OpenMission) -> dict[str, str]:
    """The submitted head of every work package that is on its way, in merge order."""
    view = mission.view()
    entities = (mission.work_package(i, view) for i in mission.plan.merge_order)
    return {
        e.entity_id: str(e.facts["head_commit"])
        for e in entities
        if e.facts.get("head_commit") and e.state not in ("done", "canceled")
    }


def _with_target(mission: OpenMission, heads: dict[str, str]) -> list[_Pair]:
    target = mission.project.repository.refs.commit(mission.target_ref)
    return [_Pair(name, mission.target_branch, head, target) for name, head in heads.items()] if target else []


def _collisions(mission: OpenMission, pairs: Sequence[_Pair]) -> tuple[Collision, ...]:
    if not pairs:
        return ()
    with open_merger(mission.project.repository, keep_trees=False) as merger:
        merged = merger.merge_pairs([(pair.head, pair.theirs) for pair in pairs])
    return tuple(
        Collision(pair.work_package, pair.other, tree.conflicts)
        for pair, tree in zip(pairs, merged, strict=True)
        if not tree.is_clean
    )
