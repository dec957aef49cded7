"""Quota messages: what the real tools print is recognised, with its time; what a model quotes is not."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.agents.quota import quota_hit
from kitty_flow.agents.quota_time import reset_time

PRINTED = Path(__file__).parent / "printed"
NOW = datetime(2026, 11, 24, 12, 15, tzinfo=UTC)


def end_of(name: str) -> str:
    return (PRINTED / f"{name}.log").read_bytes()[-4096:].decode("utf-8", errors="replace")


@pytest.mark.parametrize("name", ["aider", "claude", "codex", "copilot", "gemini", "opencode", "pi"])
def test_what_the_real_tools_print_when_the_quota_is_used_up(name: str) -> None:
    hit = quota_hit(name, end_of(f"{name}-quota"), NOW, UTC)
    assert hit is not None
    assert "quota" in hit.reason or "limit" in hit.reason
    assert hit.resets_at == (datetime(2026, 11, 24, 14, 15, tzinfo=UTC) if name == "codex" else None)


@pytest.mark.parametrize("name", ["aider", "claude", "codex", "copilot", "gemini", "kilo", "opencode", "pi", "qwen"])
def test_what_they_print_when_they_work_is_none(name: str) -> None:
    assert quota_hit(name, end_of(name), NOW, UTC) is None


_LIMIT = "You've hit your usage limit. Try again in 2 hours."


@pytest.mark.parametrize(
    ("preset", "tail"),
    [
        ("claude", json.dumps({"type": "assistant", "message": {"content": [{"type": "text", "text": _LIMIT}]}})),
        ("claude", json.dumps({"type": "user", "message": {"content": [{"type": "tool_result", "content": _LIMIT}]}})),
        ("claude", json.dumps({"type": "result", "is_error": False, "result": _LIMIT})),
        ("codex", json.dumps({"type": "item.completed", "item": {"type": "agent_message", "text": _LIMIT}})),
        ("codex", json.dumps({"type": "error", "message": _LIMIT}) + "\n" + json.dumps({"type": "turn.completed"})),
        ("codex", json.dumps({"type": "turn.failed", "error": {"message": "stream disconnected"}})),
        ("opencode", json.dumps({"type": "text", "part": {"text": _LIMIT}})),
        ("pi", json.dumps({"type": "message_end", "message": {"content": [{"text": "429 too many requests"}]}})),
        ("goose", f"I handle the message «{_LIMIT}» now"),
        ("goose", f'> {_LIMIT}\n- {_LIMIT}\n* 429 Too Many Requests\n`{_LIMIT}`\n"{_LIMIT}"'),
        ("goose", "Error handling for the usage limit is done"),
        ("goose", "Error: the model's context window limit was reached"),
        ("aider", f"Error: {_LIMIT}\nTokens: 4.2k sent, 310 received."),
        (None, "Traceback (most recent call last):\nValueError: rate must be positive"),
        ("goose", f"Error: {_LIMIT}\n" + "still working\n" * 40),
        ("claude", "[" * 3_000),
        ("claude", ""),
    ],
)
def test_quoted_overcome_and_other_failures_are_none(preset: str | None, tail: str) -> None:
    assert quota_hit(preset, tail, NOW, UTC) is None


def test_the_reason_is_short_and_printable() -> None:
    hit = quota_hit(None, f"Error: \x1b[31m429 Too Many Requests {'x' * 3000}", NOW, UTC)
    assert hit is not None
    assert len(hit.reason) <= 200
    assert hit.reason.isprintable()


def test_a_tail_that_begins_in_the_middle_of_an_event_is_no_message() -> None:
    said = json.dumps({"type": "assistant", "message": {"content": "Error: 429 Too Many Requests" + "x" * 5000}})
    cut = said[said.index("Error") :][:4096]
    assert quota_hit("claude", cut, NOW, UTC) is None
    assert quota_hit("claude", cut[:-30] + "\nError: 429 Too Many Requests", NOW, UTC) is not None


def test_claude_tells_the_time_in_an_event_of_its_own() -> None:
    resets = int((NOW + timedelta(hours=3)).timestamp())
    told = {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": resets}}
    final = {"type": "result", "is_error": True, "result": "You've hit your limit"}
    hit = quota_hit("claude", f"{json.dumps(told)}\n{json.dumps(final)}\n", NOW, UTC)
    assert hit is not None
    assert hit.resets_at == NOW + timedelta(hours=3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Claude AI usage limit reached|1795530000", datetime(2026, 11, 24, 14, 20, tzinfo=UTC)),
        ("Claude AI usage limit reached|1762952400", None),
        ("You've hit your session limit · resets 3:20am (Asia/Calcutta)", datetime(2026, 11, 24, 21, 50, tzinfo=UTC)),
        ("Your limit will reset at 1pm (Etc/GMT+5).", datetime(2026, 11, 24, 18, 0, tzinfo=UTC)),
        ("resets 3pm", datetime(2026, 11, 24, 15, 0, tzinfo=UTC)),
        ("resets 12am", datetime(2026, 11, 25, 0, 0, tzinfo=UTC)),
        ("resets Dec 9 at 3pm (UTC)", datetime(2026, 12, 9, 15, 0, tzinfo=UTC)),
        ("or try again at Dec 5th, 2026 8:19 PM.", datetime(2026, 12, 5, 20, 19, tzinfo=UTC)),
        ("or try again at 2:15 PM.", datetime(2026, 11, 24, 14, 15, tzinfo=UTC)),
        ("or try again in 5 days 22 hours 11 minutes.", NOW + timedelta(days=5, hours=22, minutes=11)),
        ("try again in 2h 15m", NOW + timedelta(hours=2, minutes=15)),
        ("Your quota will reset after 18h26m12s.", NOW + timedelta(hours=18, minutes=26, seconds=12)),
        ("Please retry in 38.5s.", NOW + timedelta(seconds=38.5)),
        ("429 Too Many Requests, Retry-After: 30", NOW + timedelta(seconds=30)),
        ('{"retry-after": "7200"}', NOW + timedelta(hours=2)),
        ("try again at 2026-11-24T15:00:00Z", datetime(2026, 11, 24, 15, 0, tzinfo=UTC)),
        ("resets 2026-11-24 15:00 +0200", datetime(2026, 11, 24, 13, 0, tzinfo=UTC)),
        ("resets 12:10pm", None),
        ("resets 25:99pm (Nowhere/Land)", None),
        ("resets Feb 30 at 3pm", None),
        ("try again in 9000 days", None),
        ("visit page 3 again soon", None),
        ("Please try again later.", None),
    ],
)
def test_times(text: str, expected: datetime | None) -> None:
    assert reset_time(text, NOW) == expected


def test_a_clock_time_without_a_zone_is_in_the_zone_of_now() -> None:
    here = NOW.astimezone(timezone(timedelta(hours=2)))
    assert reset_time("resets 3pm", here) == datetime(2026, 11, 24, 13, 0, tzinfo=UTC)


def test_it_is_the_zone_of_the_machine_unless_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps({"type": "error", "message": "You've hit your usage limit. Try again at 3:15 PM."})
    monkeypatch.setenv("TZ", "Etc/GMT-2")
    time.tzset()
    try:
        hits = [quota_hit("codex", text, now) for now in (NOW, NOW.astimezone(timezone(timedelta(hours=-5))))]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [hit and hit.resets_at for hit in hits] == [datetime(2026, 11, 24, 13, 15, tzinfo=UTC)] * 2


_WORDS = st.sampled_from(
    [
        "resets",
        "try again",
        "at",
        "in",
        "3pm",
        "99",
        "12:60",
        "Feb 31",
        "h",
        "2h",
        "Retry-After:",
        "(",
        "UTC)",
        "|",
        "\n",
        "limit reached|99999999999999",
        "2026-13-01T00:00Z",
        "5 days",
        "Error: 429",
        "{",
        '{"type":"error","message":3}',
    ]
)


@given(st.lists(_WORDS | st.text(max_size=4), max_size=12).map(" ".join), st.sampled_from([None, "claude", "aider"]))
def test_no_text_breaks_it_and_every_time_lies_ahead(text: str, preset: str | None) -> None:
    for tail in (text, f"Error: 429 {text}"):
        hit = quota_hit(preset, tail, NOW, UTC)
        assert hit is None or hit.resets_at is None or NOW < hit.resets_at <= NOW + timedelta(days=35)
