"""Text from missions, agents and people, made fit for one line of a commit message, a prompt or a name."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str, stand_in: str = " ") -> str:
    """`text` on one line: line breaks and other control characters, which would forge structure, are replaced."""
    return "".join(c if c.isprintable() else stand_in for c in text)
