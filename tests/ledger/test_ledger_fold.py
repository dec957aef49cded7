"""State is a fold over the tree of each entity's events, in the order of their clocks; nothing else has a say."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow import EVENT_SCHEMA
from kitty_flow.ledger.fold import Folded, fold
from kitty_flow.ledger.state import EntityState, evolve
from kitty_flow.ledger.view import LedgerView
from kitty_flow.model.event import Event

STATES = ["planned", "claimed", "in_progress", "done"]


def event(number: int, **more: Any) -> Event:
    fields: dict[str, Any] = {
        "event_id": f"01J{number:023d}",
        "schema": EVENT_SCHEMA,
        "kind": "transition",
        "mission_id": "01J0000000000000000000000A",
        "mission_slug": "sample",
        "entity_type": "work_package",
        "entity_id": "WP01",
        "machine": "work_package",
        "machine_digest": "sha256:0",
        "trigger": "move",
        "from_state": None,
        "to_state": "planned",
        "parent": None,
        "lamport": number,
        "writer": "w000000000001",
        "at": "2026-03-01T12:00:00.000+00:00",
        "actor": "ann",
    }
    return Event.model_validate(fields | more)


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    """Events of up to three writers, whose Lamport clocks may be equal and whose wall clocks say anything.

    The parent of an event is none, any other one (also a later one or one of another entity), or one that is not here.
    """
    made = []
    for number, seed in enumerate(draw(st.lists(st.integers(0, 2**32), max_size=12)), 1):
        chance = random.Random(seed)
        parent = chance.choice([None, *range(1, 14)])
        state = chance.choice([None, *STATES])
        made.append(
            event(
                number,
                lamport=chance.randint(1, 6),
                writer=f"w00000000000{chance.randint(1, 3)}",
                entity_id=chance.choice(["WP01", "WP02"]),
                kind="annotation" if state is None else "transition",
                to_state=state or "planned",
                parent=None if parent is None else f"01J{parent:023d}",
                at=f"20{chance.randint(10, 40)}-01-01T00:00:00+00:00",
                **surroundings(chance),
            )
        )
    return made


@st.composite
def chains(draw: st.DrawFn) -> list[Event]:
    """Events of which each knows all before it, as one clone records them; in the order of their making."""
    latest: dict[str, Event] = {}
    made = []
    for number, seed in enumerate(draw(st.lists(st.integers(0, 2**32), max_size=12)), 1):
        chance = random.Random(seed)
        entity, state = chance.choice(["WP01", "WP02", "WP03"]), chance.choice([None, *STATES])
        before = latest.get(entity)
        latest[entity] = event(
            number,
            entity_id=entity,
            kind="annotation" if state is None else "transition",
            from_state=before.to_state if before else None,
            to_state=state or (before.to_state if before else ""),
            parent=before.event_id if before else None,
            **surroundings(chance),
        )
        made.append(latest[entity])
    return made


def surroundings(chance: random.Random) -> dict[str, Any]:
    """The fields of an event that gather over the life of an entity."""
    return {
        "evidence": {key: chance.randrange(9) for key in chance.choice(["", "a", "bc", "ac"])},
        "epoch": chance.choice([None, 0, 3, 5]),
        "force": chance.random() < 0.3,
        "trigger": chance.choice(["move", "claim"]),
    }


@given(logs(), st.integers(0, 2**32), st.integers(0, 3))
def test_the_order_of_arrival_and_repetition_do_not_matter(events: list[Event], seed: int, repeats: int) -> None:
    chance = random.Random(seed)
    expected = fold(events)
    arrived = events + [chance.choice(events) for _ in range(repeats) if events]
    chance.shuffle(arrived)
    assert fold(arrived) == expected
    assert list(fold(arrived).entities) == list(expected.entities)
    firsts = dict.fromkeys(e.entity_id for e in sorted(events, key=lambda e: e.order))
    assert [entity_id for _, entity_id in expected.entities] == list(firsts)


@given(logs())
def test_every_event_counts_or_is_superseded_and_named_once(events: list[Event]) -> None:
    folded = fold(events)
    superseded = [event_id for conflict in folded.conflicts for event_id in conflict.superseded]
    assert len(superseded) == len(set(superseded))
    counted = sum(sum(state.counts.values()) for state in folded.entities.values())
    assert counted + len(superseded) == folded.event_count == len(events)
    assert not {conflict.winner for conflict in folded.conflicts} & set(superseded)
    for conflict in folded.conflicts:
        assert conflict.loser in conflict.superseded
        assert conflict.winner > conflict.loser


@given(chains(), st.integers(0, 12))
def test_adding_in_parts_is_folding_at_once(events: list[Event], cut: int) -> None:
    view = LedgerView.of("r", "s", "old", fold(events[:cut]))
    followed = view.follow("new", events[cut:])
    assert followed is not None
    assert followed[0] == LedgerView.of("r", "s", "new", fold(events))
    assert list(followed[0].entities) == list(fold(events).entities)
    assert followed[1].keys() == {(e.entity_type, e.entity_id) for e in events[cut:]}


@given(chains())
def test_an_entity_is_what_its_events_made_of_it(events: list[Event]) -> None:
    folded = fold(events)
    assert folded.conflicts == ()
    for (_, entity_id), entity in folded.entities.items():
        own = [e for e in events if e.entity_id == entity_id]
        assert entity.state == own[-1].to_state
        assert entity.last_event._asdict().items() <= own[-1].model_dump().items()
        assert entity.facts == {key: value for e in own for key, value in e.evidence.items()}
        assert sum(entity.counts.values()) == len(own)
        assert entity.forced == sum(e.force for e in own)
        assert entity.epoch == max([0, *(e.epoch or 0 for e in own)])
    assert folded.lamport == max([0, *(e.lamport for e in events)])


def test_the_order_is_clock_then_writer_then_event() -> None:
    first = event(9, lamport=1, writer="w000000000002", at="2030-01-01T00:00:00+00:00")
    notes = [
        event(8, lamport=2, writer="w000000000001", at="2020-01-01T00:00:00+00:00"),
        event(3, lamport=2, writer="w000000000002", at="2010-01-01T00:00:00+00:00"),
        event(4, lamport=2, writer="w000000000002", at="2000-01-01T00:00:00+00:00"),
    ]
    notes = [e.model_copy(update={"kind": "annotation", "parent": first.event_id}) for e in notes]
    last = [only(fold([*reversed(notes[:count]), first])).last_event.event_id for count in range(len(notes) + 1)]
    assert last == [first.event_id, *(e.event_id for e in notes)]


def only(folded: Folded) -> EntityState:
    (state,) = folded.entities.values()
    return state


def test_an_event_that_comes_twice_counts_once_also_right_after_itself() -> None:
    assert fold([event(1), event(1)]) == fold([event(1)])
    assert fold([event(1), event(1)]).event_count == 1


# Conflicts


def test_of_two_transitions_from_one_parent_the_larger_id_counts_with_all_that_was_built_on_it() -> None:
    start = event(1)
    ours = event(5, lamport=2, writer="w000000000002", parent=start.event_id, to_state="claimed", actor="ann")
    ours_on = event(6, lamport=3, writer="w000000000002", parent=ours.event_id, to_state="in_progress")
    theirs = event(7, lamport=2, parent=start.event_id, to_state="claimed", actor="bob", trigger="claim")
    folded = fold([start, ours, ours_on, theirs])
    (conflict,) = folded.conflicts
    assert conflict._asdict() == {
        "entity_type": "work_package",
        "entity_id": "WP01",
        "winner": theirs.event_id,
        "winner_trigger": "claim",
        "winner_actor": "bob",
        "loser": ours.event_id,
        "loser_trigger": "move",
        "loser_actor": "ann",
        "loser_writer": "w000000000002",
        "at": ours.at,
        "superseded": (ours.event_id, ours_on.event_id),
    }
    assert (only(folded).state, only(folded).last_event.actor) == ("claimed", "bob")
    view = LedgerView.of("r", "s", "t", folded)
    assert view.superseded == {ours.event_id, ours_on.event_id}
    assert view.lamport == 3, "the clock has seen what is superseded too"


def test_a_lost_event_is_not_brought_back_by_what_was_built_on_it() -> None:
    """Neither by more events, nor by a larger id on the losing side."""
    start = event(1)
    loser = event(2, lamport=2, parent=start.event_id, to_state="claimed")
    on_loser = event(9, lamport=3, parent=loser.event_id, to_state="done")
    winner = event(3, lamport=2, writer="w000000000002", parent=start.event_id, to_state="blocked")
    folded = fold([start, loser, on_loser, winner])
    assert only(folded).state == "blocked"
    assert [c.superseded for c in folded.conflicts] == [(loser.event_id, on_loser.event_id)]


def test_three_at_once_are_two_conflicts_with_one_winner() -> None:
    start = event(1)
    three = [event(n, lamport=2, writer=f"w00000000000{n}", parent=start.event_id, to_state=f"s{n}") for n in (2, 3, 4)]
    folded = fold([start, *three])
    assert only(folded).state == "s4"
    assert [(c.winner, c.loser) for c in folded.conflicts] == [
        (three[2].event_id, three[1].event_id),
        (three[2].event_id, three[0].event_id),
    ]


def test_an_annotation_conflicts_with_nothing_and_is_kept() -> None:
    start = event(1)
    note = event(9, lamport=2, kind="annotation", trigger="note", parent=start.event_id, evidence={"seen": 1})
    move = event(2, lamport=2, writer="w000000000002", parent=start.event_id, to_state="claimed")
    folded = fold([start, note, move])
    assert folded.conflicts == ()
    assert (only(folded).state, only(folded).facts) == ("claimed", {"seen": 1})
    assert only(folded).counts == {"move": 2, "note": 1}


def test_an_annotation_of_what_lost_is_superseded_with_it() -> None:
    start = event(1)
    loser = event(2, lamport=2, parent=start.event_id, to_state="claimed")
    note = event(9, lamport=3, kind="annotation", trigger="note", parent=loser.event_id, evidence={"seen": 1})
    winner = event(3, lamport=2, writer="w000000000002", parent=start.event_id, to_state="blocked")
    folded = fold([start, loser, note, winner])
    assert [c.superseded for c in folded.conflicts] == [(loser.event_id, note.event_id)]
    assert only(folded).facts == {}


def test_what_was_made_after_an_annotation_of_another_clone_builds_on_the_state_that_it_saw() -> None:
    """The annotation sorts last, though it was made on an older state; it must not lead the next event back there."""
    start = event(1)
    move = event(2, lamport=2, parent=start.event_id, to_state="claimed")
    note = event(3, lamport=2, writer="w000000000009", kind="annotation", trigger="note", parent=start.event_id)
    seen = only(fold([start, move, note]))
    assert seen.state == "claimed"
    next_ = event(4, lamport=3, from_state="claimed", to_state="done", parent=seen.last_event.event_id)
    folded = fold([start, move, note, next_])
    assert folded.conflicts == ()
    assert only(folded).state == "done"


def test_an_event_whose_parent_was_lost_builds_on_the_transition_before_it() -> None:
    start, after = event(1), event(3, parent="01J00000000000000000000002", to_state="done")
    folded = fold([start, after])
    assert (folded.conflicts, only(folded).state) == ((), "done")


def test_facts_and_counts_gather_over_the_life_of_an_entity() -> None:
    state = evolve(None, [event(1, evidence={"digest": "a", "kept": 1})])
    state = evolve(state, [event(2, trigger="claim", to_state="claimed", epoch=3, evidence={"digest": "b"})])
    state = evolve(state, [event(3, trigger="release", to_state="planned", force=True, epoch=2)])
    state = evolve(state, [event(4, trigger="claim", to_state="claimed", machine="other")])
    assert (state.state, state.machine, state.epoch, state.forced) == ("claimed", "other", 3, 1)
    assert state.facts == {"digest": "b", "kept": 1}
    assert state.counts == {"move": 1, "claim": 2, "release": 1}


def test_entities_of_different_types_do_not_mix() -> None:
    events = [event(1, entity_id="X"), event(2, entity_id="X", entity_type="invocation", to_state="done")]
    view = LedgerView.of("r", "s", "t", fold(events))
    assert view.entity("work_package", "X") != view.entity("invocation", "X")
    assert list(view.of_type("invocation")) == ["X"]
    assert view.entity("merge", "X") is None


def test_a_view_cannot_be_changed() -> None:
    view = LedgerView.of("r", "s", "t", fold([event(1, evidence={"a": 1})]))
    state = view.entities["work_package", "WP01"]
    for mapping in (view.entities, state.facts, state.counts):
        with pytest.raises(TypeError):
            mapping["x"] = 1  # type: ignore[index]
