"""The rows of a ledger's index: what it keeps of a view, and whether it still has all of it."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kitty_flow.ledger.fold import Conflict
from kitty_flow.ledger.segment import Damage
from kitty_flow.ledger.state import EntityKey, EntityState, state_from_text, state_to_text
from kitty_flow.ledger.view import Entities, LedgerView

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = [
    "EVENT_COLUMNS",
    "ORDER",
    "IndexDamagedError",
    "Located",
    "check_table",
    "event_row",
    "read_view",
    "states_of",
    "write_rows",
]

_VERSION: Final = "3"
"""Raised whenever the schema or the rule of folding changes."""


class IndexDamagedError(Exception):
    """The index cannot be used; it is made anew."""


class Located(NamedTuple):
    """An event and the segment that it is in."""

    event: Event
    path: str


EVENT_COLUMNS: Final[Mapping[str, type]] = {
    "event_id": str,
    "lamport": int,
    "writer": str,
    "entity_type": str,
    "entity_id": str,
    "work_package_id": str,
    "trigger": str,
    "actor": str,
    "at": str,
    "path": str,
}
"""The columns of the table of events."""

ORDER: Final = ("lamport", "writer", "event_id")
"""The ledger's order. Every column that decides which rows are found is in some SQL index: the check covers it."""


def write_rows(
    database: sqlite3.Connection,
    view: LedgerView,
    states: Mapping[EntityKey, EntityState],
    events: Iterable[Located],
    paths: Mapping[str, str],
) -> None:
    """Write a view: its own row of facts, the states that changed, the events and paths that came."""
    meta = {
        "version": _VERSION,
        "ref": view.ref,
        "tip": view.tip,
        "lamport": str(view.lamport),
        "event_count": str(view.event_count),
        "conflicts": json.dumps(view.conflicts),
        "damage": json.dumps(view.damage),
    }
    database.executemany("INSERT OR REPLACE INTO path VALUES (?, ?)", paths.items())
    # Not "INSERT OR REPLACE": a state keeps its row, and with it the order of the first events.
    database.executemany(
        "INSERT INTO entity VALUES (?, ?, ?, ?, ?) ON CONFLICT (type, id) DO UPDATE "
        "SET closed = excluded.closed, checksum = excluded.checksum, text = excluded.text",
        (_entity_row(state) for state in states.values()),
    )
    marks = ", ".join("?" * len(EVENT_COLUMNS))
    database.executemany(f"INSERT OR REPLACE INTO event VALUES ({marks})", map(event_row, events))
    total = database.execute("SELECT count(*), coalesce(sum(checksum), 0) FROM entity WHERE closed = 0").fetchone()
    meta["open"] = json.dumps(total)
    database.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", [*meta.items(), ("seal", _seal(meta))])


def read_view(meta: dict[str, str], rows: Sequence[tuple[str, int]], ref: str, slug: str) -> LedgerView:
    """The view of the ledger `ref` that `write_rows` wrote; `rows` are those of the states that are not closed.

    Raises:
        IndexDamagedError: they are damaged, incomplete, of another version or of another ledger.
    """
    if meta.pop("seal") != _seal(meta) or meta["version"] != _VERSION or meta["ref"] != ref:
        raise IndexDamagedError("damaged, or of another version")
    if meta["open"] != json.dumps([len(rows), sum(row[1] for row in rows)]):
        raise IndexDamagedError("a row is missing")
    return LedgerView(
        ref,
        slug,
        meta["tip"],
        Entities(states_of(rows)),
        int(meta["lamport"]),
        int(meta["event_count"]),
        tuple(_conflict(row) for row in json.loads(meta["conflicts"])),
        tuple(Damage(*row) for row in json.loads(meta["damage"])),
    )


def _seal(meta: Mapping[str, Any]) -> str:
    return str(zlib.crc32(json.dumps(sorted(meta.items())).encode()))


def check_table(database: sqlite3.Connection, table: str) -> None:
    """See that the table and its indexes agree: about 3 ms for 10,000 states, 70 ms for 10,000 events.

    Raises:
        IndexDamagedError: they do not.
    """
    if database.execute(f"PRAGMA integrity_check({table})").fetchall() != [("ok",)]:
        raise IndexDamagedError(f"the table {table} is damaged")


def _entity_row(state: EntityState) -> tuple[str, str, bool, int, str]:
    text = state_to_text(state)
    closed = state.entity_type == "invocation" and state.state != "started"
    return (state.entity_type, state.entity_id, closed, zlib.crc32(text.encode()), text)


def event_row(located: Located) -> tuple[Any, ...]:
    """What the index holds about an event, in the order of its columns."""
    event = located.event
    work_package = event.entity_id if event.entity_type == "work_package" else event.evidence.get("work_package_id")
    return (
        event.event_id,
        event.lamport,
        event.writer,
        event.entity_type,
        event.entity_id,
        work_package if isinstance(work_package, str) else None,
        event.trigger,
        event.actor,
        event.at,
        located.path,
    )


def _conflict(row: list[Any]) -> Conflict:
    return Conflict._make([*row[:-1], tuple(row[-1])])


def states_of(rows: Sequence[tuple[str, int]]) -> dict[EntityKey, EntityState]:
    """The states in rows of text and checksum.

    Raises:
        IndexDamagedError: a row does not have its checksum.
        ValueError: it is no state.
    """
    found: dict[EntityKey, EntityState] = {}
    for text, checksum in rows:
        if zlib.crc32(text.encode()) != checksum:
            raise IndexDamagedError("a row is damaged")
        state = state_from_text(text)
        found[state.entity_type, state.entity_id] = state
    return found
