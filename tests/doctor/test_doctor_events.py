"""Whatever a machine allows to be recorded is sound; a log that was tampered with is not."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from kitty_flow import EVENT_SCHEMA
from kitty_flow.flow.doctor.events import check_chains, check_clocks, check_machines, check_origin
from kitty_flow.flow.doctor.finding import DoctorFinding
from kitty_flow.ledger.ledger import new_ulid
from kitty_flow.machines import machine, next_states
from kitty_flow.model.event import Event

MISSION = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
WORK_PACKAGE = machine("work_package")
MACHINES = {"work_package": WORK_PACKAGE}


@st.composite
def logs(draw: st.DrawFn, *, at_least: int = 1) -> tuple[Event, ...]:
    """A log as kitty-flow writes it: a few work packages, each on a random walk through its machine."""
    events: list[Event] = []
    last: dict[str, Event] = {}
    for lamport in range(1, draw(st.integers(at_least, 25)) + 1):
        entity = draw(st.sampled_from(["WP01", "WP02", "WP03"]))
        before = last.get(entity)
        steps = next_states(WORK_PACKAGE, before.to_state if before else None)
        trigger, target = draw(st.sampled_from(steps)) if steps else ("force", "planned")
        event = Event(
            event_id=new_ulid(),
            schema=EVENT_SCHEMA,
            kind="transition",
            mission_id=MISSION,
            mission_slug="shop",
            entity_type="work_package",
            entity_id=entity,
            machine="work_package",
            machine_digest=WORK_PACKAGE.digest,
            trigger=trigger,
            from_state=before.to_state if before else None,
            to_state=target,
            parent=before.event_id if before else None,
            lamport=lamport,
            writer="w000000000000",
            at="2024-01-01T00:00:00+00:00",
            actor="mia",
            force=trigger == "force",
        )
        events.append(event)
        last[entity] = event
    return tuple(events)


def _check(events: Sequence[Event], cut: int = 0) -> list[DoctorFinding]:
    segments = [events[:cut], events[cut:]]
    return [
        *check_origin("shop", MISSION, events),
        *check_clocks("shop", segments),
        *check_chains("shop", events),
        *check_machines("shop", events, MACHINES),
    ]


@given(logs(), st.integers(0, 25), st.booleans())
def test_a_log_that_the_machines_allow_is_sound_however_it_is_cut_into_segments(
    events: tuple[Event, ...], cut: int, turned: bool
) -> None:
    assert _check(events, cut) == []
    segments = [events[:cut], events[cut:]]
    assert list(check_clocks("shop", segments[::-1] if turned else segments)) == []


@given(logs(at_least=4), st.data())
def test_an_event_that_was_taken_out_is_missed_by_the_next_one(events: tuple[Event, ...], data: st.DataObject) -> None:
    parents = {event.parent for event in events}
    lost = data.draw(st.sampled_from([e for e in events if e.event_id in parents] or [events[0]]))
    found = _check([e for e in events if e is not lost])
    followed = lost.event_id in parents
    assert any("whose parent is not in the ledger" in f.message for f in found) is followed


@given(logs(at_least=2), st.data())
def test_a_clock_that_does_not_rise_is_a_problem(events: tuple[Event, ...], data: st.DataObject) -> None:
    place = data.draw(st.integers(1, len(events) - 1))
    lamport = data.draw(st.integers(1, events[place - 1].lamport))
    changed = list(events)
    changed[place] = events[place].model_copy(update={"lamport": lamport})
    (found,) = check_clocks("shop", [changed])
    assert found.status == ("warning" if lamport == events[place - 1].lamport else "problem")


@given(logs(), st.data())
def test_a_state_that_was_changed_afterwards_is_noticed(events: tuple[Event, ...], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(events) - 1))
    event = events[place]
    other = data.draw(st.sampled_from([s for s in (*WORK_PACKAGE.state_names, None) if s != event.from_state]))
    changed = list(events)
    changed[place] = event.model_copy(update={"from_state": other})
    assert any("do not start from the state" in f.message for f in _check(changed))


@given(logs())
def test_an_event_recorded_twice_with_another_content_is_a_problem(events: tuple[Event, ...]) -> None:
    twin = events[0].model_copy(update={"actor": "somebody else"})
    assert [f.status for f in check_origin("shop", MISSION, [*events, twin])] == ["problem"]
    assert list(check_origin("shop", MISSION, [*events, events[0]])) == []
    assert [f.status for f in check_origin("shop", new_ulid(), events)] == ["problem"]


@given(logs())
def test_two_events_with_the_same_parent_are_a_conflict_and_no_fault(events: tuple[Event, ...]) -> None:
    rival = events[-1].model_copy(update={"event_id": new_ulid(), "writer": "w111111111111"})
    assert list(check_chains("shop", [*events, rival])) == []


@given(logs())
def test_a_machine_that_is_not_here_is_a_warning(events: tuple[Event, ...]) -> None:
    found = list(check_machines("shop", events, {}))
    assert [f.status for f in found] == ["warning"]
    assert f"{len(events)} event(s)" in found[0].message


def test_an_annotation_that_moves_its_entity_is_a_problem() -> None:
    event = Event(
        event_id=new_ulid(),
        schema=EVENT_SCHEMA,
        kind="annotation",
        mission_id=MISSION,
        mission_slug="shop",
        entity_type="work_package",
        entity_id="WP01",
        machine="work_package",
        machine_digest=WORK_PACKAGE.digest,
        trigger="note",
        from_state=None,
        to_state="done",
        parent=None,
        lamport=1,
        writer="w000000000000",
        at="2024-01-01T00:00:00+00:00",
        actor="mia",
    )
    assert [f.status for f in check_chains("shop", [event])] == ["problem"]
    assert list(check_chains("shop", [event.model_copy(update={"to_state": ""})])) == []
