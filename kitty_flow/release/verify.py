"""Proving again, from the refs alone, that what is called done is on the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kitty_flow.flow.mission import OpenMission
from kitty_flow.release.landing import contains

__all__ = ["Proof", "verify_mission"]


@dataclass(frozen=True)
class Proof:
    """The evidence for one work package: its head, and whether the target contains it now."""

    work_package_id: str
    state: str
    head: str | None
    on_target: bool

    @property
    def holds(self) -> bool:
        """Whether the ledger's word and the refs agree."""
        return self.on_target or self.state != "done"

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"state": self.state, "head": self.head, "on_target": self.on_target, "holds": self.holds}


def verify_mission(mission: OpenMission) -> tuple[Proof, ...]:
    """One proof for each work package, in merge order. Changes nothing."""
    view = mission.view()
    target = mission.project.repository.refs.commit(mission.target_ref)
    proofs = []
    for work_package_id in mission.plan.merge_order:
        entity = mission.work_package(work_package_id, view)
        head = entity.facts.get("head_commit")
        proofs.append(Proof(work_package_id, entity.state, head, contains(mission, target, head)))
    return tuple(proofs)
