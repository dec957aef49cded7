"""Proving again, from the refs alone, that what is called done is on the target, and was not taken back there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from kitty_flow.flow.mission import OpenMission
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.release.landed import Landed, landed_of
from kitty_flow.release.landing import contains

__all__ = ["Proof", "Standing", "verify_mission"]

Standing = Literal["on_target", "regressed", "not_on_target"]
"""`regressed`: it had landed, and the target has taken it back since."""


@dataclass(frozen=True)
class Proof:
    """The evidence for one work package: its head, whether the target has it now, and the commit that took it back.

    It is there when the target contains the head; after a squash or rebase, when the target contains the landed commit
    and this, computed again, is the merge of what was approved.
    """

    work_package_id: str
    state: str
    head: str | None
    on_target: bool
    standing: Standing
    landed_commit: str | None = None
    taken_back_by: str | None = None

    @property
    def holds(self) -> bool:
        """Whether the ledger's word and the refs agree."""
        return self.standing == "on_target" or self.state != "done"

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        data = {key: value for key, value in self.__dict__.items() if key != "work_package_id"}
        return data | {"holds": self.holds}


def verify_mission(mission: OpenMission, at: str | None = None) -> tuple[Proof, ...]:
    """One proof for each work package, in merge order, on the target or at the commit `at`. Changes nothing."""
    view = mission.view()
    target = at or mission.project.repository.refs.commit(mission.target_ref)
    landings: dict[str, Landed | None] = {}
    return tuple(
        _proof(mission, view, mission.work_package(i, view), target, landings) for i in mission.plan.merge_order
    )


def _proof(
    mission: OpenMission, view: LedgerView, entity: EntityState, target: str | None, landings: dict[str, Landed | None]
) -> Proof:
    name, head = entity.entity_id, entity.facts.get("head_commit")
    merge_id = str(entity.facts.get("merge_id", ""))
    if merge_id not in landings:
        landings[merge_id] = landed_of(mission, view, merge_id)
    landing = landings[merge_id]
    if landing is None or landing.heads.get(name) != head:
        is_there = contains(mission, target, head)
        return Proof(name, entity.state, head, is_there, "on_target" if is_there else "not_on_target")
    commit = landing.commit
    if target is None or not (contains(mission, target, head) or (contains(mission, target, commit) and landing.holds)):
        return Proof(name, entity.state, head, False, "not_on_target", commit)
    by = landing.taken_back(name, target) if contains(mission, target, commit) else None
    return Proof(name, entity.state, head, True, "on_target" if by is None else "regressed", commit, by or None)
