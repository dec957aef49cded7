"""Collects the decisions of one use case into a batch: every transition passes the machine before it is a draft."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from kitty_flow.errors import RefusedError
from kitty_flow.flow.illegal import illegal_hint, illegal_sentence
from kitty_flow.ledger.ledger import Batch, Draft
from kitty_flow.ledger.state import EntityKey
from kitty_flow.ledger.view import LedgerView
from kitty_flow.machines import Facts, MachineDefinition, decide, machine
from kitty_flow.model.event import EntityType

__all__ = ["BatchBuilder"]


class BatchBuilder:
    """Decides transitions against a view, in sequence, so that two steps of one entity can go into one batch.

    Args:
        view: the ledger as it is.
        actor: who acts.
        correlation_id: what ties events of one run together.
    """

    def __init__(self, view: LedgerView, *, actor: str, correlation_id: str | None = None) -> None:
        self._mission_slug = view.slug or "MISSION"
        self._view = view
        self._states: dict[EntityKey, str] = {}
        self._actor = actor
        self._correlation_id = correlation_id
        self._drafts: list[Draft] = []

    def state(self, entity_type: EntityType, entity_id: str) -> str | None:
        """The state of an entity after the steps collected so far."""
        entity = self._view.entity(entity_type, entity_id)
        return self._states.get((entity_type, entity_id)) or (entity.state if entity else None)

    def transition(
        self,
        entity_type: EntityType,
        entity_id: str,
        trigger: str,
        facts: Facts,
        *,
        reason: str | None = None,
        epoch: int | None = None,
        evidence: Mapping[str, Any] | None = None,
        force_to: str | None = None,
    ) -> str:
        """Decide one transition and collect it; returns the new state. `force_to` goes with the trigger ``force``.

        Raises:
            RefusedError: the machine says no; `details` name the entity and every guard.
        """
        definition = machine(entity_type)
        try:
            decision = decide(definition, self.state(entity_type, entity_id), trigger, facts, force_to=force_to)
        except RefusedError as error:
            raise self._about(error, entity_type, entity_id) from error
        self._states[entity_type, entity_id] = decision.to_state
        self._collect(
            definition,
            entity_type,
            entity_id,
            trigger,
            from_state=decision.from_state,
            to_state=decision.to_state,
            force=decision.forced,
            reason=reason,
            epoch=epoch,
            evidence=evidence or {},
        )
        return decision.to_state

    def annotate(
        self,
        entity_type: EntityType,
        entity_id: str,
        name: str,
        *,
        evidence: Mapping[str, Any],
        reason: str | None = None,
    ) -> None:
        """Collect a fact that leaves the entity's state as it is."""
        self._collect(machine(entity_type), entity_type, entity_id, name, reason=reason, evidence=evidence)

    def _collect(
        self, definition: MachineDefinition, entity_type: EntityType, entity_id: str, trigger: str, **fields: Any
    ) -> None:
        self._drafts.append(
            Draft(
                entity_type,
                entity_id,
                definition.name,
                definition.digest,
                trigger,
                self._actor,
                correlation_id=self._correlation_id,
                **fields,
            )
        )

    def build(self, attachments: Mapping[str, bytes] | None = None) -> Batch:
        """What was collected."""
        return Batch(tuple(self._drafts), attachments or {})

    def _about(self, error: RefusedError, entity_type: EntityType, entity_id: str) -> RefusedError:
        """The machine's refusal, which knows no names, told about one entity and to who acts."""
        slug = self._mission_slug
        subject = slug if entity_type == "mission" else entity_id
        hint, message = error.hint, f"{subject}: {error.message}"
        if error.code == "ILLEGAL_TRANSITION":
            state, trigger, allowed = (error.details[name] for name in ("state", "trigger", "allowed"))
            if (sentence := illegal_sentence(entity_type, subject, state, trigger, allowed)) is not None:
                hint, message = illegal_hint(entity_type, subject, slug), sentence
        elif hint is not None:
            hint = re.sub(r"\bMISSION\b", slug, hint)
            if entity_type == "work_package":
                hint = re.sub(r"\bWP\b", entity_id, hint)
            # Only who holds the step reports it; a reviewer, on the other hand, is yet to be found.
            hint = hint.replace("--agent NAME --result", f"--agent {shlex.quote(self._actor)} --result")
        details = {**error.details, "entity_type": entity_type, "entity_id": entity_id}
        return RefusedError(error.code, message, hint=hint, details=details)
