"""What each event says in a line, and what the activity of a mission makes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kitty_flow.flow.activity import Activity, Usage
from kitty_flow.model.event import Event
from kitty_flow.views.event_line import event_line

ULID = "01JZ5N3C8RWE5P1YF0K6SHTAVD"


def event(entity: str, name: str, trigger: str, **more: Any) -> Event:
    values = {"kind": "annotation", "from_state": "running", "to_state": "running", "at": "2026-05-04T12:00:00+00:00"}
    values |= {"event_id": ULID, "schema": "1", "mission_id": ULID, "mission_slug": "sample", "machine": entity}
    values |= {"machine_digest": "x", "parent": None, "lamport": 1, "writer": "w", "actor": "ann"}
    return Event(**{**values, "entity_type": entity, "entity_id": name, "trigger": trigger, **more})


def moved(name: str, trigger: str, before: str, after: str, at: str, **more: Any) -> Event:
    kind = "invocation" if name.startswith("I") else "work_package"
    return event(kind, name, trigger, kind="transition", from_state=before, to_state=after, at=at, **more)


RETRY = event(
    "work_package",
    "WP01",
    "retry_scheduled",
    evidence={"not_before": "2026-05-04T12:01:00+00:00", "delay_s": 4.375, "failure_code": "AGENT_TIMEOUT"},
)
PARKED = event(
    "mission", ULID, "pool_parked", evidence={"pool": "a", "until": "2026-05-04T13:00:00", "reason": "limit\x1b[2J"}
)


def test_waits_are_told_and_bookkeeping_is_not() -> None:
    assert event_line(RETRY) == "12:00:00 WP01 is tried again in 4 s, after AGENT_TIMEOUT"
    assert event_line(PARKED) == "12:00:00 sample pool a is parked until 2026-05-04T13:00:00: limit [2J"
    gate = event("mission", ULID, "wave_gate", evidence={"wave_gate": {"wave": 2, "passed": False}})
    assert event_line(gate) == "12:00:00 sample gate after wave 2 is red"
    assert event_line(event("work_package", "WP01", "heartbeat")) is None
    assert event_line(event("invocation", "I1", "start")) is None
    forced = moved("WP01", "force", "blocked", "approved", "2026-05-04T12:00:00", force=True, reason="so it is\nnow")
    assert event_line(forced) == "12:00:00 WP01 blocked -> approved by force (ann): so it is.."
    long = moved("WP01", "request_changes", "in_review", "planned", "2026-05-04T12:00:00", reason="word " * 40)
    told = event_line(long)
    assert told is not None and told.endswith("word wor..") and len(told.partition("): ")[2]) <= 120


def test_a_retry_is_waited_for_until_the_next_claim_and_a_pool_until_its_time() -> None:
    activity = Activity()
    activity.follow([RETRY, PARKED])
    assert activity.retries["WP01"].not_before == datetime(2026, 5, 4, 12, 1, tzinfo=UTC)
    activity.follow([moved("WP01", "release", "in_progress", "planned", "2026-05-04T12:00:01+00:00")])
    assert "WP01" in activity.retries
    activity.follow([moved("WP01", "claim", "planned", "claimed", "2026-05-04T12:01:01+00:00")])
    assert activity.retries == {}
    assert activity.pools["a"].until == datetime(2026, 5, 4, 13, 0, tzinfo=UTC)


def test_usage_is_that_of_closed_invocations_whatever_they_wrote() -> None:
    activity = Activity()
    for number, facts in enumerate(
        (
            {"tokens": {"input": 10, "output": 2}, "cost_usd": 0.5},
            {"tokens": {"input": "many", "output": True}, "cost_usd": "free"},
            {"code": "AGENT_FAILED"},
        )
    ):
        name = f"I{number}"
        start = {"work_package_id": "WP01", "agent": "ann", "action": "implement", "epoch": 1}
        activity.follow([moved(name, "start", "new", "started", "2026-05-04T12:00:00+00:00", evidence=start)])
        assert [work.id for work in activity.running()] == [name]
        activity.follow([moved(name, "complete", "started", "done", "nonsense", evidence=facts)])
    assert activity.usage() == Usage(10, 2, 0.5, 1)
    assert activity.usage("WP02") == Usage()
    assert activity.works["I2"].ended_at is None


def test_a_run_without_an_end_is_one_that_was_killed_or_goes_on() -> None:
    activity = Activity()
    activity.follow([event("mission", ULID, "run_started", evidence={"run_id": "R1", "host": "h", "pid": 7})])
    activity.follow([event("mission", ULID, "run_started", evidence={"run_id": "R2", "host": "h", "pid": 8})])
    activity.follow([event("mission", ULID, "run_ended", evidence={"run_id": "R2", "outcome": "drain"})])
    assert {name: run.outcome for name, run in activity.runs.items()} == {"R1": None, "R2": "drain"}
