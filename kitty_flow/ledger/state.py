"""The state of one entity, folded from its events, and its form as text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from kitty_flow.model.event import EntityType, Event

__all__ = ["EntityKey", "EntityState", "LastEvent", "evolve", "state_from_text", "state_to_text"]

EntityKey: TypeAlias = tuple["EntityType", str]


class LastEvent(NamedTuple):
    """What an entity's state remembers of the last event that counted; the fields are those of the event.

    `at` is when it happened: for an imported event, when that was elsewhere.
    """

    event_id: str
    lamport: int
    writer: str
    mission_slug: str
    trigger: str
    from_state: str | None
    at: str
    actor: str
    reason: str | None
    correlation_id: str | None


@dataclass(frozen=True)
class EntityState:
    """What the log says about one entity.

    `facts` are the evidence of all its events, later ones winning; `counts` how often each trigger happened;
    `forced` how many transitions were forced past the machine.
    """

    entity_type: EntityType
    entity_id: str
    state: str
    machine: str
    last_event: LastEvent
    epoch: int = 0
    forced: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


def evolve(state: EntityState | None, events: Iterable[Event]) -> EntityState | None:
    """The state of an entity after further events that count, in order. An annotation adds facts and moves nothing."""
    last: Event | None = None
    name, epoch, forced = ("", 0, 0) if state is None else (state.state, state.epoch, state.forced)
    facts, counts = ({}, {}) if state is None else (dict(state.facts), dict(state.counts))
    for last in events:
        name = last.to_state if last.kind == "transition" or not name else name
        epoch = max(epoch, last.epoch or 0)
        forced += last.force
        facts.update(last.evidence)
        counts[last.trigger] = counts.get(last.trigger, 0) + 1
    if last is None:
        return state
    return EntityState(
        last.entity_type,
        last.entity_id,
        name,
        last.machine,
        _last(last),
        epoch,
        forced,
        MappingProxyType(facts),
        MappingProxyType(counts),
    )


def _last(event: Event) -> LastEvent:
    last = LastEvent(*(getattr(event, field) for field in LastEvent._fields))
    foreign = event.payload.get("foreign")
    at = foreign.get("at") if isinstance(foreign, dict) else None
    return last._replace(at=at) if isinstance(at, str) else last


def state_to_text(state: EntityState) -> str:
    """The state as one JSON document; the same state gives the same text."""
    values = [
        state.entity_type,
        state.entity_id,
        state.state,
        state.machine,
        state.last_event,
        state.epoch,
        state.forced,
        dict(state.facts),
        dict(state.counts),
    ]
    return json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def state_from_text(text: str) -> EntityState:
    """The state that `state_to_text` wrote.

    Raises:
        ValueError: it is something else.
    """
    try:
        entity_type, entity_id, name, machine, last, epoch, forced, facts, counts = json.loads(text)
        return EntityState(
            entity_type,
            entity_id,
            name,
            machine,
            LastEvent(*last),
            epoch,
            forced,
            MappingProxyType(facts),
            MappingProxyType(counts),
        )
    except TypeError as error:
        raise ValueError(str(error)) from error
