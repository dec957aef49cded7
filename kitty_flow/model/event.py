"""The ledger event: one past-tense fact about one entity."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator

from kitty_flow.model.base import Model
from kitty_flow.model.ids import check_ulid

__all__ = ["EntityType", "Event", "EventKind"]

EntityType = Literal["mission", "work_package", "invocation", "merge", "release"]
EventKind = Literal["transition", "annotation"]


class Event(Model):
    """One line of a segment. Unknown fields are kept, so that a newer writer's facts survive an older reader.

    `lamport` orders events (with `writer` and `event_id` as tie-breaks); `at` is for people only. `parent` is the last
    event of the same entity that the writer saw. An annotation leaves the state as it is (`from_state == to_state`).
    """

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    event_id: str
    schema_: str = Field(alias="schema")
    kind: EventKind
    mission_id: str
    mission_slug: str
    entity_type: EntityType
    entity_id: str
    machine: str
    machine_digest: str
    trigger: str
    from_state: str | None
    to_state: str
    parent: str | None
    lamport: int = Field(ge=1)
    writer: str
    at: str
    actor: str
    epoch: int | None = None
    force: bool = False
    reason: str | None = None
    evidence: dict[str, Any] = Field(default_factory=dict)
    causation_id: str | None = None
    correlation_id: str | None = None
    payload: dict[str, Any] = Field(default_factory=dict)

    @field_validator("event_id", "mission_id")
    @classmethod
    def _ulid(cls, value: str) -> str:
        try:
            return check_ulid(value)
        except Exception as error:
            raise ValueError(str(error)) from error

    @property
    def order(self) -> tuple[int, str, str]:
        """The total order of the log: Lamport clock, then writer, then event id; never the wall clock."""
        return (self.lamport, self.writer, self.event_id)
