"""Segments: one writer's files of events, one strict JSON object a line.

A segment has exactly one writer (one clone), so two clones never edit the same file and their exchange is a union. It
rolls at a new day and at `SEGMENT_EVENTS` events, so that the cost of one more commit stays flat as the log grows.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any, Final

from kitty_flow import EVENT_SCHEMA
from kitty_flow.errors import LedgerError
from kitty_flow.model.event import Event

__all__ = [
    "EVENT_BYTES",
    "SEGMENT_EVENTS",
    "decode_segment",
    "encode_event",
    "last_segment_name",
    "next_segment_name",
    "segment_day",
]

SEGMENT_EVENTS: Final = 64
EVENT_BYTES: Final = 64 * 1024
"""A larger event is refused: evidence belongs into an attachment."""

_NAME: Final = re.compile(r"(\d{4}-\d{2}-\d{2})-(\d{5,})\.jsonl")


def encode_event(event: Event) -> bytes:
    """One line, newline included: sorted keys, UTF-8, no NaN.

    Raises:
        LedgerError: EVENT_TOO_LARGE or EVENT_INVALID.
    """
    try:
        text = json.dumps(
            event.model_dump(by_alias=True), sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        line = text.encode("utf-8") + b"\n"
    except (ValueError, TypeError) as error:
        raise LedgerError("EVENT_INVALID", f"event {event.event_id} cannot be written as JSON: {error}") from error
    if len(line) > EVENT_BYTES:
        raise LedgerError(
            "EVENT_TOO_LARGE",
            f"event {event.event_id} ({event.entity_id} {event.trigger}) takes {len(line)} bytes; "
            f"{EVENT_BYTES} is the limit",
            hint="shorten the reason or the evidence",
        )
    return line


def decode_segment(content: bytes, path: str) -> tuple[Event, ...]:
    """All events of a segment, in the order of its lines.

    Raises:
        LedgerError: EVENT_DAMAGED, naming path and line; UNKNOWN_EVENT_SCHEMA, a newer kitty-flow wrote it.
    """
    return tuple(_decode(line, f"{path}:{number}") for number, line in enumerate(content.splitlines(), 1) if line)


def _decode(line: bytes, where: str) -> Event:
    try:
        data = json.loads(line, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_float=_finite)
        schema = data.get("schema") if isinstance(data, dict) else None
        if isinstance(schema, str) and schema != EVENT_SCHEMA:
            raise LedgerError(
                "UNKNOWN_EVENT_SCHEMA",
                f"{where} has the schema {schema!r}; this kitty-flow reads {EVENT_SCHEMA!r}",
                hint="install a newer kitty-flow",
            )
        return Event.model_validate(data, strict=True)
    except (ValueError, RecursionError) as error:  # pydantic's ValidationError is a ValueError
        raise LedgerError(
            "EVENT_DAMAGED",
            f"the ledger line {where} is damaged: {str(error).splitlines()[0]}",
            hint="restore the ref from another clone or from its reflog",
            details={"where": where},
        ) from error


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("duplicate key")
    return data


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large")
    return number


def segment_day(name: str) -> str:
    """The day in a segment's name, as ``YYYY-MM-DD``; empty for a foreign file."""
    found = _NAME.fullmatch(name)
    return found[1] if found else ""


def last_segment_name(existing: Iterable[str]) -> str:
    """The segment begun last: by number, since the days follow a wall clock that may go backwards; empty for none."""
    return max(existing, key=_number, default="")


def next_segment_name(existing: Iterable[str], day: str) -> str:
    """The name of a new segment of a writer who has the segments `existing`."""
    return f"{day}-{_number(last_segment_name(existing)) + 1:05d}.jsonl"


def _number(name: str) -> int:
    found = _NAME.fullmatch(name)
    return int(found[2]) if found else 0
