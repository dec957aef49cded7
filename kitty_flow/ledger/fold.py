"""From events to state: the only rule that derives what is true from what was recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from kitty_flow.model.event import EntityType, Event

__all__ = ["EntityState", "LedgerView", "evolve", "fold"]

EntityKey = tuple[EntityType, str]


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
    last_event: Event
    epoch: int = 0
    forced: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


def evolve(state: EntityState | None, event: Event) -> EntityState:
    """The state of an entity after one more event."""
    if state is None:
        state = EntityState(event.entity_type, event.entity_id, event.to_state, event.machine, event)
    counts = dict(state.counts)
    counts[event.trigger] = counts.get(event.trigger, 0) + 1
    return replace(
        state,
        state=event.to_state,
        machine=event.machine,
        last_event=event,
        epoch=max(state.epoch, event.epoch or 0),
        forced=state.forced + event.force,
        facts=MappingProxyType({**state.facts, **event.evidence}),
        counts=MappingProxyType(counts),
    )


@dataclass(frozen=True)
class LedgerView:
    """The ledger of one mission at one commit: all events in order, and the state folded from them.

    `tip` is None for a ledger that does not exist yet.
    """

    ref: str
    tip: str | None
    events: tuple[Event, ...]
    entities: Mapping[EntityKey, EntityState]

    def entity(self, entity_type: EntityType, entity_id: str) -> EntityState | None:
        """The state of one entity, or None if nothing was recorded about it."""
        return self.entities.get((entity_type, entity_id))

    def of_type(self, entity_type: EntityType) -> dict[str, EntityState]:
        """All entities of a type, by id, in the order of their first event."""
        return {key[1]: state for key, state in self.entities.items() if key[0] == entity_type}

    @property
    def lamport(self) -> int:
        """The highest clock value seen; 0 when there are no events."""
        return self.events[-1].lamport if self.events else 0

    def with_events(self, tip: str | None, added: Iterable[Event]) -> LedgerView:
        """The view after further events at the commit `tip`; refolds when one is not newer than the last."""
        added = tuple(sorted(added, key=lambda e: e.order))
        if self.events and added and added[0].order <= self.events[-1].order:
            return fold(self.ref, tip, (*self.events, *added))
        entities = dict(self.entities)
        for event in added:
            key = (event.entity_type, event.entity_id)
            entities[key] = evolve(entities.get(key), event)
        return LedgerView(self.ref, tip, (*self.events, *added), MappingProxyType(entities))


def fold(ref: str, tip: str | None, events: Iterable[Event]) -> LedgerView:
    """Fold events, in the order (lamport, writer, event id); a repeated event id counts once."""
    unique = {event.event_id: event for event in events}
    return LedgerView(ref, None, (), MappingProxyType({})).with_events(tip, unique.values())
