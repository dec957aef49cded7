"""Reading back what the adoption of a mission recorded: its definition and its plan."""

from __future__ import annotations

from kitty_flow.errors import LedgerError
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.model.mission import MissionDefinition
from kitty_flow.model.plan import Plan

__all__ = ["read_definition"]


def read_definition(ledger: Ledger) -> tuple[MissionDefinition, Plan]:
    """The definition and the plan that the ledger holds.

    Raises:
        LedgerError: DEFINITION_MISSING or DEFINITION_DAMAGED.
    """
    entity = ledger.view().entity("mission", ledger.mission_id)
    digest = entity.facts.get("definition_digest") if entity else None
    if not isinstance(digest, str):
        raise LedgerError(
            "DEFINITION_MISSING",
            f"the ledger of {ledger.mission_slug} holds no definition",
            hint="kitty-flow mission list",
        )
    try:
        content = ledger.attachment(f"definition/{digest}.json")
        definition = MissionDefinition.from_json(content)
        plan = Plan.from_json(ledger.attachment(f"plan/{digest}.json"))
    except ValueError as error:
        raise LedgerError("DEFINITION_DAMAGED", f"the definition {digest[:12]} cannot be read: {error}") from error
    if not definition.has_digest(digest, content):
        raise LedgerError("DEFINITION_DAMAGED", f"the definition {digest[:12]} does not have the recorded digest")
    return definition, plan
