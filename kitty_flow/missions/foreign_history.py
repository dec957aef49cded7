"""Reads the status log of a Spec Kitty mission: one JSON row a line, put into the order in which the origin reduces it.

Three kinds of rows share the file: lane rows (a work package moved), annotations (`kind` is ``annotation``) and
lifecycle rows (`event_type`, `type` or `event_name` says which). Only lane rows are typed; the others are counted.
Source of the rules: ORIGIN section 1 (event, reduction).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kitty_flow.errors import DefinitionError, UsageError
from kitty_flow.missions.files import exists, invalid, is_folder, is_inside, parse_json_object, read_bytes, read_text
from kitty_flow.missions.findings import Findings
from kitty_flow.missions.foreign_row import LaneRow, lane_or_none, lane_row

__all__ = [
    "EVENTS_FILE",
    "MAX_HISTORY_BYTES",
    "MAX_LINE_BYTES",
    "MAX_ROWS",
    "ForeignHistory",
    "parse_history",
    "read_history",
    "read_recorded_lanes",
]

EVENTS_FILE: Final = "status.events.jsonl"
MAX_HISTORY_BYTES: Final = 16 * 1024 * 1024
MAX_LINE_BYTES: Final = 64 * 1024
MAX_ROWS: Final = 10_000
"""The longest log of 412 real missions has 512 rows."""

_STATUS_FILE: Final = "status.json"
_LIFECYCLE: Final = ("event_type", "type", "event_name")
_SHOWN: Final = 40


@dataclass(frozen=True)
class ForeignHistory:
    """A log as read: its bytes, the lane rows in the order of reduction, and what else was in it.

    `duplicates` are (event id, line, line of the first) of rows that were dropped because their event id came before;
    `unknown_kinds` counts rows that are none of the three kinds.
    """

    content: bytes
    rows: tuple[LaneRow, ...]
    annotations: int = 0
    lifecycle: int = 0
    duplicates: tuple[tuple[str, int, int], ...] = ()
    unknown_kinds: Mapping[str, int] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """SHA-256 of the file, in hex."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def lanes(self) -> dict[str, str]:
        """The reduction: the last lane of every work package that has a row."""
        return {row.wp_id: row.to_lane for row in self.rows}


def read_history(path: Path) -> ForeignHistory:
    """The log beside the mission at `path` (its folder, or a file in it).

    Raises:
        UsageError: HISTORY_MISSING, there is no such file.
        DefinitionError: INVALID_HISTORY, with every damaged line in `details.problems`; or the file cannot be read.
    """
    folder = path if is_folder(path) else path.parent
    file = folder / EVENTS_FILE
    if not exists(file):
        raise UsageError(
            "HISTORY_MISSING",
            f"{folder} has no {EVENTS_FILE}, so there is no history to import",
            hint="repeat the command without --history",
            details={"path": str(file)},
        )
    if not is_inside(file, folder):
        raise invalid("UNSAFE_PATH", f"{file} is a link that leads out of the mission folder", EVENTS_FILE)
    try:
        content = read_bytes(file, EVENTS_FILE, limit=MAX_HISTORY_BYTES)
    except DefinitionError as error:
        raise invalid(error.code, f"{file} {error.message}", EVENTS_FILE) from error
    return parse_history(content, file)


def parse_history(content: bytes, file: Path) -> ForeignHistory:
    """The log with these bytes; `file` is named in messages only.

    Raises:
        DefinitionError: INVALID_HISTORY.
    """
    findings = Findings()
    reading = _Reading()
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if reading.count == MAX_ROWS:
            findings.problem("TOO_MANY_ROWS", f"more than {MAX_ROWS} rows", f"{EVENTS_FILE}:{number}")
            break
        with findings.gathering(f"{EVENTS_FILE}:{number}"):
            reading.take(_object(line, number), number)
    findings.raise_if_invalid(file, code="INVALID_HISTORY", again="kitty-flow mission import --history PATH")
    rows = sorted(reading.rows, key=lambda row: row.order)
    kinds = dict(sorted(reading.unknown_kinds.items()))
    return ForeignHistory(
        content, tuple(rows), reading.annotations, reading.lifecycle, tuple(reading.duplicates), kinds
    )


def read_recorded_lanes(path: Path) -> dict[str, str] | None:
    """The lanes that the mission's own snapshot, `status.json`, records; None without that file.

    Raises:
        DefinitionError: the file cannot be read or makes no sense.
    """
    folder = path if is_folder(path) else path.parent
    file = folder / _STATUS_FILE
    if not exists(file):
        return None
    if not is_inside(file, folder):
        raise invalid("UNSAFE_PATH", "is a link that leads out of the mission folder", _STATUS_FILE)
    found = parse_json_object(read_text(file, _STATUS_FILE), _STATUS_FILE).get("work_packages")
    if not isinstance(found, dict):
        raise invalid("INVALID_STATUS", "holds no work_packages", _STATUS_FILE)
    lanes = {}
    for name, card in found.items():
        where = f"{_STATUS_FILE}: {name[:_SHOWN]}"
        value = card.get("lane") if isinstance(card, dict) else None
        lanes[name] = lane_or_none(value, "lane", where) or "planned"
    return lanes


def _object(line: bytes, number: int) -> dict[str, Any]:
    where = f"{EVENTS_FILE}:{number}"
    if len(line) > MAX_LINE_BYTES:
        raise invalid("LINE_TOO_LONG", f"line {number} has {len(line)} bytes; {MAX_LINE_BYTES} is the limit", where)
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise invalid("NOT_UTF8", f"line {number} is not UTF-8 text", where) from error
    return parse_json_object(text, EVENTS_FILE, line=number)


class _Reading:
    """What was met so far. A repeated event id counts once: the first row with it."""

    def __init__(self) -> None:
        self.count = 0
        self.annotations = 0
        self.lifecycle = 0
        self.rows: list[LaneRow] = []
        self.duplicates: list[tuple[str, int, int]] = []
        self.unknown_kinds: Counter[str] = Counter()
        self._lines: dict[tuple[bool, str], int] = {}

    def take(self, row: Mapping[str, Any], line: int) -> None:
        self.count += 1
        kind = row.get("kind")
        is_lane_row = kind is None and "to_lane" in row
        typed = lane_row(row, line, f"{EVENTS_FILE}:{line}") if is_lane_row else None
        event_id = row.get("event_id")
        first = self._lines.setdefault((is_lane_row, event_id), line) if isinstance(event_id, str) else line
        if first != line:
            self.duplicates.append((str(event_id)[:_SHOWN], line, first))
        elif typed is not None:
            self.rows.append(typed)
        elif kind == "annotation":
            self.annotations += 1
        elif kind is None and any(isinstance(row.get(name), str) for name in _LIFECYCLE):
            self.lifecycle += 1
        else:
            self.unknown_kinds["(none)" if kind is None else str(kind)[:_SHOWN]] += 1
