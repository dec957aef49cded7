"""Reads the fields of another tool's JSON records, and remembers which of them nobody asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from kitty_flow.missions.findings import Findings

__all__ = ["UnusedFields", "counted", "line_ranges", "section", "string"]

_SHOWN: Final = 20


def string(record: Mapping[str, Any], key: str, where: str, findings: Findings) -> str:
    """The text of a field, stripped; empty when it is absent or null, a number as its digits."""
    value = record.get(key)
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    findings.problem("WRONG_TYPE", f"{key} must be text", where)
    return ""


def section(heading: str, text: str) -> str:
    """A Markdown section of a prompt; nothing for an empty text."""
    return f"{heading}\n\n{text}" if text else ""


def line_ranges(lines: Iterable[int]) -> str:
    """Line numbers in their order, runs as ranges: ``1-4, 9``; of very many only the first."""
    runs: list[list[int]] = []
    for line in sorted(lines):
        if runs and line == runs[-1][1] + 1:
            runs[-1][1] = line
        else:
            runs.append([line, line])
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in runs[:_SHOWN]]
    return ", ".join(shown) + (", ..." if len(runs) > _SHOWN else "")


def counted(what: str, lines: Iterable[int]) -> str:
    """A sentence about many lines: ``tasks that are done: 3 (lines 1-2, 9)``."""
    found = sorted(lines)
    return f"{what}: {len(found)} ({'line' if len(found) == 1 else 'lines'} {line_ranges(found)})"


class UnusedFields:
    """Counts the fields with content that a reader has no place for, to report each name once."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = frozenset(known)
        self._lines: dict[str, list[int]] = {}

    def look_at(self, record: Mapping[str, Any], line: int) -> None:
        """Note the unknown fields of one record that begins in `line`."""
        for name, value in record.items():
            if name not in self._known and value not in (None, "", [], {}):
                self._lines.setdefault(name, []).append(line)

    def report(self, file_name: str, findings: Findings) -> None:
        """Report them as dropped, at the first line of each."""
        for name, lines in sorted(self._lines.items(), key=lambda each: (-len(each[1]), each[0]))[:_SHOWN]:
            findings.dropped(
                "FIELD_DROPPED",
                counted(f"{name[:40]!r}, for which a mission has no place", lines),
                f"{file_name}:{lines[0]}",
            )
        if len(self._lines) > _SHOWN:
            more = len(self._lines) - _SHOWN
            findings.dropped("FIELD_DROPPED", f"{more} more fields, for which a mission has no place", file_name)
