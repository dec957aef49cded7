"""Fresh ULIDs (https://github.com/ulid/spec), made by python-ulid; imported when the first is needed."""

from __future__ import annotations

from datetime import datetime

__all__ = ["new_ulid"]


def new_ulid(at: datetime | None = None) -> str:
    """A fresh ULID in canonical form, of this moment or of `at` (timezone-aware)."""
    from ulid import ULID

    return str(ULID() if at is None else ULID.from_datetime(at))
