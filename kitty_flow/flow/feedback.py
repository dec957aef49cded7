"""The findings of a review as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["finding_lines"]


def finding_lines(feedback: Mapping[str, Any]) -> tuple[str, ...]:
    """One line for each finding of recorded feedback, such as ``a.py:12: too long``; its text is not made safe."""
    findings = feedback.get("findings")
    rows = [each for each in findings if isinstance(each, Mapping)] if isinstance(findings, (list, tuple)) else []
    return tuple(_line(row) for row in rows)


def _line(row: Mapping[str, Any]) -> str:
    place = str(row.get("path") or "")
    if place and row.get("line"):
        place += f":{row['line']}"
    return f"{place}: {row.get('message', '')}" if place else str(row.get("message", ""))
