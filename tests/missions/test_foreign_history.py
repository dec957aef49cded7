"""The status log of a Spec Kitty mission: typed rows in the origin's order, or every damaged line at once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.errors import DefinitionError, UsageError
from kitty_flow.machines import machine
from kitty_flow.missions import foreign_history
from kitty_flow.missions.foreign_history import (
    MAX_LINE_BYTES,
    ForeignHistory,
    parse_history,
    read_history,
    read_recorded_lanes,
)

LANES = machine("work_package").state_names
FILE = Path("m/status.events.jsonl")


def row(number: int, to: str, at: str = "", **fields: Any) -> dict[str, Any]:
    """A lane row; `number` makes its event id and, when no time is given, its minute."""
    known = {"event_id": f"01E{number:023d}", "wp_id": "WP01", "from_lane": "planned", "to_lane": to}
    known |= {"at": at or f"2026-03-01T10:{number:02d}:00+00:00", "actor": "ada", "force": False, "reason": None}
    return known | fields


def log(rows: Iterable[dict[str, Any] | str]) -> bytes:
    return "\n".join(each if isinstance(each, str) else json.dumps(each) for each in rows).encode()


def read(*rows: dict[str, Any] | str) -> ForeignHistory:
    return parse_history(log(rows), FILE)


def problems(content: bytes) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionError) as caught:
        parse_history(content, FILE)
    assert caught.value.code == "INVALID_HISTORY"
    assert str(FILE) in caught.value.message and caught.value.hint
    return [(p["code"], p["where"].partition(":")[2]) for p in caught.value.details["problems"]]


def test_rows_are_ordered_by_time_then_id_and_the_first_of_an_id_counts() -> None:
    history = read(row(3, "for_review"), row(1, "claimed"), row(2, "in_progress"), row(1, "done", wp_id="WP02"))
    assert [r.to_lane for r in history.rows] == ["claimed", "in_progress", "for_review"]
    assert [r.line for r in history.rows] == [2, 3, 1]
    assert history.duplicates == ((f"01E{1:023d}", 4, 2),)
    assert history.lanes == {"WP01": "for_review"}


@pytest.mark.parametrize(
    ("from_lane", "fields", "winner"),
    [
        ("in_review", {}, "in_progress"),
        ("for_review", {"review_ref": "cycle-1"}, "in_progress"),
        ("for_review", {}, "approved"),
        ("claimed", {"review_ref": "cycle-1"}, "approved"),
    ],
)
def test_a_rollback_wins_against_a_forward_row_of_the_same_instant(
    from_lane: str, fields: dict[str, Any], winner: str
) -> None:
    at = "2026-03-01T10:00:00+00:00"
    back = row(1, "in_progress", at, from_lane=from_lane, **fields)
    assert read(back, row(2, "approved", at)).lanes == {"WP01": winner}
    assert read(back, row(2, "approved", "2026-03-01T10:00:00.1+00:00")).lanes == {"WP01": "approved"}


def test_aliases_places_before_the_first_row_and_actors() -> None:
    structured = {"tool": "codex", "role": "implementer", "profile": "x", "model": "y"}
    history = read(
        row(1, "planned", from_lane="genesis"),
        row(2, "doing", from_lane="uninitialized", actor=structured),
        row(3, "done", from_lane="doing", actor=None, evidence={"review": {"reviewer": "bo"}}, review_result=None),
    )
    assert [(r.from_lane, r.to_lane, r.actor) for r in history.rows] == [
        (None, "planned", "ada"),
        (None, "in_progress", "codex"),
        ("in_progress", "done", "unknown"),
    ]
    assert history.rows[1].details == {"actor": structured}
    assert history.rows[2].details == {"evidence": {"review": {"reviewer": "bo"}}}


def test_other_rows_are_told_apart_and_counted() -> None:
    note = {"event_id": "A1", "kind": "annotation", "wp_id": "WP01", "delta": {"note": "n"}}
    history = read(
        note,
        note,
        {"event_type": "MissionCreated", "event_id": "B1"},
        {"type": "WPCreated"},
        {"event_name": "DecisionPointOpened"},
        {"kind": "snapshot", "to_lane": "nowhere"},
        {"something": "else"},
        "",
        "\r",
    )
    assert (history.rows, history.annotations, history.lifecycle) == ((), 1, 3)
    assert history.duplicates == (("A1", 2, 1),)
    assert history.unknown_kinds == {"(none)": 1, "snapshot": 1}


def test_every_damaged_line_is_named_at_once() -> None:
    damaged = [
        (b"{", "INVALID_JSON"),
        (b'{"event_id": "a", "event_id": "b"}', "INVALID_JSON"),
        (b'{"kind": "annotation", "n": NaN}', "INVALID_JSON"),
        (b'{"kind": "annotation", "n": 1e999}', "INVALID_JSON"),
        (b"[]", "INVALID_JSON"),
        (b"\xff{}", "NOT_UTF8"),
        (b'"' + b"x" * MAX_LINE_BYTES + b'"', "LINE_TOO_LONG"),
        (b"[" * 30_000, "INVALID_JSON"),
        *((log([row(1, to)]), "UNKNOWN_LANE") for to in ("genesis", "uninitialized", "nowhere", "")),
        (log([row(1, "done", to_lane=["done"])]), "UNKNOWN_LANE"),
        (log([row(1, "done", from_lane="nowhere")]), "UNKNOWN_LANE"),
        (log([row(1, "done", from_lane=["genesis"])]), "UNKNOWN_LANE"),
        (log([row(1, "done", force=1)]), "INVALID_HISTORY_ROW"),
        (log([row(1, "done", at="yesterday")]), "INVALID_HISTORY_ROW"),
        (log([row(1, "done", wp_id="WP 01")]), "INVALID_HISTORY_ROW"),
        (log([row(1, "done", event_id=None)]), "INVALID_HISTORY_ROW"),
        (log([row(1, "done", actor=7)]), "INVALID_HISTORY_ROW"),
        (log([row(1, "done", reason=7)]), "INVALID_HISTORY_ROW"),
        (log([row(1, "done", evidence="x")]), "INVALID_HISTORY_ROW"),
    ]
    assert problems(b"\n".join(line for line, _ in damaged)) == [
        (code, str(number)) for number, (_, code) in enumerate(damaged, 1)
    ]


def test_a_log_with_too_many_rows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_history, "MAX_ROWS", 2)
    rows = [row(number, "claimed") for number in range(1, 4)]
    assert len(read(*rows[:2], "").rows) == 2
    assert problems(log(rows)) == [("TOO_MANY_ROWS", "3")]


def test_the_files_beside_the_mission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError) as missing:
        read_history(tmp_path)
    assert missing.value.code == "HISTORY_MISSING" and missing.value.hint
    assert read_recorded_lanes(tmp_path) is None
    (tmp_path / "status.events.jsonl").write_bytes(b"\xef\xbb\xbf" + log([row(1, "claimed")]) + b"\r\n")
    cards = {"WP01": {"lane": "doing"}, "WP02": {"lane": "uninitialized"}}
    (tmp_path / "status.json").write_text(json.dumps({"work_packages": cards}))
    for path in (tmp_path, tmp_path / "mission.toml"):
        assert read_history(path).lanes == {"WP01": "claimed"}
        assert read_recorded_lanes(path) == {"WP01": "in_progress", "WP02": "planned"}
    for text in ("[]", "{}", '{"work_packages": {"WP01": 1}}', '{"work_packages": {"WP01": {"lane": "x"}}}'):
        (tmp_path / "status.json").write_text(text)
        with pytest.raises(DefinitionError):
            read_recorded_lanes(tmp_path)
    monkeypatch.setattr(foreign_history, "MAX_HISTORY_BYTES", 10)
    with pytest.raises(DefinitionError, match="larger than 10 bytes"):
        read_history(tmp_path)


@pytest.mark.parametrize("name", ["status.events.jsonl", "status.json"])
def test_a_link_out_of_the_mission_is_not_followed(tmp_path: Path, name: str) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "other").write_text("{}")
    (tmp_path / "m" / name).symlink_to(tmp_path / "other")
    reader = read_history if name.endswith("l") else read_recorded_lanes
    with pytest.raises(DefinitionError) as caught:
        reader(tmp_path / "m")
    assert caught.value.code == "UNSAFE_PATH"


PIECES = (
    *("{", "}", "[", "]", ":", ",", '"', "\n", "\r\n", " ", "null", "true", "1e400", "9" * 5000, "NaN", '\\ud800"'),
    *('"event_id"', '"wp_id"', '"to_lane"', '"from_lane"', '"at"', '"force"', '"kind"', '"done"', '"annotation"'),
    *('"actor"', '{"tool": "x"}', '"2026-01-01T00:00:00Z"', '"\\u0000"', '"event_type"', "\x85", "\u2028", "\x00"),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([*LANES, "genesis", "doing"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
KEYS = st.sampled_from([*row(1, "done"), "kind", "type", "evidence", "review_ref", "review_result", "policy_metadata"])
CHANGED = st.builds(lambda changes: row(1, "done") | changes, st.dictionaries(KEYS, VALUES, max_size=3))


@given(
    st.binary(max_size=300)
    | st.lists(st.sampled_from(PIECES), max_size=40).map(lambda pieces: "".join(pieces).encode())
    | st.lists(CHANGED, max_size=4).map(log)
)
def test_any_bytes_are_a_history_or_a_typed_error(content: bytes) -> None:
    try:
        history = parse_history(content, FILE)
    except DefinitionError as error:
        assert error.code == "INVALID_HISTORY" and error.details["problem_count"] >= 1
        assert all(p["where"].startswith("status.events.jsonl:") for p in error.details["problems"])
    else:
        assert set(history.lanes.values()) <= set(LANES)


ROWS = st.lists(
    st.builds(
        lambda number, wp, a, b, second, ref: row(
            number, b, f"2026-03-01T10:00:0{second}Z", wp_id=f"WP0{wp}", from_lane=a, review_ref=ref
        ),
        st.integers(1, 30),
        st.integers(1, 3),
        st.sampled_from(LANES),
        st.sampled_from(LANES),
        st.integers(0, 3),
        st.sampled_from([None, "cycle-1"]),
    ),
    max_size=25,
    unique_by=lambda each: each["event_id"],
)


def reduced(rows: list[dict[str, Any]]) -> dict[str, str]:
    """The origin's rule as its description reads: later wins, but a forward row of the same instant does not undo."""

    def goes_back(each: dict[str, Any]) -> bool:
        pair = (each["from_lane"], each["to_lane"])
        return pair == ("in_review", "in_progress") or (
            pair == ("for_review", "in_progress") and each["review_ref"] is not None
        )

    current: dict[str, dict[str, Any]] = {}
    for each in sorted(rows, key=lambda r: (r["at"], r["event_id"])):
        held = current.get(each["wp_id"])
        if held and held["at"] == each["at"] and goes_back(held) and not goes_back(each):
            continue
        current[each["wp_id"]] = each
    return {name: each["to_lane"] for name, each in current.items()}


@given(ROWS, st.randoms(use_true_random=False))
def test_the_lanes_are_those_of_the_stepwise_rule_in_any_order_of_lines(
    rows: list[dict[str, Any]], random: Any
) -> None:
    expected = reduced(rows)
    random.shuffle(rows)
    assert read(*rows).lanes == expected
