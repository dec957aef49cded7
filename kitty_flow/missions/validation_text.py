"""How lists from a mission are shown in a message: bounded, whatever they hold."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["listed"]

_SHOWN = 8


def listed(items: Sequence[str]) -> str:
    """The first items, parted by commas, and how many more there are."""
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(item[:80] for item in items[:_SHOWN]) + more
