"""The ledger of one mission as it was at one commit: states, clock, conflicts, and what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kitty_flow.ledger.clock import LamportClock
from kitty_flow.ledger.fold import Conflict, Folded
from kitty_flow.ledger.segment import Damage
from kitty_flow.ledger.state import EntityKey, EntityState, evolve

if TYPE_CHECKING:
    from kitty_flow.model.event import EntityType, Event

__all__ = ["Entities", "EntityState", "Fetch", "LedgerView"]

Fetch = Callable[[EntityKey | None], Mapping[EntityKey, EntityState] | None]


class Entities(Mapping[EntityKey, EntityState]):
    """States by (type, id). Closed invocations, of which there may be very many, are fetched only when asked for.

    `fetch` gives the state for a key, nothing where there is none, and None where it cannot tell; for the key None it
    gives all states. What is known here already is newer.
    """

    def __init__(self, known: Mapping[EntityKey, EntityState], fetch: Fetch | None = None) -> None:
        self._known = dict(known)
        self._fetch = fetch

    def __getitem__(self, key: EntityKey) -> EntityState:
        """The state of one entity."""
        found = self._known.get(key)
        if found is None and self._fetch is not None:
            fetched = self._fetch(key)
            if fetched is None:
                self._complete()
            else:
                self._known.update(fetched)
            found = self._known.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[EntityKey]:
        """All keys."""
        self._complete()
        return iter(list(self._known))

    def __len__(self) -> int:
        """How many entities there are."""
        self._complete()
        return len(self._known)

    def at_hand(self, entity_type: str) -> dict[str, EntityState]:
        """The states of one type by id, in the order of their first event."""
        if entity_type == "invocation":
            self._complete()
        # A copy: another thread may fetch what it asks for meanwhile.
        return {key[1]: state for key, state in list(self._known.items()) if key[0] == entity_type}

    def fetching(self, fetch: Fetch) -> Entities:
        """The same, with a place to fetch from."""
        return Entities(self._known, fetch)

    def fetching_on(self, fetch: Fetch) -> Entities:
        """The same, with another place to fetch from if not everything is known."""
        return self if self._fetch is None else self.fetching(fetch)

    def changed(self, states: Mapping[EntityKey, EntityState]) -> Entities:
        """The same with other states for some entities."""
        other = Entities(self._known, self._fetch)
        other._known.update(states)
        return other

    def _complete(self) -> None:
        fetch = self._fetch
        if fetch is not None:
            self._known = {**(fetch(None) or {}), **self._known}
            self._fetch = None  # only now: another thread must not take what is here for everything


@dataclass(frozen=True)
class LedgerView:
    """The ledger at the commit `tip`; None for a ledger that does not exist yet.

    `lamport` is the clock: the highest value seen; 0 when there are no events. `rewound_from` is the commit that was
    seen last, when the ref does not descend from it any more: then events that were acknowledged may be missing.
    """

    ref: str
    slug: str
    tip: str | None
    entities: Entities = field(default_factory=lambda: Entities({}))
    lamport: int = 0
    event_count: int = 0
    conflicts: tuple[Conflict, ...] = ()
    damage: tuple[Damage, ...] = ()
    rewound_from: str | None = None

    @classmethod
    def of(cls, ref: str, slug: str, tip: str | None, folded: Folded, damage: Iterable[Damage] = ()) -> LedgerView:
        """The view of a ledger that was folded as a whole."""
        return cls(
            ref,
            slug,
            tip,
            Entities(folded.entities),
            folded.lamport,
            folded.event_count,
            folded.conflicts,
            tuple(damage),
        )

    def entity(self, entity_type: EntityType, entity_id: str) -> EntityState | None:
        """The state of one entity, or None if nothing was recorded about it."""
        return self.entities.get((entity_type, entity_id))

    def of_type(self, entity_type: EntityType) -> dict[str, EntityState]:
        """All entities of a type, by id, in the order of their first event."""
        return self.entities.at_hand(entity_type)

    @property
    def superseded(self) -> frozenset[str]:
        """The ids of all events that lost a conflict, or build on one that did."""
        return frozenset(event_id for conflict in self.conflicts for event_id in conflict.superseded)

    def follow(self, tip: str | None, added: Iterable[Event]) -> tuple[LedgerView, dict[EntityKey, EntityState]] | None:
        """The view after further events, and the states that they changed.

        None when one of them does not follow the last event of its entity; or when it sorts between known ones, and is
        the first of its entity (its place is among the others) or something is damaged (the fold guesses what lost
        parents were): then the whole log has to be folded.
        """
        changed: dict[EntityKey, EntityState] = {}
        clock, count = LamportClock(self.lamport), self.event_count
        for event in sorted(added, key=lambda e: e.order):
            key = (event.entity_type, event.entity_id)
            known = changed.get(key) or self.entities.get(key)
            if event.parent != (known.last_event.event_id if known else None):
                return None
            if event.lamport <= self.lamport and (known is None or self.damage):
                return None
            state = evolve(known, (event,))
            assert state is not None
            changed[key] = state
            clock = clock.receive((event.lamport,))
            count += 1
        view = replace(self, tip=tip, entities=self.entities.changed(changed), lamport=clock.value, event_count=count)
        return view, changed
