"""Reading back what adoption and amendments of a mission recorded: its definition and its plan."""

from __future__ import annotations

from kitty_flow.errors import LedgerError
from kitty_flow.flow.amend_lanes import keep_lanes, used_lanes
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.ledger.view import LedgerView
from kitty_flow.model.mission import MissionDefinition
from kitty_flow.model.plan import Plan

__all__ = ["read_definition", "recorded_digest"]


def recorded_digest(view: LedgerView, mission_id: str) -> str | None:
    """The digest of the definition that counts in a view of the ledger; None before there is one."""
    entity = view.entity("mission", mission_id)
    return entity.facts.get("definition_digest") if entity else None


def read_definition(ledger: Ledger, view: LedgerView | None = None) -> tuple[MissionDefinition, Plan]:
    """The definition and the plan that the ledger holds: now, or as `view` has it.

    What was started keeps the execution lane that it was started in, also where an amendment made in another clone,
    which did not know of the start, had placed it elsewhere.

    Raises:
        LedgerError: DEFINITION_MISSING or DEFINITION_DAMAGED.
    """
    view = view or ledger.view()
    entity = view.entity("mission", ledger.mission_id)
    digest = recorded_digest(view, ledger.mission_id)
    if not isinstance(digest, str):
        raise LedgerError(
            "DEFINITION_MISSING",
            f"the ledger of {ledger.mission_slug} holds no definition",
            hint="kitty-flow mission list",
        )
    try:
        content = ledger.attachment(f"definition/{digest}.json")
        definition = MissionDefinition.from_json(content)
        plan_name = entity.facts.get("plan_name", digest) if entity else digest
        plan = Plan.from_json(ledger.attachment(f"plan/{plan_name}.json"))
    except ValueError as error:
        raise LedgerError("DEFINITION_DAMAGED", f"the definition {digest[:12]} cannot be read: {error}") from error
    if not definition.has_digest(digest, content):
        raise LedgerError("DEFINITION_DAMAGED", f"the definition {digest[:12]} does not have the recorded digest")
    if entity is not None and entity.counts.get("amend"):
        plan = keep_lanes(plan, used_lanes(view, plan))
    return definition, plan
