"""State is a fold over events in the order of their clocks; nothing else has a say."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow import EVENT_SCHEMA
from kitty_flow.ledger.view import evolve, fold
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
    """Events of up to three writers, whose Lamport clocks may be equal and whose wall clocks say anything."""
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(1, 6),
                st.sampled_from(["w000000000001", "w000000000002", "w000000000003"]),
                st.sampled_from(["WP01", "WP02"]),
                st.sampled_from(STATES),
                st.datetimes(),
                st.dictionaries(st.sampled_from("abc"), st.integers(), max_size=2),
                st.none() | st.integers(0, 5),
                st.booleans(),
            ),
            max_size=12,
        )
    )
    return [
        event(
            number,
            lamport=lamport,
            writer=writer,
            entity_id=entity,
            to_state=state,
            at=at.isoformat(),
            evidence=evidence,
            epoch=epoch,
            force=force,
        )
        for number, (lamport, writer, entity, state, at, evidence, epoch, force) in enumerate(rows, 1)
    ]


@given(logs(), st.randoms(use_true_random=False), st.integers(0, 3))
def test_the_order_of_arrival_and_repetition_do_not_matter(
    events: list[Event], chance: random.Random, repeats: int
) -> None:
    expected = fold("r", "t", events)
    arrived = events + [chance.choice(events) for _ in range(repeats) if events]
    chance.shuffle(arrived)
    assert fold("r", "t", arrived) == expected
    assert list(fold("r", "t", arrived).entities) == list(expected.entities)
    assert [e.order for e in expected.events] == sorted(e.order for e in events)


@given(logs(), st.data())
def test_adding_in_parts_is_folding_at_once(events: list[Event], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(events)))
    again = data.draw(st.integers(0, cut))
    view = fold("r", "old", events[:cut]).with_events("new", events[again:])
    assert view == fold("r", "new", events)


@given(logs())
def test_an_entity_is_what_its_events_made_of_it(events: list[Event]) -> None:
    view = fold("r", "t", events)
    for entity_id, entity in view.of_type("work_package").items():
        own = [e for e in view.events if e.entity_id == entity_id]
        assert entity.state == own[-1].to_state
        assert entity.last_event == own[-1]
        assert entity.facts == {key: value for e in own for key, value in e.evidence.items()}
        assert sum(entity.counts.values()) == len(own)
        assert entity.forced == sum(e.force for e in own)
        assert entity.epoch == max([0, *(e.epoch or 0 for e in own)])
    assert view.lamport == max([0, *(e.lamport for e in events)])


def test_the_order_is_clock_then_writer_then_event() -> None:
    first = event(9, lamport=1, writer="w000000000002", at="2030-01-01T00:00:00+00:00")
    second = event(8, lamport=2, writer="w000000000001", at="2020-01-01T00:00:00+00:00")
    third = event(3, lamport=2, writer="w000000000002", at="2010-01-01T00:00:00+00:00")
    fourth = event(4, lamport=2, writer="w000000000002", at="2000-01-01T00:00:00+00:00")
    assert fold("r", "t", [fourth, third, second, first]).events == (first, second, third, fourth)


def test_an_event_that_comes_twice_counts_once_also_right_after_itself() -> None:
    view = fold("r", "t", [event(1)])
    assert view.with_events("t", [event(1)]) == view


def test_facts_and_counts_gather_over_the_life_of_an_entity() -> None:
    state = evolve(None, event(1, evidence={"digest": "a", "kept": 1}))
    state = evolve(state, event(2, trigger="claim", to_state="claimed", epoch=3, evidence={"digest": "b"}))
    state = evolve(state, event(3, trigger="release", to_state="planned", force=True, epoch=2))
    state = evolve(state, event(4, trigger="claim", to_state="claimed", machine="other"))
    assert (state.state, state.machine, state.epoch, state.forced) == ("claimed", "other", 3, 1)
    assert state.facts == {"digest": "b", "kept": 1}
    assert state.counts == {"move": 1, "claim": 2, "release": 1}


def test_entities_of_different_types_do_not_mix() -> None:
    view = fold("r", "t", [event(1, entity_id="X"), event(2, entity_id="X", entity_type="invocation", to_state="done")])
    assert view.entity("work_package", "X") != view.entity("invocation", "X")
    assert list(view.of_type("invocation")) == ["X"]
    assert view.entity("merge", "X") is None


def test_a_view_cannot_be_changed() -> None:
    view = fold("r", "t", [event(1, evidence={"a": 1})])
    state = view.entities["work_package", "WP01"]
    for mapping in (view.entities, state.facts, state.counts):
        with pytest.raises(TypeError):
            mapping["x"] = 1  # type: ignore[index]
