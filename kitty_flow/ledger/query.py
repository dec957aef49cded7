"""Finding events by filter: the index says where they may be, the log says what they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kitty_flow.ledger.index import IndexElsewhereError
from kitty_flow.ledger.index_rows import IndexDamagedError
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.ledger.segment import decode_event

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = ["EventFilter", "find_events"]


@dataclass(frozen=True)
class EventFilter:
    """Which events to find; None and 0 let everything through.

    Args:
        entity_id: of this entity only.
        entity_type: of entities of this type only, such as ``invocation``.
        work_package_id: of this work package and its invocations only.
        trigger: of this type only, such as ``approve``.
        since_clock: with a clock above this.
        actor: of this actor only.
        since, until: recorded at or after, and before, these moments (UTC, as events have them in `at`).
        limit: the last so many.
    """

    entity_id: str | None = None
    work_package_id: str | None = None
    trigger: str | None = None
    since_clock: int = 0
    actor: str | None = None
    since: str | None = None
    until: str | None = None
    limit: int | None = None
    entity_type: str | None = None

    def admits(self, event: Event) -> bool:
        """Whether the event passes, the limit aside."""
        own = event.entity_id if event.entity_type == "work_package" else event.evidence.get("work_package_id")
        return (
            self.entity_id in (None, event.entity_id)
            and self.entity_type in (None, event.entity_type)
            and self.work_package_id in (None, own)
            and self.trigger in (None, event.trigger)
            and event.lamport > self.since_clock
            and self.actor in (None, event.actor)
            and (self.since is None or event.at >= self.since)
            and (self.until is None or event.at < self.until)
        )

    def condition(self) -> tuple[str, dict[str, Any]]:
        """The same for the index: an SQL condition and its arguments."""
        parts = {
            "entity_id": "entity_id = :entity_id",
            "entity_type": "entity_type = :entity_type",
            "work_package_id": "work_package_id = :work_package_id",
            "trigger": '"trigger" = :trigger',
            "since_clock": "lamport > :since_clock",
            "actor": "actor = :actor",
            "since": "at >= :since",
            "until": "at < :until",
        }
        arguments = {name: getattr(self, name) for name in parts if getattr(self, name)}
        return " AND ".join(parts[name] for name in arguments) or "1", arguments


def find_events(ledger: Ledger, wanted: EventFilter) -> tuple[Event, ...]:
    """The events that pass, in the ledger's order. Without an index the whole log is read; the answer is the same.

    Raises:
        LedgerError: the log cannot be read.
    """
    tip = ledger.view().tip
    if tip is None:
        return ()
    try:
        places = ledger.index.locate(tip, *wanted.condition(), wanted.limit)
        found = tuple(_read(ledger, tip, places))
        if all(wanted.admits(event) for event in found):
            return found
        ledger.index.remove()
    except IndexElsewhereError:
        pass
    except IndexDamagedError:
        ledger.index.remove()
    found = tuple(event for event in ledger.events() if wanted.admits(event))
    return found if wanted.limit is None else found[-wanted.limit :]


def _read(ledger: Ledger, tip: str, places: Iterable[tuple[str, str]]) -> Iterator[Event]:
    lines: dict[str, dict[bytes, bytes]] = {}
    for event_id, path in places:
        if path not in lines:
            segment = ledger.store.objects.read(f"{tip}:{path}")
            if segment is None:
                raise IndexDamagedError("it names a segment that is not there")
            lines[path] = {line.partition(b'"event_id":"')[2][:26]: line for line in segment[1].split(b"\n") if line}
        line = lines[path].get(event_id.encode())
        if line is None:
            raise IndexDamagedError("it names an event that is not there")
        yield decode_event(line, path)
