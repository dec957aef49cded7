"""The plain checks of an event's fields say what pydantic says of the same declaration."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import declared_record as declared
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.invocation import record

ULID = "01KTB49K8RWE5P1YF0K6SHTAVD"
COMMON: dict[str, Any] = {
    "schema": record.OP_SCHEMA, "event_id": ULID, "invocation_id": ULID, "parent": None, "lamport": 1,
    "writer": "w000000000000", "at": "2026-01-30T16:05:00.000+00:00", "actor": "ann",
}  # fmt: skip
MACHINE = {"machine": "invocation", "machine_digest": "d"}
SOUND: list[dict[str, Any]] = [
    COMMON | MACHINE | {
        "event": "started", "profile_id": "p", "action": "implement", "request_text": "", "mode_of_work": "query",
        "governance_context_hash": "", "governance_context_available": False,
    },
    COMMON | MACHINE | {"event": "completed", "outcome": "done", "closed_by": "agent"},
    COMMON | {"event": "artifact_link", "ref": "a"},
    COMMON | {"event": "commit_link", "sha": "a" * 40},
    COMMON | {"event": "evidence_promoted", "ref": "a", "sha256": "b" * 64, "size": 0},
]  # fmt: skip
VALUES = [
    "", "x", "done", "agent", "query", "advisory", "started", "completed", "artifact_link", "a" * 40, "a" * 64,
    "a" * 65, "a" * 40 + "\n", "A" * 40, ULID, ULID.lower(), ULID + "0", "8" + ULID[1:], 0, 1, -1, 2**70, 1.0, True,
    False, None, [], {}, ["x"], {"x": 1},
]  # fmt: skip
NAMES = sorted({name for kind in get_args(declared.RecordEvent) for name in kind.model_fields} | {"more", "unknown"})


LEFT_OUT = ("mission_id", "wp_id", "summary", "reason", "evidence_ref")


def told(parse: Any, data: object) -> dict[str, Any] | None:
    try:
        event = parse(data)
    except ValueError:
        return None
    return event.model_dump(by_alias=True) if hasattr(event, "model_dump") else event.as_data()


def same(data: object) -> bool:
    theirs, ours = told(declared.parse_event, data), told(record.parse_event, data)
    if theirs is None or ours is None:
        return theirs is ours
    return _present(ours) == _present(theirs)


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None or name not in LEFT_OUT}


@pytest.mark.parametrize("data", SOUND, ids=lambda data: data["event"])
def test_every_value_of_every_field_gets_the_same_answer(data: dict[str, Any]) -> None:
    assert told(record.parse_event, data) is not None
    for name in (*NAMES, "schema"):
        assert same({key: value for key, value in data.items() if key != name}), name
        for value in VALUES:
            assert same(data | {name: value}), (name, value)


@given(base=st.sampled_from(SOUND), changes=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES)))
def test_several_changes_at_once_get_the_same_answer(base: dict[str, Any], changes: dict[str, Any]) -> None:
    assert same(base | changes)


@pytest.mark.parametrize("data", [None, [], "started", {}, {"event": "started"}, {"event": ["started"]}, COMMON])
def test_what_is_no_event_is_refused(data: object) -> None:
    assert told(record.parse_event, data) is None
    assert same(data)


def test_the_fields_are_those_of_the_declaration_and_each_has_a_rule() -> None:
    for ours, theirs in zip(get_args(record.RecordEvent), get_args(declared.RecordEvent), strict=True):
        names = [each.name for each in dataclasses.fields(ours)]
        assert set(names) == {*theirs.model_fields, "unknown"}
        common = record.Started.__mro__[1].rules  # type: ignore[attr-defined]
        assert set(names) - {"event", "unknown"} == {*common, *ours.rules}
        needed = {each.name for each in dataclasses.fields(ours) if each.init and each.default is dataclasses.MISSING}
        assert needed - {"unknown"} == {name for name, field in theirs.model_fields.items() if field.is_required()}


def test_what_is_built_is_checked_like_what_is_read() -> None:
    fields = {key: value for key, value in SOUND[3].items() if key not in ("event", "schema")}
    assert record.CommitLink(**fields).as_data() == SOUND[3]
    with pytest.raises(ValueError, match="lamport must be a whole number from 1, not 0"):
        record.CommitLink(**fields | {"lamport": 0})
