"""A moment as people type it: a date or a time, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from kitty_flow.errors import UsageError

__all__ = ["moment"]

_AGO: Final = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, option: str) -> str:
    """The moment in the form in which events and errors are stamped: UTC, milliseconds.

    `text` is an ISO 8601 date or time (UTC where it names no offset) or a duration before now such as ``2h``.

    Raises:
        UsageError: INVALID_TIME.
    """
    try:
        ago = _AGO.fullmatch(text)
        if ago:
            at = datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        else:
            at = datetime.fromisoformat(text)
            at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            "INVALID_TIME",
            f"{option} {text[:80]!r} is neither a date or time nor a duration",
            hint=f"{option} 2026-01-30, {option} 2026-01-30T16:05Z, or {option} 2h (s, m, h, d, w)",
        ) from error
    return at.isoformat(timespec="milliseconds")
