"""Reading back what adoption and amendments of a mission recorded: its definition and its plan."""

from __future__ import annotations

from typing import NamedTuple

from kitty_flow.errors import LedgerError
from kitty_flow.flow.amend_lanes import keep_lanes, used_lanes
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.ledger.view import LedgerView
from kitty_flow.model.mission import MissionDefinition
from kitty_flow.model.plan import Plan

__all__ = ["RecordedPlan", "lanes_kept", "read_definition", "recorded_plan"]


class RecordedPlan(NamedTuple):
    """Which definition counts, and which plan of it: the names of their attachments."""

    definition: str
    plan: str


def recorded_plan(view: LedgerView, mission_id: str) -> RecordedPlan | None:
    """What counts in a view of the ledger; None before there is anything."""
    entity = view.entity("mission", mission_id)
    digest = entity.facts.get("definition_digest") if entity else None
    if entity is None or not isinstance(digest, str):
        return None
    return RecordedPlan(digest, str(entity.facts.get("plan_name", digest)))


def lanes_kept(plan: Plan, view: LedgerView, mission_id: str) -> Plan:
    """The plan with everything that was started in the execution lane that it was started in.

    An amendment made in another clone, which did not know of the start, may have placed it elsewhere.
    """
    entity = view.entity("mission", mission_id)
    return keep_lanes(plan, used_lanes(view, plan)) if entity is not None and entity.counts.get("amend") else plan


def read_definition(ledger: Ledger, view: LedgerView | None = None) -> tuple[MissionDefinition, Plan]:
    """The definition and the plan that the ledger holds: now, or as `view` has it.

    Raises:
        LedgerError: DEFINITION_MISSING or DEFINITION_DAMAGED.
    """
    view = view or ledger.view()
    recorded = recorded_plan(view, ledger.mission_id)
    if recorded is None:
        raise LedgerError(
            "DEFINITION_MISSING",
            f"the ledger of {ledger.mission_slug} holds no definition",
            hint="kitty-flow mission list",
        )
    digest = recorded.definition
    try:
        content = ledger.attachment(f"definition/{digest}.json")
        definition = MissionDefinition.from_json(content)
        plan = Plan.from_json(ledger.attachment(f"plan/{recorded.plan}.json"))
    except ValueError as error:
        raise LedgerError("DEFINITION_DAMAGED", f"the definition {digest[:12]} cannot be read: {error}") from error
    if not definition.has_digest(digest, content):
        raise LedgerError("DEFINITION_DAMAGED", f"the definition {digest[:12]} does not have the recorded digest")
    return definition, lanes_kept(plan, view, ledger.mission_id)
