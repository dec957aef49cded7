"""Foreign rows as drafts for the ledger: what is forced, why, by which trigger, with which epoch, and what is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.flow.foreign_replay import Replay, replay
from kitty_flow.ledger.ledger import Draft
from kitty_flow.ledger.segment import EVENT_BYTES
from kitty_flow.machines import FORCE, machine
from kitty_flow.missions.foreign_history import ForeignHistory
from kitty_flow.missions.foreign_row import LaneRow
from kitty_flow.model.mission import MissionDefinition, MissionSource, WorkPackage

MACHINE = machine("work_package")
STATES = MACHINE.state_names
MISSION = MissionDefinition(
    id=None,
    slug="m",
    title="m",
    target_branch="main",
    source=MissionSource(kind="spec-kitty", path="m"),
    work_packages=(
        WorkPackage(id="WP01", title="one", owned_files=("a/**",)),
        WorkPackage(id="WP02", title="two", owned_files=("b/**",), dependencies=("WP01",)),
        WorkPackage(id="WP03", title="three", owned_files=("a/x",)),
    ),
)


def row(line: int, wp: str, to: str, **fields: Any) -> LaneRow:
    known = {"from_lane": None, "at": "2026-03-01T10:00:00Z", "actor": "ada", "force": False, "reason": None}
    return LaneRow(
        **{"line": line, "event_id": f"E{line}", "wp_id": wp, "to_lane": to, "details": {}, **known, **fields}
    )


def made(*rows: LaneRow) -> Replay:
    return replay(ForeignHistory(b"log", rows), MISSION, "m/status.events.jsonl")


def steps(*path: str, wp: str = "WP01", **fields: Any) -> list[Draft]:
    return made(*(row(n, wp, to, from_lane="planned", **fields) for n, to in enumerate(path, 1))).drafts


def test_triggers_are_those_of_our_machine_and_only_what_is_established_is_not_forced() -> None:
    path = ("claimed", "in_progress", "for_review", "in_review", "in_progress", "for_review", "in_review", "approved")
    drafts = steps(*path, "planned", "claimed", "blocked", "claimed", "planned", "canceled", reason="because")
    assert [(d.trigger, d.force) for d in drafts] == [
        ("claim", False),
        ("start", True),
        ("submit", True),
        ("begin_review", True),
        ("request_changes", False),
        ("submit", True),
        ("begin_review", True),
        ("approve", True),
        ("reopen", False),
        ("claim", False),
        ("block", False),
        ("unblock", False),
        ("release", False),
        ("cancel", False),
    ]
    assert drafts[1].payload["not_established"] == ["workspace_ready"]
    assert drafts[3].payload["not_established"] == ["reviewer_is_not_implementer", "prompt_identity_matches"]
    assert all(d.payload["why_forced"] == (["NOT_ESTABLISHED"] if d.force else []) for d in drafts)
    assert drafts[2].reason == "because"
    assert steps("claimed", "planned")[1].force, "a release wants a reason"
    assert steps("blocked", "claimed", reason="r")[1].force, "an unblocked one goes back to where it came from"


def test_what_the_rows_before_show_decides_about_a_claim() -> None:
    done = [row(1, "WP01", "approved", reason="r"), row(2, "WP02", "claimed")]
    assert not made(*done).drafts[1].force
    assert made(row(1, "WP02", "claimed")).drafts[0].payload["not_established"] == ["dependencies_satisfied"]
    overlapping = made(row(1, "WP01", "claimed"), row(2, "WP03", "claimed")).drafts[1]
    assert overlapping.payload["not_established"] == ["no_active_ownership_conflict"]


@pytest.mark.parametrize("force", [True, False])
def test_edges_that_the_machine_does_not_have_and_rows_forced_at_their_source(force: bool) -> None:
    rows = [
        row(1, "WP01", "planned", from_lane="planned", force=force),
        row(2, "WP01", "done", from_lane="planned", force=force),
        row(3, "WP02", "canceled", from_lane="planned", force=force, reason="given up"),
    ]
    result = made(*rows)
    assert [(e["wp"], e["from"], e["to"], e["line"]) for e in result.illegal] == [
        ("WP01", "planned", "planned", 1),
        ("WP01", "planned", "done", 2),
    ]
    assert [d.trigger for d in result.drafts] == [FORCE, FORCE, "cancel"]
    assert [d.force for d in result.drafts] == [True, True, force]
    assert result.forced == 2 + force
    assert result.why_forced == {"NO_SUCH_EDGE": 2} | ({"FORCED_AT_SOURCE": 3} if force else {})
    assert all(d.reason for d in result.drafts)


def test_entering_the_log_is_a_remark_and_unknown_work_packages_are_only_counted() -> None:
    result = made(row(1, "WP01", "planned"), row(2, "WP09", "done"), row(3, "WP09", "done"))
    assert [(d.trigger, d.to_state, d.force) for d in result.drafts] == [("seed", None, False)]
    assert result.unknown == {"WP09": 2}
    assert result.mission_state == "planned"


def test_every_claim_raises_the_epoch_and_attempts_elsewhere_cost_none_here() -> None:
    drafts = steps(
        "claimed", "in_progress", "planned", "in_progress", "for_review", "in_progress", "planned", "claimed"
    )
    assert [d.epoch for d in drafts] == [1, 1, 1, 2, 2, 2, 2, 3]
    assert [d.evidence["attempts_before"] for d in drafts if d.trigger == "start"] == [1]


@pytest.mark.parametrize(
    ("last", "state"),
    [
        (("planned", "planned", "planned"), "planned"),
        (("planned", "blocked", "canceled"), "planned"),
        (("canceled", "canceled", "canceled"), "planned"),
        (("claimed", "planned", "planned"), "running"),
        (("done", "done", "planned"), "running"),
        (("done", "approved", "canceled"), "running"),
        (("done", "done", "canceled"), "merged"),
    ],
)
def test_where_the_mission_stands_afterwards(last: tuple[str, ...], state: str) -> None:
    assert made(*(row(n, f"WP0{n}", to) for n, to in enumerate(last, 1))).mission_state == state


def test_provenance_is_kept_and_what_is_too_large_stays_in_the_log() -> None:
    deep: Any = "x"
    for _ in range(40):
        deep = [deep]
    details = {"review_ref": "cycle-1", "evidence": {"text": "é" * 9000}, "policy_metadata": {"deep": deep}}
    draft = made(row(7, "WP01", "blocked", reason="r\u0000" * 5000, details=details, actor="a\x1bb" * 90)).drafts[0]
    foreign = draft.payload["foreign"]
    assert foreign["source"] == "m/status.events.jsonl" and len(foreign["sha256"]) == 64
    assert (foreign["event_id"], foreign["line"], foreign["from_lane"], foreign["force"]) == ("E7", 7, None, False)
    assert foreign["review_ref"] == "cycle-1"
    assert "attached log" in foreign["evidence"]["omitted"] and "attached log" in foreign["policy_metadata"]["omitted"]
    assert len(json.dumps([dict(draft.payload), dict(draft.evidence), draft.reason])) < EVENT_BYTES // 2
    assert "\x1b" not in draft.actor and len(draft.actor) == 128


ROWS = st.lists(
    st.builds(
        lambda wp, to, force, reason, actor: (wp, to, force, reason, actor),
        st.sampled_from(["WP01", "WP02", "WP03", "WP04"]),
        st.sampled_from(STATES),
        st.booleans(),
        st.sampled_from([None, "why"]),
        st.sampled_from(["ada", "bo"]),
    ),
    max_size=30,
)


@given(ROWS)
def test_any_history_is_a_chain_that_ends_in_its_lanes_and_is_legal_or_forced(rows: list[tuple[Any, ...]]) -> None:
    typed = [
        row(n, wp, to, from_lane="planned", force=force, reason=reason, actor=actor)
        for n, (wp, to, force, reason, actor) in enumerate(rows, 1)
    ]
    result = made(*typed)
    states = dict.fromkeys(("WP01", "WP02", "WP03"), "planned")
    epochs = dict.fromkeys(states, 0)
    for draft in result.drafts:
        assert draft.from_state == states[draft.entity_id]
        states[draft.entity_id] = str(draft.to_state)
        assert (draft.epoch or 0) >= epochs[draft.entity_id]
        epochs[draft.entity_id] = draft.epoch or 0
        edge = MACHINE.transition(draft.from_state, draft.trigger)
        assert (edge is None) == (draft.trigger == FORCE)
        assert edge is None or draft.to_state in edge.to_states
        assert draft.force or edge is not None
        assert draft.reason or not draft.force
    lanes = ForeignHistory(b"", tuple(typed)).lanes
    assert result.final == {**dict.fromkeys(states, "planned"), **{k: v for k, v in lanes.items() if k in states}}
    assert len(result.drafts) + result.unknown.total() == len(typed)
    assert result.forced == sum(d.force for d in result.drafts)
