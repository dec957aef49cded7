"""Moments as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kitty_flow.cli.moment import moment
from kitty_flow.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-30", "2026-01-30T00:00:00.000+00:00"),
        ("2026-01-30T16:05", "2026-01-30T16:05:00.000+00:00"),
        ("2026-01-30 16:05:07.1239Z", "2026-01-30T16:05:07.123+00:00"),
        ("2026-01-30T16:05+02:00", "2026-01-30T14:05:00.000+00:00"),
    ],
)
def test_a_date_or_a_time(text: str, expected: str) -> None:
    assert moment(text, "--since") == expected


@pytest.mark.parametrize(
    ("text", "ago"),
    [("90s", timedelta(seconds=90)), ("5m", timedelta(minutes=5)), ("2h", timedelta(hours=2)), ("3d", timedelta(3))],
)
def test_a_duration_before_now(text: str, ago: timedelta) -> None:
    earliest = datetime.now(UTC).replace(microsecond=0) - ago
    assert earliest <= datetime.fromisoformat(moment(text, "--since")) <= datetime.now(UTC) - ago


@pytest.mark.parametrize("text", ["yesterday", "5y", "-2h", "2026-02-30", "999999999w", "0001-01-01T00:00+10:00", ""])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        moment(text, "--since")
    assert caught.value.code == "INVALID_TIME"
    assert "--since 2h" in str(caught.value.hint)
