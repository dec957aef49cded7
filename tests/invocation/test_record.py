"""What the events of one invocation come to: a pure function of their set."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ulid import ULID

from kitty_flow.errors import LedgerError, RefusedError
from kitty_flow.invocation import MinimalViableTrailPolicy, tier_eligible
from kitty_flow.invocation.diagnostics import remark, taken
from kitty_flow.invocation.op_lines import OP_BYTES, decode_record, encode, fold_record
from kitty_flow.invocation.policy import refuse_evidence
from kitty_flow.invocation.record import (
    ArtifactLink,
    CommitLink,
    Completed,
    EvidencePromoted,
    InvocationRecord,
    RecordEvent,
    Started,
)
from kitty_flow.invocation.rows import plain_row
from kitty_flow.ledger.op_log import OPS_REF, op_path

ID = "01KTB49K8RWE5P1YF0K6SHTAVD"
MODES = ("advisory", "task_execution", "mission_step", "query")


def started(**more: Any) -> Started:
    given: dict[str, Any] = {
        "profile_id": "implementer",
        "action": "implement",
        "request_text": "mend it\nop(nobody): forged [00000000]",
        "governance_context_hash": "0123456789abcdef",
        "governance_context_available": True,
        "mode_of_work": "task_execution",
    }
    return Started(**_common(1, None), machine="invocation", machine_digest="d", **(given | more))


def completed(outcome: str, lamport: int = 2, parent: str | None = None) -> Completed:
    fields: dict[str, Any] = {"outcome": outcome, "closed_by": "agent"}
    return Completed(**_common(lamport, parent), machine="invocation", machine_digest="d", **fields)


def _common(lamport: int, parent: str | None) -> dict[str, Any]:
    return {
        "event_id": str(ULID()),
        "invocation_id": ID,
        "parent": parent,
        "lamport": lamport,
        "writer": "w000000000000",
        "at": "2026-01-30T16:05:00.000+00:00",
        "actor": "ann",
    }


def links() -> list[RecordEvent]:
    return [
        ArtifactLink(**_common(3, None), ref="report.md"),
        CommitLink(**_common(4, None), sha="a" * 40),
        EvidencePromoted(**_common(5, None), ref="evidence/x", sha256="b" * 64, size=3),
    ]


@given(outcomes=st.lists(st.sampled_from(("done", "failed", "abandoned")), max_size=3), seed=st.integers(0, 9999))
def test_the_order_of_lines_and_repeated_lines_make_no_difference(outcomes: list[str], seed: int) -> None:
    closings = [completed(outcome) for outcome in outcomes]
    events: list[RecordEvent] = [started(), *closings, *links()]
    record = fold_record(events, OPS_REF)
    shuffled = [*events, *random.Random(seed).sample(events, 2)]
    random.Random(seed).shuffle(shuffled)
    assert record is not None
    assert fold_record(shuffled, OPS_REF) == record
    assert record.completed == max(closings, key=lambda event: event.event_id, default=None)
    assert set(record.superseded) | ({record.completed} if record.completed else set()) == set(closings)
    # The quick reader of lists says the same as the one that checks every field.
    lines = b"".join(encode(event, "p", "a", {}).line for event in shuffled)
    assert decode_record(lines, "x") == record
    assert plain_row(lines, OPS_REF) == record.as_data()


def test_absent_mission_and_work_package_are_left_out() -> None:
    assert not {"mission_id", "wp_id"} & set(started().as_data())
    named = started(mission_id=ID, wp_id="WP01")
    assert {"mission_id", "wp_id"} <= set(named.as_data())
    record = InvocationRecord(log=OPS_REF, started=named)
    assert record.as_data()["wp_id"] == "WP01"
    with pytest.raises(AttributeError, match="log"):
        record.log = "elsewhere"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"schema": "kitty-flow/op/2", "event": "started"}\n', "UNKNOWN_EVENT_SCHEMA"),
        (b'{"event": "started"\n', "OP_DAMAGED"),
        (b"[]\n", "OP_DAMAGED"),
        (b'{"event": "forgotten"}\n', "OP_DAMAGED"),
        (b"[" * 100_000 + b"\n", "OP_DAMAGED"),
        (b"", "OP_DAMAGED"),
    ],
)
def test_a_start_that_cannot_be_read_is_named(line: bytes, code: str) -> None:
    assert plain_row(line, OPS_REF) is None
    with pytest.raises(LedgerError) as caught:
        decode_record(line, "kitty-ops/x.jsonl")
    assert caught.value.code == code


def test_a_damaged_line_hides_no_other() -> None:
    lines = encode(started(), "p", "a", {}).line + b"{torn\n" + encode(completed("done"), "p", "a", {}).line
    assert plain_row(lines, OPS_REF) is None
    assert decode_record(lines, "x").state == "done"


def test_a_message_has_one_line_that_begins_as_an_op() -> None:
    recorded = encode(started(), "imple\nop(x)", "implement\x1b[31m", {})
    lines = recorded.message.splitlines()
    assert lines[0] == f"op(imple op(x)): implement [31m [{ID[:8]}]"
    assert not [line for line in lines[1:] if line.startswith("op(")]


def test_what_is_too_large_or_no_text_is_refused() -> None:
    for text, code in (("x" * OP_BYTES, "REQUEST_TOO_LARGE"), ("\udcff", "REQUEST_NOT_TEXT")):
        with pytest.raises(RefusedError) as caught:
            encode(started(request_text=text), "p", "a", {})
        assert caught.value.code == code


def test_no_folder_of_the_log_holds_more_than_half_a_minute_of_ids() -> None:
    one, other = (str(ULID.from_timestamp(1_700_000_000.0 + s)) for s in (0, 40))
    assert op_path(one).rpartition("/")[0] != op_path(other).rpartition("/")[0]
    assert op_path(ID) == f"kitty-ops/01KT/B4/9/{ID}"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("action", ["implement", "plan", "accept"])
def test_tiers(mode: str, action: str) -> None:
    record = InvocationRecord(log=OPS_REF, started=started(mode_of_work=mode, action=action))
    may = mode in ("task_execution", "mission_step")
    assert tier_eligible(record) == (True, may, may and action != "implement")
    if not may:
        with pytest.raises(RefusedError, match=mode):
            refuse_evidence(record)


def test_the_policy_states_all_three_tiers() -> None:
    policy = MinimalViableTrailPolicy()
    names = [tier.name for tier in policy.tiers]
    assert names == ["every_invocation", "evidence_artifact", "durable_project_state"]
    assert [tier.mandatory for tier in policy.tiers] == [True, False, False]
    assert all(tier.description and tier.storage_path and tier.trigger for tier in policy.tiers)
    with pytest.raises(AttributeError):
        policy.tier_1 = policy.tier_2  # type: ignore[misc]


def test_a_remark_is_told_once_and_never_fatal() -> None:
    taken()
    for text in ("The hub  did not answer", "the hub did not answer "):
        remark("HUB_UNREACHABLE", text, sync_phase="deliver")
    remark("HUB_UNREACHABLE", "the hub did not answer", sync_phase="drain")
    said = [json.loads(each.model_dump_json()) for each in taken()]
    assert [(each["sync_phase"], each["fatal"]) for each in said] == [("deliver", False), ("drain", False)]
    assert {"severity", "diagnostic_code", "message", "fatal", "sync_phase"} <= set(said[0])
    remark("HUB_UNREACHABLE", "the hub did not answer", sync_phase="drain")
    assert taken() == ()
