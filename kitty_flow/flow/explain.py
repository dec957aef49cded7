"""The causal answer to "why is it not ready, not done?": back to the root cause, with the next command.

It comes from the gates on the edges to the work package (`flow/edge_gates.py`) and from what the ledger says about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from kitty_flow.flow.lease import lease_reason, now, run_out
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.policy_reasons import BudgetGate, pool_reasons
from kitty_flow.flow.readiness import (
    Readiness,
    Reason,
    has_no_head,
    is_finished,
    is_integrated,
    is_under_review,
    unfinished,
)
from kitty_flow.flow.timeline import attempts
from kitty_flow.ledger.view import EntityState, LedgerView

__all__ = ["Explanation", "GateAnswer", "explain"]


class GateAnswer(NamedTuple):
    """What one gate on one edge to the work package says; `reason` is None for an open gate."""

    edge: str
    other: str
    gate: str
    reason: Reason | None

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        why = self.reason.as_data() if self.reason else {"code": None, "message": None, "hint": None}
        why.pop("wp_id", None)
        outcome = "closed" if self.reason else "pass"
        return {"edge": self.edge, "wp_id": self.other, "gate": self.gate, "outcome": outcome, **why}


@dataclass(frozen=True)
class Explanation:
    """The state in a sentence, every reason against progress, the chain of causes, and the command that helps.

    `gates` are all gates on the edges that count, open ones too.
    """

    work_package_id: str
    state: str
    summary: str
    reasons: tuple[Reason, ...]
    chain: tuple[str, ...]
    next_command: str
    gates: tuple[GateAnswer, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "wp_id": self.work_package_id,
            "state": self.state,
            "summary": self.summary,
            "reasons": [r.as_data() for r in self.reasons],
            "chain": list(self.chain),
            "next_command": self.next_command,
            "gates": [g.as_data() for g in self.gates],
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
    if entity.state != "planned":
        reasons = _held_up(mission, entity, view, readiness)
    if entity.state in ("planned", "for_review", "in_review") and not is_under_review(entity, view):
        spent = BudgetGate(mission, view).reason(work_package_id)
        reasons = (*reasons, *([spent] if spent else []), *pool_reasons(mission, view, now()))
    chain = _chain(mission, work_package_id, view, readiness)
    root = mission.work_package(chain[-1], view)
    summary = _sentence(mission, entity, readiness)
    if root is not entity:
        summary += f"; it all waits for {chain[-1]}: {_sentence(mission, root, readiness)}"
    gates = tuple(GateAnswer(e.kind, e.other.entity_id, g, why) for e, g, why in readiness.answers(work_package_id))
    command = _command(mission, root, view, readiness)
    for reason in readiness.hindrances(chain[-1]):
        command = reason.hint if reason.code == "DEPENDENCY_CANCELED" else command
    command = next((reason.hint for reason in reasons if reason.code == "BUDGET_EXHAUSTED"), command)
    return Explanation(work_package_id, entity.state, summary, reasons, chain, command, gates)


def _held_up(mission: OpenMission, entity: EntityState, view: LedgerView, readiness: Readiness) -> tuple[Reason, ...]:
    """Why a work package that was claimed goes no further; its own edges do not hold it any more."""
    name = entity.entity_id
    match entity.state:
        case "claimed" | "in_progress" | "in_review" if run_out(entity, view):
            return (lease_reason(mission, entity),)
        case "for_review" | "in_review" if not is_under_review(entity, view):
            users = readiness.lane_users(name)
            lane = mission.plan.placements[name].execution_lane
            return tuple(
                Reason(
                    name,
                    "LANE_BUSY",
                    f"{user} is being worked on in {lane}, where {name} is to be reviewed",
                    f"kitty-flow wp show {user}{mission.option}",
                )
                for user in users
            )
        case "approved" if is_finished(entity) and mission.state(view) == "running":
            message = f"{name} lands with its mission, which waits for"
            return tuple(
                Reason(name, "MISSION_NOT_ACCEPTED", f"{message} {other}", f"kitty-flow why {other}{mission.option}")
                for other in unfinished(mission, view)
            )
    return ()


def _lease(entity: EntityState) -> str:
    return str(entity.facts.get("lease_expires_at"))


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
            back = _way_back(entity)
            return (waits[0].message if waits else f"{name} is ready and nobody has claimed it") + back
        case "claimed" | "in_progress":
            lease = f", with a lease until {_lease(entity)}" if facts.get("lease_expires_at") else ""
            return f"{name} is {entity.state}, held by {facts.get('holder')} since {entity.last_event.at}{lease}"
        case "for_review":
            return f"{name} waits for a reviewer other than {facts.get('implementer')}"
        case "in_review" if readiness.is_reviewed(name):
            return f"{name} is being reviewed by {facts.get('reviewer')}"
        case "in_review":
            return f"the review of {name} was given up; it waits for a reviewer other than {facts.get('implementer')}"
        case "approved" | "done" if has_no_head(entity):
            return f"{name} is {entity.state} by its imported history; no commit is known, so nothing is proved here"
        case "approved":
            where = "integrated, and lands with the mission" if is_integrated(mission, entity) else "not integrated yet"
            return f"{name} is approved at {str(facts.get('head_commit'))[:12]}; it is {where}"
        case "done":
            return f"{name} is done: it landed on {facts.get('target_ref')} with {str(facts.get('target_commit'))[:12]}"
        case "blocked" if (log := _last_log(mission, name)) is not None:
            return f"{name} is blocked: {reason}; the last output: {log}"
        case _:
            return f"{name} is {entity.state}: {reason}"


def _last_log(mission: OpenMission, work_package_id: str) -> str | None:
    """All that the last invocation printed, if that failed and its output is on this machine."""
    made = attempts(mission, work_package_id)
    path = made[-1]["log_path"] if made and made[-1]["state"] == "failed" else None
    return str(path) if path and Path(str(path)).is_file() else None


def _way_back(entity: EntityState) -> str:
    """How a planned work package came to be planned again, if it was."""
    last = entity.last_event
    words = {"request_changes": "sent back by review", "reopen": "reopened", "unblock": "unblocked"}
    is_back = last.from_state != entity.state and (last.reason or last.trigger in words)
    said = f": {last.reason}" if last.reason else ""
    return f" ({words.get(last.trigger, 'it was given back')}{said})" if is_back else ""


def _command(mission: OpenMission, entity: EntityState, view: LedgerView, readiness: Readiness) -> str:
    name = entity.entity_id
    match entity.state:
        case "blocked":
            return f"kitty-flow wp unblock {name} --reason TEXT{mission.option}"
        case "approved" if has_no_head(entity):
            return f"kitty-flow wp reopen {name} --reason TEXT{mission.option}"
        case "approved":
            return (
                f"kitty-flow merge {mission.slug}"
                if mission.state(view) == "accepted"
                else f"kitty-flow run {mission.slug}"
            )
        case "done":
            return f"kitty-flow verify {mission.slug}"
        case "canceled":
            return f"kitty-flow wp show {name}{mission.option}"
        case "claimed" | "in_progress" | "in_review" if run_out(entity, view):
            return lease_reason(mission, entity).hint
        case "planned" if mission.state(view) not in ("planned", "running"):
            return readiness.hindrances(name)[0].hint
        case "claimed" | "in_progress":
            return f"kitty-flow wp show {name}{mission.option}"
        case "in_review" if readiness.is_reviewed(name):
            return f"kitty-flow wp show {name}{mission.option}"
        case _:
            return f"kitty-flow run {mission.slug}"
