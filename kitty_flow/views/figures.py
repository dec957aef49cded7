"""Numbers as people read them: times, sizes, amounts."""

from __future__ import annotations

from kitty_flow.views.forecast_text import span

__all__ = ["clock", "dollars", "large", "many", "size", "span"]


def clock(seconds: float) -> str:
    """A time that goes on: ``0:07``, ``12:05``, ``3:12:05``; never negative."""
    whole = max(0, int(seconds))
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def size(number: int) -> str:
    """Bytes: ``812 B``, ``12 KB``, ``1.4 MB``."""
    if number < 1000:
        return f"{number} B"
    value = number / 1000
    for unit in ("KB", "MB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "KB" or value >= 9.95 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def large(number: int) -> str:
    """A count with its thousands apart: ``1,234,567``."""
    return f"{number:,}"


def dollars(amount: float) -> str:
    """US dollars to the cent; a sum below one to a hundredth of it."""
    return f"${amount:.2f}" if amount >= 1 or not amount else f"${amount:.4f}"


def many(number: int, one: str, more: str) -> str:
    """``1 try``, ``2 tries``."""
    return f"{number} {one if number == 1 else more}"
