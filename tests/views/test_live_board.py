"""A frame of the live board: it fits, it shows what matters, and text of others cannot break it."""

from __future__ import annotations

import string
from dataclasses import fields
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from kitty_flow.flow.activity import ParkedPool, Retry, Usage, Work
from kitty_flow.flow.board import Board, WorkPackageStatus
from kitty_flow.flow.live import Output, Row, Snapshot
from kitty_flow.flow.outlook import Eta
from kitty_flow.views.live_board import Line, frame

NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
STATES = ("planned", "claimed", "in_progress", "for_review", "in_review", "approved", "done", "blocked", "canceled")
TEXT = st.text(
    alphabet=st.one_of(st.sampled_from("ab 左の枠\u200d\ufe0f👩\x1b\x9b\n\r\t\u202e\u0301"), st.characters())
)


def row(number: int, state: str, *, wave: int = 1, text: str = "title", name: str | None = None, age: float = 3) -> Row:
    """A row whose card has what the board shows, and nothing else."""
    at_work = state in ("in_progress", "in_review")
    known = {"id": name or f"WP{number:02}", "title": text, "state": state, "wave": wave, "execution_lane": "lane-a"}
    known |= {"actor": text, "reason": text, "last_event_id": "", "epoch": 1, "attempt": 1, "force_count": 0}
    card = WorkPackageStatus(**{field: known.get(field) for field in WorkPackageStatus._fields})
    work = Work(f"I{number}", card.id, "implement", text or "ann", 1, "started", NOW) if at_work else None
    retry = Retry(NOW + timedelta(seconds=30), "AGENT_TIMEOUT") if state == "planned" and number % 3 == 0 else None
    return Row(card, state == "planned" and number % 2 == 0, work, 75.0, Output(1234, age) if at_work else None, retry)


def snapshot(rows: list[Row], *, title: str = "A mission", state: str = "running", reason: str = "quota") -> Snapshot:
    mission = {"id": "01", "slug": "sample", "title": title, "state": state, "target_branch": "trunk"}
    known = {"mission": mission, "work_packages": tuple(row.card for row in rows)}
    board = Board(**{field.name: known.get(field.name, ()) for field in fields(Board)})
    pools = (ParkedPool("anthropic", NOW + timedelta(minutes=5), reason),)
    usage = Usage(12_000, 345, 1.5)
    return Snapshot(board, tuple(rows), usage, pools, reason, NOW - timedelta(seconds=65), (), Eta(90, 130), NOW)


def text_of(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


@given(
    st.lists(st.tuples(st.sampled_from(STATES), TEXT, TEXT.filter(bool)), max_size=20),
    st.integers(20, 200),
    st.integers(4, 60),
    TEXT,
    st.booleans(),
)
def test_a_frame_fits_and_is_plain_text(
    cards: list[tuple[str, str, str]], width: int, height: int, title: str, ascii_only: bool
) -> None:
    rows = [row(n, state, wave=n // 3 + 1, text=text, name=name) for n, (state, text, name) in enumerate(cards)]
    lines = text_of(frame(snapshot(rows, title=title), width=width, height=height, ascii_only=ascii_only))
    assert len(lines) <= height
    for line in lines:
        assert cell_len(line) <= width
        assert all(character.isprintable() for character in line), repr(line)
        assert not set(line) & set("\u200b\u200d\ufe0f\u202e\x1b")


@given(st.permutations(range(60)), st.integers(60, 120), st.integers(20, 40))
def test_whoever_is_at_work_is_shown_however_many_there_are(order: list[int], width: int, height: int) -> None:
    states = {0: "in_progress", 1: "in_review", 2: "blocked", 3: "for_review", 4: "claimed"}
    rows = [row(place, states.get(number, "approved"), wave=place // 5 + 1) for place, number in enumerate(order)]
    shown = "\n".join(text_of(frame(snapshot(rows), width=width, height=height)))
    for each in rows:
        if each.card.state != "approved":
            assert each.card.id in shown
    assert "55 approved" in shown or sum(f"WP{n:02}" in shown for n in range(60)) > 5


def test_the_board_at_80_columns() -> None:
    rows = [
        row(1, "approved", text="The core types"),
        row(2, "in_progress", wave=2, text="The left one", age=190),
        row(4, "in_review", wave=2, text="The right one"),
        row(9, "planned", wave=3, text="The last one"),
    ]
    lines = [line.rstrip() for line in text_of(frame(snapshot(rows), width=79, height=23, ascii_only=True))]
    assert lines == [
        "A mission  sample  running  1:05",
        "##########--------------  45%  1 of 4 approved, 2 at work",
        "waves  1 + 2 >@ 3 .",
        "",
        " 1 + WP01  The core types  approved        1:15",
        " 2 > WP02  The left one    in_progress     1:15  quiet 3 min, The left one",
        "   @ WP04  The right one   in_review       1:15  1 KB, The right one",
        f" 3 . WP09  The last one    planned      again {_local(30)}: AGENT_TIMEOUT",
        "",
        "used 12,345 tokens, $1.50    left 90 s (p90 2 min)",
        f"pool anthropic is parked until {_local(300)}: quota",
        "quota",
    ]


def test_titles_have_the_width_that_is_there() -> None:
    title = "A title of work that has a lot to say, in sixty-two characters"
    rows = [row(1, "approved", text=title), row(2, "planned", text=title)]
    shown = {width: text_of(frame(snapshot(rows), width=width, height=23))[4] for width in (79, 99, 139)}
    assert title in shown[139] and "A title of work that has a lot to say, in" in shown[99]
    assert "A title of work that has" in shown[79]


def test_forty_columns_keep_what_matters() -> None:
    rows = [row(n, "approved", wave=n) for n in range(1, 20)] + [row(20, "in_progress", wave=20)]
    lines = text_of(frame(snapshot(rows), width=39, height=9))
    assert any("WP20" in line and "in_progress" in line and "1:15" in line for line in lines), lines
    assert all(cell_len(line) <= 39 for line in lines)


def test_without_colour_every_state_is_told_apart() -> None:
    """By its word, and by its symbol where states differ in what is to be done."""
    rows = [row(2 * n + 2, state) for n, state in enumerate(STATES)]
    for ascii_only in (True, False):
        lines = text_of(frame(snapshot(rows), width=100, height=40, ascii_only=ascii_only))
        table = [line for line in lines if "WP" in line]
        signs = {line[3] for line in table}
        assert len(signs) == 8  # claimed and in_progress share one
        assert all(cell_len(sign) == 1 for sign in signs)
        if ascii_only:
            assert signs <= set(string.punctuation + string.ascii_letters)


def _local(seconds: float) -> str:
    return f"{(NOW + timedelta(seconds=seconds)).astimezone():%H:%M:%S}"


def test_what_is_approved_and_has_not_landed_is_said_to_be() -> None:
    def bar(*states: str) -> str:
        rows = [row(number, state) for number, state in enumerate(states)]
        return text_of(frame(snapshot(rows, state="accepted"), width=80, height=24))[1]

    assert " 80% (not landed)  2 of 2 approved" in bar("approved", "approved")
    assert " 80% (not landed)  1 of 1 approved" in bar("approved", "canceled")
    assert "100%  2 of 2 approved" in bar("done", "done")
    assert "not landed" not in bar("approved", "for_review")
