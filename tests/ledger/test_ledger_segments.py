"""Segments: when they roll, what a line may be, and that nothing of an event is lost in one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow import EVENT_SCHEMA
from kitty_flow.errors import LedgerError
from kitty_flow.ledger import segment
from kitty_flow.ledger.ledger import Ledger, Receipt
from kitty_flow.ledger.segment import (
    EVENT_BYTES,
    decode_lines,
    encode_event,
    last_segment_name,
    next_segment_name,
    segment_folder,
)
from kitty_flow.model.event import Event

RunGit = Callable[..., str]
Record = Callable[..., Receipt]

MINIMAL: dict[str, Any] = {
    "event_id": "01J0000000000000000000000B",
    "schema": EVENT_SCHEMA,
    "kind": "annotation",
    "mission_id": "01J0000000000000000000000A",
    "mission_slug": "sample",
    "entity_type": "work_package",
    "entity_id": "WP01",
    "machine": "work_package",
    "machine_digest": "sha256:0",
    "trigger": "note",
    "from_state": "planned",
    "to_state": "planned",
    "parent": None,
    "lamport": 1,
    "writer": "w000000000000",
    "at": "2026-03-01T12:00:00.000+00:00",
    "actor": "ann",
}


def event(**more: Any) -> Event:
    return Event.model_validate(MINIMAL | more)


# Rolling


def segments(repo: Path, ledger: Ledger, git: RunGit) -> dict[str, int]:
    """Number of events in each segment of this clone; each lies in the folder that its number says."""
    top = f"{ledger.ref}:log/{ledger.store.writer}"
    found = {}
    for path in git(repo, "ls-tree", "-r", "--name-only", top).split():
        folder, _, name = path.partition("/")
        assert folder == segment_folder(name)
        found[name] = len(git(repo, "cat-file", "blob", f"{top}/{path}").splitlines())
    return found


def test_a_segment_rolls_at_64_events(repo: Path, ledger: Ledger, record: Record, git: RunGit) -> None:
    assert record(ledger, notes=63).paths == (f"log/{ledger.store.writer}/00000/2026-03-01-00001.jsonl",)
    record(ledger, notes=1)
    assert segments(repo, ledger, git) == {"2026-03-01-00001.jsonl": 64}
    record(ledger, notes=1)
    assert segments(repo, ledger, git) == {"2026-03-01-00001.jsonl": 64, "2026-03-01-00002.jsonl": 1}


def test_a_batch_may_fill_several_segments(
    repo: Path, ledger: Ledger, record: Record, git: RunGit, open_ledger: Any
) -> None:
    record(ledger, notes=60)
    receipt = record(ledger, notes=200)
    assert len(receipt.paths) == 5
    assert list(segments(repo, ledger, git).values()) == [64, 64, 64, 64, 4]
    assert [e.lamport for e in open_ledger(repo).events()] == list(range(1, 261))
    assert git(repo, "rev-list", "--count", ledger.ref) == "2"


def test_a_segment_rolls_at_a_new_day(repo: Path, ledger: Ledger, record: Record, git: RunGit, clock: Any) -> None:
    record(ledger, notes=2)
    clock.move(hours=11, minutes=59)
    record(ledger, notes=1)
    clock.move(minutes=1)
    record(ledger, notes=1)
    assert segments(repo, ledger, git) == {"2026-03-01-00001.jsonl": 3, "2026-03-02-00002.jsonl": 1}


def test_a_clock_that_goes_back_a_day_rolls_once(
    repo: Path, ledger: Ledger, record: Record, git: RunGit, clock: Any
) -> None:
    record(ledger, notes=1)
    clock.move(days=-1)
    for _ in range(3):
        record(ledger, notes=1)
    assert segments(repo, ledger, git) == {"2026-02-28-00002.jsonl": 3, "2026-03-01-00001.jsonl": 1}


def test_full_segments_are_never_written_again(repo: Path, ledger: Ledger, record: Record, git: RunGit) -> None:
    first = record(ledger, notes=64)
    oid = git(repo, "rev-parse", f"{first.commit}:{first.paths[0]}")
    later = record(ledger, notes=70)
    assert git(repo, "rev-parse", f"{later.commit}:{first.paths[0]}") == oid


@pytest.mark.parametrize(("number", "folder"), [(1, "00000"), (63, "00000"), (64, "00001"), (6400, "00100")])
def test_a_folder_holds_64_segments(number: int, folder: str) -> None:
    assert segment_folder(f"2026-03-01-{number:05d}.jsonl") == folder


def test_a_new_folder_is_begun_and_a_full_one_never_touched_again(
    repo: Path, ledger: Ledger, record: Record, git: RunGit, monkeypatch: pytest.MonkeyPatch, open_ledger: Any
) -> None:
    monkeypatch.setattr(segment, "FOLDER_SEGMENTS", 2)
    top = f"log/{ledger.store.writer}"
    first = record(ledger, notes=200)
    assert [path.removeprefix(top) for path in first.paths] == [
        "/00000/2026-03-01-00001.jsonl",
        "/00001/2026-03-01-00002.jsonl",
        "/00001/2026-03-01-00003.jsonl",
        "/00002/2026-03-01-00004.jsonl",
    ]
    later = record(open_ledger(repo), notes=70)
    assert [path.removeprefix(top) for path in later.paths] == [
        "/00002/2026-03-01-00004.jsonl",
        "/00002/2026-03-01-00005.jsonl",
    ]
    for folder in ("00000", "00001"):
        before, after = (git(repo, "rev-parse", f"{made.commit}:{top}/{folder}") for made in (first, later))
        assert before == after
    assert [e.lamport for e in open_ledger(repo).events()] == list(range(1, 271))


@pytest.mark.parametrize(
    ("existing", "last", "following"),
    [
        ([], "", "2026-03-01-00001.jsonl"),
        (["2026-03-02-00001.jsonl", "2026-02-28-00002.jsonl"], "2026-02-28-00002.jsonl", "2026-03-01-00003.jsonl"),
        (["2026-03-01-99999.jsonl"], "2026-03-01-99999.jsonl", "2026-03-01-100000.jsonl"),
        (["2026-03-01-99999.jsonl", "2026-03-01-100000.jsonl"], "2026-03-01-100000.jsonl", "2026-03-01-100001.jsonl"),
        (["zz-foreign.txt", "2026-03-01-00004.jsonl"], "2026-03-01-00004.jsonl", "2026-03-01-00005.jsonl"),
    ],
)
def test_names_follow_the_number_and_never_come_twice(existing: list[str], last: str, following: str) -> None:
    assert last_segment_name(existing) == last
    assert next_segment_name(existing, "2026-03-01") == following
    assert following not in existing


# Strict JSON

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=30)


@given(
    evidence=st.dictionaries(TEXT, JSON, max_size=4),
    extra=st.dictionaries(st.from_regex(r"x_[a-z]{1,6}", fullmatch=True), JSON, max_size=3),
    reason=st.none() | TEXT,
    actor=TEXT,
)
def test_every_event_round_trips_with_fields_that_nobody_knows(
    evidence: dict[str, Any], extra: dict[str, Any], reason: str | None, actor: str
) -> None:
    meant = event(evidence=evidence, reason=reason, actor=actor, **extra)
    line = encode_event(meant)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    (found,), damage = decode_lines(line, "x.jsonl")
    assert damage == []
    assert found == meant
    assert encode_event(found) == line, "the same event is the same line in every clone"


def test_several_lines_keep_their_order() -> None:
    meant = [event(lamport=number, reason="line\u2028break\r\n") for number in (3, 1, 2)]
    lines = [encode_event(e) for e in meant]
    assert decode_lines(b"".join(lines), "x.jsonl") == (meant, [])
    assert decode_lines(b"".join(lines), "x.jsonl", {lines[1].rstrip(b"\n")}) == ([meant[0], meant[2]], [])
    assert decode_lines(b"", "x.jsonl") == ([], [])


def test_the_limit_is_64_kilobytes_of_the_line() -> None:
    room = EVENT_BYTES - len(encode_event(event(reason="")))
    assert len(encode_event(event(reason="x" * room))) == 64 * 1024
    for reason in ("x" * (room + 1), "ü" * (room // 2 + 1)):
        with pytest.raises(LedgerError) as refused:
            encode_event(event(reason=reason))
        assert refused.value.code == "EVENT_TOO_LARGE"
        assert "65536" in refused.value.message


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), {1, 2}, b"bytes", "\udc80", Path("x")])
def test_what_json_cannot_say_is_not_written(value: Any) -> None:
    with pytest.raises(LedgerError) as refused:
        encode_event(event(payload={"deep": [value]}))
    assert refused.value.code == "EVENT_INVALID"


GOOD = json.dumps(MINIMAL)
WRONG_VALUES: list[tuple[str, Any]] = [
    ("schema", None),
    ("schema", 1),
    ("lamport", 0),
    ("lamport", "1"),
    ("lamport", True),
    ("force", "yes"),
    ("kind", "rumour"),
    ("entity_type", "planet"),
    ("event_id", "x"),
    ("mission_id", "../../etc"),
    ("evidence", []),
    ("to_state", None),
]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(GOOD[:-1] + ', "payload": {"x": NaN}}', id="NaN"),
        pytest.param(GOOD[:-1] + ', "payload": {"x": -Infinity}}', id="infinity"),
        pytest.param(GOOD[:-1] + ', "payload": {"x": 1e999}}', id="number beyond floats"),
        pytest.param(GOOD[:-1] + ', "actor": "eve"}', id="duplicate key"),
        pytest.param(GOOD[:-1] + ', "payload": {"x": {"y": 1, "y": 1}}}', id="duplicate key inside"),
        pytest.param(GOOD[:-1] + ', "payload": {"x": ' + "9" * 5000 + "}}", id="endless number"),
        pytest.param(GOOD[:-1] + ', "payload": {"x": ' + "[" * 30_000 + "]" * 30_000 + "}}", id="too deep"),
        pytest.param(GOOD[:-1] + ', "reason": "' + "x" * 65_536 + '"}', id="too long"),
        pytest.param(GOOD[:-1] + ', "reason": "' + "x" * 10_000_000 + '"}', id="10 MB"),
        pytest.param(GOOD[:-7], id="cut off"),
        pytest.param(GOOD + GOOD, id="two on a line"),
        pytest.param("[]", id="no object"),
        pytest.param("null", id="null"),
        pytest.param("{}", id="nothing in it"),
        *(pytest.param(json.dumps({**MINIMAL, name: value}), id=f"{name} {value}") for name, value in WRONG_VALUES),
    ],
)
def test_a_line_that_is_no_event_is_damage_and_hides_no_other(line: str) -> None:
    other = event(event_id="01J0000000000000000000000C")
    content = f"{GOOD}\n{line}\n".encode() + encode_event(other)
    found, ((where, why),) = decode_lines(content, "log/w/s.jsonl")
    assert found == [event(), other]
    assert where == "log/w/s.jsonl:2"
    assert why
    assert "\n" not in why
    assert len(why) <= 200


def test_bytes_that_are_no_text_are_damage() -> None:
    found, ((where, _),) = decode_lines(b"\xff\xfe\x00\n", "s.jsonl")
    assert (found, where) == ([], "s.jsonl:1")


def test_a_schema_that_nobody_knows_yet_is_refused() -> None:
    with pytest.raises(LedgerError) as refused:
        decode_lines(json.dumps({"schema": "kitty-flow/event/99"}).encode(), "s.jsonl")
    assert refused.value.code == "UNKNOWN_EVENT_SCHEMA"
    assert "kitty-flow/event/99" in refused.value.message
