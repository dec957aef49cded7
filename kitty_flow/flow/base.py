"""Where an attempt starts: at a commit that contains everything it depends on."""

from __future__ import annotations

from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.readiness import has_no_head
from kitty_flow.ledger.view import LedgerView

__all__ = ["base_for", "contains_prerequisites"]


def base_for(mission: OpenMission, work_package_id: str, view: LedgerView, tip: str) -> tuple[str, str]:
    """(base, start) commits of the next attempt; `tip` is the mission branch's.

    Rework continues on the head that was sent back, as long as its base still contains every prerequisite; anything
    else starts at the tip of the mission branch, which contains all approved work.
    """
    entity = mission.work_package(work_package_id, view)
    head, base = entity.facts.get("continue_at"), entity.facts.get("base_commit")
    if head and base and contains_prerequisites(mission, work_package_id, str(base), view):
        return str(base), str(head)
    return tip, tip


def contains_prerequisites(mission: OpenMission, work_package_id: str, base: str, view: LedgerView) -> bool:
    """Whether `base` contains the heads of all prerequisites (DESIGN section 7, a must).

    Work that was done elsewhere (imported history) has no head to look for; it counts as part of the target.
    """
    history = mission.project.history
    for prerequisite in mission.plan.prerequisites(work_package_id):
        entity = mission.work_package(prerequisite, view)
        head = entity.facts.get("head_commit")
        if entity.state == "done" and has_no_head(entity):
            continue
        if entity.state != "canceled" and not (head and history.is_ancestor(str(head), base)):
            return False
    return True
