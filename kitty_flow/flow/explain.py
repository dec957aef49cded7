"""The causal answer to "why is it not ready, not done?": back to the root cause, with the next command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.readiness import Readiness, Reason, has_no_head, is_integrated
from kitty_flow.ledger.view import EntityState, LedgerView

__all__ = ["Explanation", "explain"]


@dataclass(frozen=True)
class Explanation:
    """The state in a sentence, every reason against progress, the chain of causes, and the command that helps."""

    work_package_id: str
    state: str
    summary: str
    reasons: tuple[Reason, ...]
    chain: tuple[str, ...]
    next_command: str

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "wp_id": self.work_package_id,
            "state": self.state,
            "summary": self.summary,
            "reasons": [r.as_data() for r in self.reasons],
            "chain": list(self.chain),
            "next_command": self.next_command,
        }


def explain(mission: OpenMission, work_package_id: str) -> Explanation:
    """Why the work package stands where it stands.

    Raises:
        UsageError: UNKNOWN_WORK_PACKAGE.
    """
    view = mission.view()
    mission = mission.at(view)
    entity = mission.work_package(work_package_id, view)
    readiness = Readiness(mission, view)
    reasons = readiness.hindrances(work_package_id) if entity.state == "planned" else ()
    chain = _chain(mission, work_package_id, view, readiness)
    root = chain[-1]
    summary = _sentence(mission, entity, readiness)
    if root != work_package_id:
        summary += f"; it all waits for {root}: {_sentence(mission, mission.work_package(root, view), readiness)}"
    command = _command(mission, mission.work_package(root, view))
    for reason in readiness.hindrances(root):
        command = reason.hint if reason.code == "DEPENDENCY_CANCELED" else command
    return Explanation(work_package_id, entity.state, summary, reasons, chain, command)


def _chain(mission: OpenMission, work_package_id: str, view: LedgerView, readiness: Readiness) -> tuple[str, ...]:
    """From the work package along the first unsatisfied prerequisite of each, to the one that waits for nobody."""
    chain = [work_package_id]
    while True:
        entity = mission.work_package(chain[-1], view)
        if entity.state != "planned":
            return tuple(chain)
        following = [
            i
            for i in readiness.unsatisfied(chain[-1])
            if i not in chain and mission.work_package(i, view).state != "canceled"
        ]
        if not following:
            return tuple(chain)
        chain.append(following[0])


def _sentence(mission: OpenMission, entity: EntityState, readiness: Readiness) -> str:
    name, facts, reason = entity.entity_id, entity.facts, entity.last_event.reason
    match entity.state:
        case "planned":
            waits = readiness.hindrances(name)
            moved = entity.last_event.from_state != entity.state
            back = f" (it was given back: {reason})" if reason and moved else ""
            return (waits[0].message if waits else f"{name} is ready and nobody has claimed it") + back
        case "claimed" | "in_progress":
            return f"{name} is {entity.state}, held by {facts.get('holder')} since {entity.last_event.at}"
        case "for_review":
            return f"{name} waits for a reviewer other than {facts.get('implementer')}"
        case "in_review":
            return f"{name} is being reviewed by {facts.get('reviewer')}"
        case "approved" | "done" if has_no_head(entity):
            return f"{name} is {entity.state} by its imported history; no commit is known, so nothing is proved here"
        case "approved":
            where = "integrated, and lands with the mission" if is_integrated(mission, entity) else "not integrated yet"
            return f"{name} is approved at {str(facts.get('head_commit'))[:12]}; it is {where}"
        case "done":
            return f"{name} is done: it landed on {facts.get('target_ref')} with {str(facts.get('target_commit'))[:12]}"
        case _:
            return f"{name} is {entity.state}: {reason}"


def _command(mission: OpenMission, entity: EntityState) -> str:
    name = entity.entity_id
    match entity.state:
        case "blocked":
            return f"kitty-flow wp unblock {name} --reason TEXT{mission.option}"
        case "approved" if has_no_head(entity):
            return f"kitty-flow wp reopen {name} --reason TEXT{mission.option}"
        case "approved":
            return (
                f"kitty-flow merge {mission.slug}"
                if mission.state() == "accepted"
                else f"kitty-flow run {mission.slug}"
            )
        case "done":
            return f"kitty-flow verify {mission.slug}"
        case "canceled":
            return f"kitty-flow wp show {name}{mission.option}"
        case "claimed" | "in_progress" | "in_review":
            return f"kitty-flow wp show {name}{mission.option}"
        case _:
            return f"kitty-flow run {mission.slug}"
