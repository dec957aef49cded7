"""From the lines of one invocation to its record, and from an event to its line and the message of its commit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from kitty_flow.errors import LedgerError, RefusedError
from kitty_flow.invocation.record import (
    ArtifactLink,
    CommitLink,
    Completed,
    EvidencePromoted,
    InvocationRecord,
    RecordEvent,
    Started,
    parse_event,
)
from kitty_flow.invocation.rows import OP_SCHEMA
from kitty_flow.ledger.line import dump_line, load_line
from kitty_flow.ledger.op_log import OPS_REF, Recorded
from kitty_flow.model.text import clean

__all__ = ["OP_BYTES", "decode_record", "encode", "fold_record", "line_problems"]

OP_BYTES: Final = 64 * 1024
"""A longer line is refused, as in every log of kitty-flow."""

_Event = TypeVar("_Event", bound=RecordEvent)


def encode(event: RecordEvent, profile_id: str, action: str, files: Mapping[str, bytes]) -> Recorded:
    """An event as it is recorded.

    Raises:
        RefusedError: REQUEST_TOO_LARGE or REQUEST_NOT_TEXT.
    """
    try:
        line = dump_line(event.as_data())
    except (ValueError, TypeError) as error:
        raise RefusedError(
            "REQUEST_NOT_TEXT", f"it cannot be recorded as JSON: {error}", hint="leave out what is not text"
        ) from error
    if len(line) > OP_BYTES:
        raise RefusedError(
            "REQUEST_TOO_LARGE",
            f"the record would take {len(line)} bytes; {OP_BYTES} is the limit",
            hint="shorten the request, and put what is long into a file that it names",
        )
    return Recorded(line, _message(event, profile_id, action), files)


def _message(event: RecordEvent, profile_id: str, action: str) -> str:
    """``op(<profile>): <action> [<id8>]``, what happened, and trailers; no other line begins with ``op(``."""
    what = f"{event.event} {event.outcome}" if isinstance(event, Completed) else event.event
    return (
        f"op({clean(profile_id)}): {clean(action)} [{event.invocation_id[:8]}]\n\n"
        f"{what} ({clean(event.actor)})\n\n"
        f"Kitty-Event: {event.event_id}\nKitty-Lamport: {event.lamport}\nKitty-Invocation: {event.invocation_id}\n"
    )


def decode_record(content: bytes, where: str) -> InvocationRecord:
    """The record that the lines of one invocation make. A line that is damaged hides no other.

    Raises:
        LedgerError: OP_DAMAGED, its start cannot be read; UNKNOWN_EVENT_SCHEMA, a newer kitty-flow wrote it.
    """
    events: list[RecordEvent] = []
    problem = "it has no line that says how it was started"
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line:
            continue
        try:
            data: Any = load_line(line)
            _check_schema(data, f"{where}:{number}")
            events.append(parse_event(data))
        except (ValueError, RecursionError) as error:
            problem = f"line {number}: {str(error).splitlines()[0][:200]}"
    record = fold_record(events, OPS_REF)
    if record is None:
        raise LedgerError(
            "OP_DAMAGED",
            f"{where} of {OPS_REF} cannot be read: {problem}",
            hint=f"git log -p {OPS_REF} -- {where}",
            details={"path": where},
        )
    return record


def line_problems(content: bytes, invocation_id: str) -> Iterator[str]:
    """What is wrong with the lines of one invocation, each in a sentence; nothing where they are as they were written.

    A chain has one start, every other event names an earlier one, and two that name the same are no fault: clones that
    knew nothing of each other made them.
    """
    events: list[RecordEvent] = []
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line:
            continue
        try:
            data: Any = load_line(line)
            _check_schema(data, f"line {number}")
            event = parse_event(data)
        except LedgerError as error:
            yield error.message
        except (ValueError, RecursionError) as error:
            yield f"line {number} is damaged: {' '.join(str(error).split())[:160]}"
        else:
            events.append(event)
            if event.invocation_id != invocation_id:
                yield f"line {number} belongs to the invocation {event.invocation_id}"
    starts = sum(isinstance(event, Started) for event in events)
    if starts != 1:
        yield f"{starts} of its lines say how it was started"
    known = {event.event_id: event.lamport for event in events}
    for event in events:
        if event.parent is not None and known.get(event.parent, event.lamport) >= event.lamport:
            yield f"the event {event.event_id} follows {event.parent}, which is not before it"


def _check_schema(data: object, where: str) -> None:
    schema = data.get("schema") if isinstance(data, dict) else None
    if isinstance(schema, str) and schema != OP_SCHEMA:
        raise LedgerError(
            "UNKNOWN_EVENT_SCHEMA",
            f"{where} has the schema {schema[:80]!r}; this kitty-flow reads {OP_SCHEMA!r}",
            hint="install a newer kitty-flow",
        )


def fold_record(events: Iterable[RecordEvent], log: str) -> InvocationRecord | None:
    """The record that events make, whatever their order; None without a start.

    Of several closings, which only clones make that know nothing of each other, the one with the larger event id counts
    everywhere alike; the rule of `ledger.fold`. An event that comes twice counts once.
    """
    known = sorted({event.event_id: event for event in events}.values(), key=lambda e: (e.lamport, e.event_id))
    started = _of(known, Started)
    if not started:
        return None
    closings = sorted(_of(known, Completed), key=lambda event: event.event_id)
    return InvocationRecord(
        log=log,
        started=started[0],
        completed=closings[-1] if closings else None,
        superseded=tuple(closings[:-1]),
        artifacts=_of(known, ArtifactLink),
        commits=_of(known, CommitLink),
        evidence=_of(known, EvidencePromoted),
    )


def _of(events: Iterable[RecordEvent], kind: type[_Event]) -> tuple[_Event, ...]:
    return tuple(event for event in events if isinstance(event, kind))
