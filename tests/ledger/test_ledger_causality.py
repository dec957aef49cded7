"""Clones that record and exchange in any order, with wall clocks that say anything (RELIABILITY V1, V3, V4).

Pure: what the ledger would record is asked of it, and a clone is the set of events that it has. ``pytest
--hypothesis-profile=many`` tries 3,000 examples.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from ulid import ULID

from kitty_flow.git.repository import Repository
from kitty_flow.ledger.fold import Folded, fold
from kitty_flow.ledger.ledger import Draft, Ledger
from kitty_flow.ledger.segment import Damage
from kitty_flow.ledger.view import LedgerView
from kitty_flow.model.event import Event

many = settings(max_examples=max(300, settings.default.max_examples))  # type: ignore[union-attr]

MISSION = "01J0000000000000000000000A"
CLONES = 4
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
# A claim is active until it is released or done; anybody may block, unblock and move on.
MOVES = {
    None: ["planned"],
    "planned": ["claimed", "blocked"],
    "claimed": ["planned", "done", "blocked"],
    "blocked": ["planned"],
    "done": [],
}


@dataclass
class Clone:
    """A clone: its own ledger, whose wall clock is wrong by `skew` seconds, and the events that it has."""

    ledger: Ledger
    skew: float
    events: dict[str, Event] = field(default_factory=dict)

    @property
    def view(self) -> LedgerView:
        return LedgerView.of("r", "sample", None, fold(self.events.values()))

    def emit(self, work_package: str, choice: int, note: bool, now: datetime, chance: random.Random) -> Event | None:
        """Record a move, or a note, that builds on all that was seen here; None where no move is possible."""
        state = self.view.entities.get(("work_package", work_package))
        before = state.state if state else None
        moves = MOVES[before or None]  # a note may come before the first move
        if not note and not moves:
            return None
        after = None if note else moves[choice % len(moves)]
        draft = Draft(
            "work_package",
            work_package,
            "work_package",
            "sha256:0",
            "note" if after is None else after,
            "ann",
            from_state=before,
            to_state=after,
            evidence={f"note{choice}": choice},
        )
        moment = now + timedelta(seconds=self.skew)
        time = int(moment.timestamp() * 1000).to_bytes(6, "big")
        ulid = lambda: str(ULID(time + chance.randbytes(10)))  # noqa: E731
        with patch("kitty_flow.ledger.ledger.new_ulid", ulid):
            (event,) = self.ledger._events(self.view, [draft], moment)
        self.events[event.event_id] = event
        return event


@dataclass
class History:
    """What happened: the clones, and for each event the ids of all events that its maker had seen."""

    clones: list[Clone]
    seen: dict[str, frozenset[str]]

    @property
    def all(self) -> dict[str, Event]:
        return {event_id: event for clone in self.clones for event_id, event in clone.events.items()}


ACTIONS = ("move", "move", "move", "note", "gossip")
WORK_PACKAGES = ("WP01", "WP01", "WP02")
SKEWS_S = (0.0, 0.0, -86_400.0, 3_600.0, 0.001, 300.0)


@st.composite
def histories(draw: st.DrawFn) -> History:
    chance = random.Random(draw(st.integers(0, 2**32)))  # decides the random parts of ids only
    clones = []
    for number in range(CLONES):
        ledger = Ledger(Repository(Path("/nowhere/.git"), Path("/nowhere")), MISSION, "sample")
        ledger._store = SimpleNamespace(writer=f"w00000000000{number}")  # type: ignore[assignment]
        clones.append(Clone(ledger, draw(st.sampled_from(SKEWS_S))))
    seen: dict[str, frozenset[str]] = {}
    now = NOON
    for step in draw(st.lists(st.integers(0, 5 * CLONES * CLONES * 3 * 3 * 2 - 1), max_size=30)):
        step, action = divmod(step, len(ACTIONS))
        step, one = divmod(step, CLONES)
        step, other = divmod(step, CLONES)
        step, work_package = divmod(step, len(WORK_PACKAGES))
        passed_ms, choice = divmod(step, 3)
        now += timedelta(milliseconds=passed_ms)
        if ACTIONS[action] == "gossip":
            clones[one].events.update(clones[other].events)
            continue
        known = frozenset(clones[one].events)
        event = clones[one].emit(WORK_PACKAGES[work_package], choice, ACTIONS[action] == "note", now, chance)
        if event is not None:
            seen[event.event_id] = known
    return History(clones, seen)


@many
@given(histories(), st.integers(0, 2**32))
def test_clones_agree_whatever_the_order_of_their_exchange(history: History, seed: int) -> None:
    check_that_a_later_event_never_sorts_before_what_its_maker_had_seen(history)
    check_that_exchange_is_a_join(history)
    check_that_the_larger_id_counts(history)
    check_that_what_counts_is_one_lawful_life(history)
    check_that_all_fold_to_the_same(history, random.Random(seed))


def check_that_all_fold_to_the_same(history: History, chance: random.Random) -> None:
    """V1: after exchange in any order."""
    expected = fold(history.all.values())
    for clone in history.clones:
        others = [other.events for other in history.clones]
        chance.shuffle(others)
        for events in others:
            mixed = list(events.items())
            chance.shuffle(mixed)
            clone.events.update(mixed)
    for clone in history.clones:
        folded = fold(clone.events.values())
        assert folded == expected
        assert list(folded.entities) == list(expected.entities)


def check_that_exchange_is_a_join(history: History) -> None:
    """V1: union of events, seen through the fold, is commutative, associative, idempotent."""
    a, b, c = (list(clone.events.values()) for clone in history.clones[:3])
    assert fold(a + b) == fold(b + a)
    assert fold(dedup(a + b) + c) == fold(a + dedup(b + c))
    assert fold(a + a) == fold(a)


def dedup(events: Iterable[Event]) -> list[Event]:
    return list({event.event_id: event for event in events}.values())


def check_that_the_larger_id_counts(history: History) -> None:
    """V3: of two moves that did not know of each other."""
    events = history.all
    folded = fold(events.values())
    assert standing(events, history.seen) == {
        event_id for event_id, event in events.items() if event.kind == "transition"
    } - superseded(folded)
    for conflict in folded.conflicts:
        winner, loser = events[conflict.winner], events[conflict.loser]
        assert winner.event_id > loser.event_id
        assert winner.event_id not in history.seen[loser.event_id], "nobody loses to what was known"
        assert loser.event_id not in history.seen[winner.event_id]


def standing(events: dict[str, Event], seen: dict[str, frozenset[str]]) -> set[str]:
    """The moves that count, found another way: by what their makers saw, without looking at any parent.

    From the start, of all moves made on the same state of knowledge about the chain so far, the largest id counts.
    """
    count: set[str] = set()
    for work_package in ("WP01", "WP02"):
        left = [e for e in events.values() if e.entity_id == work_package and e.kind == "transition"]
        while left:
            # A move that saw another one that is left was built on that one, or on what that one lost to.
            first = [e for e in left if not any(o.event_id in seen[e.event_id] for o in left)]
            winner = max(first, key=lambda e: e.event_id)
            count.add(winner.event_id)
            left = [e for e in left if winner.event_id in seen[e.event_id] and on_top(e, winner, events)]
    return count


def on_top(event: Event, base: Event, events: dict[str, Event]) -> bool:
    """Whether an event descends from another one by parents."""
    at: Event | None = event
    while at is not None and at.event_id != base.event_id:
        at = events[at.parent] if at.parent else None
    return at is not None


def superseded(folded: Folded) -> set[str]:
    """Every superseded event; named once."""
    named = [event_id for conflict in folded.conflicts for event_id in conflict.superseded]
    assert len(named) == len(set(named))
    return set(named)


def check_that_what_counts_is_one_lawful_life(history: History) -> None:
    """V3: what is not superseded is a chain of moves, with never two active claims of one work package."""
    events = history.all
    folded = fold(events.values())
    lost = superseded(folded)
    assert lost <= events.keys()
    for (_, work_package), state in folded.entities.items():
        own = [e for e in events.values() if e.entity_id == work_package and e.event_id not in lost]
        active: list[str] = []
        at: str | None = None
        for event in sorted((e for e in own if e.kind == "transition"), key=lambda e: e.order):
            assert (event.from_state or None) == at, "each move starts where the one before it ended"
            at = event.to_state
            if at == "claimed":
                active.append(event.event_id)
            elif event.from_state == "claimed":
                active.pop()
            assert len(active) <= 1
        assert state.state == (at or "")
        assert (state.state == "claimed") == (len(active) == 1)
        assert sum(state.counts.values()) == len(own)
        assert state.facts.keys() == {key for e in own for key in e.evidence}


def check_that_a_later_event_never_sorts_before_what_its_maker_had_seen(history: History) -> None:
    """V4: at any skew of the wall clocks."""
    events = history.all
    for event_id, known in history.seen.items():
        for other in known:
            assert events[other].order < events[event_id].order
            assert events[other].lamport < events[event_id].lamport
    for clone in history.clones:
        own = [e.lamport for e in events.values() if e.writer == clone.ledger.store.writer]
        assert len(own) == len(set(own)), "a clock never shows the same twice"


@many
@given(histories(), st.integers(0, 2**32), st.booleans())
def test_following_is_folding_the_whole(history: History, seed: int, is_damaged: bool) -> None:
    """Whatever arrives in whatever portions: where the states can be carried on, they are those of the whole fold.

    An event arrives after all that its maker had seen; with damage, some never arrive.
    """
    chance = random.Random(seed)
    damage = (Damage("log/x.jsonl:1", "torn"),) if is_damaged else ()
    events = history.all
    missing = {event_id for event_id in events if is_damaged and chance.random() < 0.2}
    arriving: list[Event] = []
    left = set(events) - missing
    while left:
        event_id = chance.choice(sorted(e for e in left if not history.seen[e] & left))
        left.remove(event_id)
        arriving.append(events[event_id])
    view = LedgerView.of("r", "s", "0", fold([]), damage)
    at = 0
    while at < len(arriving):
        size = chance.randint(1, 5)
        portion, at = arriving[at : at + size], at + size
        whole = LedgerView.of("r", "s", str(at), fold(arriving[:at]), damage)
        carried = view.follow(str(at), portion)
        if carried is not None:
            assert carried[0] == whole
            assert list(carried[0].entities) == list(whole.entities)
            assert {key: whole.entities[key] for key in carried[1]} == carried[1]
        view = whole


def test_the_histories_are_worth_trying() -> None:
    """The strategy makes several moves at once, deep superseded branches and lost claims."""

    def interesting(history: History) -> bool:
        conflicts = fold(history.all.values()).conflicts
        return (
            len(conflicts) >= 3
            and any(len(c.superseded) >= 3 for c in conflicts)
            and any(c.loser_trigger == c.winner_trigger == "claimed" for c in conflicts)
        )

    quick = settings(max_examples=3_000, database=None, phases=[Phase.generate], derandomize=True)
    assert find(histories(), interesting, settings=quick)
