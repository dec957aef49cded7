"""The time in a quota message: since the epoch, as ISO time, "in 2h 15m", "Retry-After: 30", "resets 3pm (Zone)".

Which tool prints which is in `quota`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

__all__ = ["epoch_time", "reset_time"]

_FARTHEST: Final = timedelta(days=35)
_JUST_PASSED: Final = timedelta(minutes=10)
_UNITS: Final = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_EPOCH: Final = re.compile(r"limit reached\|(\d{10,13})\b", re.IGNORECASE)
_ISO: Final = re.compile(
    r"\b(?:resets?|again|until|available)(?:\s+(?:at|on))?\s+"
    r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s?(Z|UTC|[+-]\d\d:?\d\d)",
    re.IGNORECASE,
)
_RETRY_AFTER: Final = re.compile(
    r"retry[-_ ]?after[\"']?\s*[:=]?\s*[\"']?(\d{1,7}(?:\.\d+)?)(?![\d:]|\s*[a-z])", re.IGNORECASE
)
_PART: Final = r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|d|days?|h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?)(?![a-z])"
_SPAN: Final = re.compile(rf"\b(?:in|after|for|wait)\s+((?:{_PART}[\s,]*(?:and\s+)?)+)", re.IGNORECASE)
_ONE_PART: Final = re.compile(_PART, re.IGNORECASE)
_CLOCK: Final = re.compile(
    r"\b(?:resets?|again|until|available)(?:\s+(?:at|on))?\s+"
    r"(?:(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?"
    r"(?:,?\s+(?P<year>\d{4}))?,?\s+(?:at\s+)?)?"
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?\s*(?P<half>[ap]\.?m\b)?(?:\s*\((?P<zone>[\w+/-]{1,40})\))?",
    re.IGNORECASE,
)


def reset_time(text: str, now: datetime) -> datetime | None:
    """The time that a quota message names, in UTC; None without one that lies in the next five weeks."""
    return next((at for at in _candidates(text, now) if at is not None), None)


def epoch_time(value: object, now: datetime) -> datetime | None:
    """Seconds (or milliseconds) since the epoch as a usable time."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 10**14:
        return None
    return _usable(datetime.fromtimestamp(value / 1000 if value >= 10**11 else value, UTC), now)


def _candidates(text: str, now: datetime) -> Iterator[datetime | None]:
    for match in _EPOCH.finditer(text):
        yield epoch_time(int(match[1]), now)
    for match in _ISO.finditer(text):
        zone = "+00:00" if match[2].upper() in ("Z", "UTC") else match[2]
        try:
            yield _usable(datetime.fromisoformat(match[1] + zone), now)
        except ValueError:
            continue
    for match in _RETRY_AFTER.finditer(text):
        yield _usable(now + timedelta(seconds=float(match[1])), now)
    for match in _SPAN.finditer(text):
        seconds = sum(float(n) * _UNITS[_unit(unit)] for n, unit in _ONE_PART.findall(match[1]))
        yield _usable(now + timedelta(seconds=min(seconds, 10**8)), now)
    for match in _CLOCK.finditer(text):
        yield _clock_time(match, now)


def _unit(word: str) -> str:
    word = word.lower()
    return "ms" if word.startswith(("ms", "milli")) else word[0]


def _clock_time(match: re.Match[str], now: datetime) -> datetime | None:
    """A time of day, on the day that is named, else the next time that the clock shows it."""
    hour, minute, half = int(match["hour"]), int(match["minute"] or 0), (match["half"] or "").lower()
    if (match["minute"] is None) if not half else not 1 <= hour <= 12:
        return None
    if half:
        hour = hour % 12 + (12 if half.startswith("p") else 0)
    here = now.astimezone(_zone(match["zone"], now.tzinfo))
    try:
        at = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
        if match["month"]:
            month, day = _MONTHS.index(match["month"].lower()) + 1, int(match["day"])
            at = at.replace(year=int(match["year"] or here.year), month=month, day=day)
            if not match["year"] and at < here - _FARTHEST:
                at = at.replace(year=at.year + 1)
        elif at < here - _JUST_PASSED:
            at += timedelta(days=1)
    except ValueError:
        return None
    return _usable(at, now)


def _zone(name: str | None, fallback: tzinfo | None) -> tzinfo | None:
    try:
        return ZoneInfo(name) if name else fallback
    except (ValueError, OSError, KeyError):
        return fallback


def _usable(at: datetime, now: datetime) -> datetime | None:
    return at.astimezone(UTC) if now < at <= now + _FARTHEST else None
