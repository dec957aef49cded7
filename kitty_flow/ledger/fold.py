"""From events to state: the only rule that derives what is true from what was recorded.

The events of an entity form a tree: each names as `parent` the last event of that entity that its writer saw. Without
exchange between clones it is a chain. Two transitions with the same parent were made without knowing of each other: a
conflict. Both stay in the log; the one with the larger event id counts, the other one and all that was built on it are
superseded, everywhere alike whatever the order of exchange (seed 002, WP06; DESIGN section 5). An annotation moves
nothing and conflicts with nothing; it counts as long as the transition that it was made on counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from kitty_flow.ledger.state import EntityKey, EntityState, evolve

if TYPE_CHECKING:
    from kitty_flow.model.event import EntityType, Event

__all__ = ["Conflict", "Folded", "fold"]


class Conflict(NamedTuple):
    """Two transitions of one entity that were made without knowing of each other; `winner` counts, `loser` does not.

    `superseded` are the ids of the loser and of everything that was built on it.
    """

    entity_type: EntityType
    entity_id: str
    winner: str
    winner_trigger: str
    winner_actor: str
    loser: str
    loser_trigger: str
    loser_actor: str
    loser_writer: str
    at: str
    superseded: tuple[str, ...]


@dataclass(frozen=True)
class Folded:
    """The states of all entities, in the order of their first event; the conflicts; clock and number of events."""

    entities: dict[EntityKey, EntityState] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()
    lamport: int = 0
    event_count: int = 0


def fold(events: Iterable[Event]) -> Folded:
    """Fold all events of a ledger, in the order (lamport, writer, event id); a repeated event id counts once."""
    # Of two different events with one id, which no kitty-flow writes, the same one counts in every order of reading.
    unique: dict[str, Event] = {}
    for event in events:
        twin = unique.setdefault(event.event_id, event)
        if twin is not event and event.order > twin.order:
            unique[event.event_id] = event
    own: dict[EntityKey, list[Event]] = {}
    ordered = sorted(unique.values(), key=lambda e: e.order)
    for event in ordered:
        own.setdefault((event.entity_type, event.entity_id), []).append(event)
    entities: dict[EntityKey, EntityState] = {}
    conflicts: list[Conflict] = []
    for key, history in own.items():
        counted = history
        if not _is_chain(history):
            counted, found = _resolve(history)
            conflicts += found
        state = evolve(None, counted)
        assert state is not None
        entities[key] = state
    return Folded(entities, tuple(conflicts), ordered[-1].lamport if ordered else 0, len(ordered))


def _is_chain(history: Sequence[Event]) -> bool:
    before: str | None = None
    for event in history:
        if event.parent != before:
            return False
        before = event.event_id
    return True


def _resolve(history: Sequence[Event]) -> tuple[list[Event], list[Conflict]]:
    """The events that count, each transition followed by the annotations made on it, and the conflicts.

    So the last event is one made on the state that counts, and what is recorded next builds on that state.
    """
    bases = _bases(history)
    moves: dict[str | None, list[Event]] = {}
    stay: dict[str | None, list[Event]] = {}  # each transition with the annotations made on it
    for event in history:
        base = bases[event.event_id]
        if event.kind == "transition":
            moves.setdefault(base, []).append(event)
        stay.setdefault(event.event_id if event.kind == "transition" else base, []).append(event)
    kept = stay.get(None, [])
    conflicts = []
    at: str | None = None
    while at in moves:
        winner, *losers = sorted(moves[at], key=lambda e: e.event_id, reverse=True)
        kept += stay[winner.event_id]
        conflicts += [_conflict(winner, loser, history, bases) for loser in losers]
        at = winner.event_id
    return kept, conflicts


def _bases(history: Sequence[Event]) -> Mapping[str, str | None]:
    """For each event the transition that it builds on, past annotations.

    An event whose parent is not here (a line of the log is damaged) is taken to build on the transition before it.
    """
    bases: dict[str, str | None] = {}
    kinds: dict[str, str] = {}
    before: str | None = None
    for event in history:
        if event.parent is None:
            base = None
        elif event.parent not in kinds:
            base = before
        else:
            base = event.parent if kinds[event.parent] == "transition" else bases[event.parent]
        bases[event.event_id] = base
        kinds[event.event_id] = event.kind
        if event.kind == "transition":
            before = event.event_id
    return bases


def _conflict(winner: Event, loser: Event, history: Sequence[Event], bases: Mapping[str, str | None]) -> Conflict:
    lost = {loser.event_id}
    for event in history:  # in order, so that what an event builds on comes before it
        if bases[event.event_id] in lost:
            lost.add(event.event_id)
    return Conflict(
        loser.entity_type,
        loser.entity_id,
        winner.event_id,
        winner.trigger,
        winner.actor,
        loser.event_id,
        loser.trigger,
        loser.actor,
        loser.writer,
        loser.at,
        tuple(e.event_id for e in history if e.event_id in lost),
    )
