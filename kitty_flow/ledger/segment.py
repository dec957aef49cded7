"""Segments: one writer's files of events, one strict JSON object a line.

A segment has exactly one writer (one clone), so two clones never edit the same file and their exchange is a union. It
rolls at a new day and at `SEGMENT_EVENTS` events, so that the cost of one more commit stays flat as the log grows.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kitty_flow import EVENT_SCHEMA
from kitty_flow.errors import LedgerError

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = [
    "EVENT_BYTES",
    "FOLDER_SEGMENTS",
    "SEGMENT_EVENTS",
    "Damage",
    "decode_event",
    "decode_lines",
    "encode_event",
    "last_segment_name",
    "next_segment_name",
    "read_lines",
    "segment_day",
    "segment_folder",
    "segment_number",
    "strict_json",
]

SEGMENT_EVENTS: Final = 64
FOLDER_SEGMENTS: Final = 64
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


class Damage(NamedTuple):
    """A line that cannot be read: where it is, as ``path:line``, and why."""

    where: str
    why: str


def decode_lines(content: bytes, path: str, known: Collection[bytes] = ()) -> tuple[list[Event], list[Damage]]:
    """The events of a segment, in the order of its lines, and the lines that are damaged. Lines in `known` are skipped.

    Raises:
        LedgerError: UNKNOWN_EVENT_SCHEMA, a newer kitty-flow wrote it.
    """
    events: list[Event] = []
    damage: list[Damage] = []
    for _, found in read_lines(content, path, known):
        if isinstance(found, Damage):
            damage.append(found)
        else:
            events.append(found)
    return events, damage


def read_lines(content: bytes, path: str, known: Collection[bytes] = ()) -> Iterator[tuple[bytes, Event | Damage]]:
    """Every line of a segment, without its newline, and what it says. Lines in `known` are skipped.

    Raises:
        LedgerError: UNKNOWN_EVENT_SCHEMA, a newer kitty-flow wrote it.
    """
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line or line in known:
            continue
        try:
            yield line, decode_event(line, f"{path}:{number}")
        except (ValueError, RecursionError) as error:  # pydantic's ValidationError is a ValueError
            yield line, Damage(f"{path}:{number}", str(error).splitlines()[0][:200])


def decode_event(line: bytes, where: str) -> Event:
    """One line as an event.

    Raises:
        ValueError: it is no strict JSON, or no event.
        RecursionError: it is nested too deeply.
        LedgerError: UNKNOWN_EVENT_SCHEMA, a newer kitty-flow wrote it.
    """
    if len(line) > EVENT_BYTES:
        raise ValueError(f"{len(line)} bytes; {EVENT_BYTES} is the limit")
    data = strict_json(line)
    schema = data.get("schema") if isinstance(data, dict) else None
    if isinstance(schema, str) and schema != EVENT_SCHEMA:
        raise LedgerError(
            "UNKNOWN_EVENT_SCHEMA",
            f"{where} has the schema {schema[:80]!r}; this kitty-flow reads {EVENT_SCHEMA!r}",
            hint="install a newer kitty-flow",
        )
    from kitty_flow.model.event import Event

    return Event.model_validate(data, strict=True)


def strict_json(text: bytes) -> Any:
    """JSON without duplicate keys, NaN, infinities and numbers that become one.

    Raises:
        ValueError: it is something else.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_float=_finite)


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


def segment_number(name: str) -> int:
    """The number in a segment's name; 0 for a foreign file."""
    found = _NAME.fullmatch(name)
    return int(found[2]) if found else 0


def last_segment_name(existing: Iterable[str]) -> str:
    """The segment begun last: by number, since the days follow a wall clock that may go backwards; empty for none."""
    return max(existing, key=segment_number, default="")


def next_segment_name(existing: Iterable[str], day: str) -> str:
    """The name of a new segment of a writer who has the segments `existing`."""
    return f"{day}-{segment_number(last_segment_name(existing)) + 1:05d}.jsonl"


def segment_folder(name: str) -> str:
    """The folder of a segment below its writer: `FOLDER_SEGMENTS` a folder, so that no tree grows with the log."""
    return f"{segment_number(name) // FOLDER_SEGMENTS:05d}"
