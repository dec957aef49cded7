"""What one look at a bundle found: it agrees, it contradicts, or there is nothing here to compare it with."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["Finding", "failed", "passed", "unknown"]


class Finding(NamedTuple):
    """One thing that was looked at. `unknown`: this clone does not have what could confirm or contradict it."""

    check: str
    outcome: Literal["pass", "fail", "unknown"]
    message: str


def passed(check: str, message: str) -> Finding:
    """It agrees."""
    return Finding(check, "pass", message)


def failed(check: str, message: str) -> Finding:
    """It contradicts the bundle."""
    return Finding(check, "fail", message)


def unknown(check: str, message: str) -> Finding:
    """Nothing here can say."""
    return Finding(check, "unknown", message)
