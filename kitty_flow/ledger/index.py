"""The index of one ledger: a SQLite file that can be deleted at any time, for speed and never for truth.

It says for one commit of the ledger: the states folded from it, which segments were read, and where each event is. It
is made, and asked for events, through sqlite-utils; the one statement that follows each recorded batch goes to SQLite
directly, since importing sqlite-utils takes longer than the rest of a command. A row that does not have its checksum,
a version or file that is not ours, or any error of SQLite makes the whole file worthless: it is removed and made anew.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kitty_flow.effects import reach
from kitty_flow.ledger.fold import Conflict
from kitty_flow.ledger.segment import Damage
from kitty_flow.ledger.state import EntityKey, EntityState, state_from_text, state_to_text
from kitty_flow.ledger.view import Entities, LedgerView

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = ["Index", "IndexDamagedError", "Located"]

_VERSION: Final = "2"
"""Raised whenever the schema or the rule of folding changes."""

_BUSY_S: Final = 2.0


class IndexDamagedError(Exception):
    """The index cannot be used; it is made anew."""


class Located(NamedTuple):
    """An event and the segment that it is in."""

    event: Event
    path: str


class Index:
    """The index of the ledger `ref`, in the file `path`."""

    def __init__(self, path: Path, ref: str, slug: str) -> None:
        self._path = path
        self._ref = ref
        self._slug = slug
        self._connection: sqlite3.Connection | None = None

    def load(self) -> LedgerView | None:
        """The view that the index has, of whichever commit, without closed invocations; None when there is no index.

        Raises:
            IndexDamagedError: it cannot be used.
        """
        if not self._path.exists():
            return None
        with self._checked() as database:
            database.execute("BEGIN")  # one moment for all that is read
            try:
                meta = dict(database.execute("SELECT key, value FROM meta"))
                rows = database.execute("SELECT text, checksum FROM entity WHERE closed = 0 ORDER BY rowid").fetchall()
            finally:
                database.execute("COMMIT")
            if meta["version"] != _VERSION or meta["ref"] != self._ref:
                raise IndexDamagedError("another version")
            return LedgerView(
                self._ref,
                self._slug,
                meta["tip"],
                Entities(_states(rows)),
                int(meta["lamport"]),
                int(meta["event_count"]),
                tuple(_conflict(row) for row in json.loads(meta["conflicts"])),
                tuple(Damage(*row) for row in json.loads(meta["damage"])),
            )

    def fetch(self, key: EntityKey | None) -> dict[EntityKey, EntityState]:
        """The state for a key, or all closed invocations for None.

        Raises:
            IndexDamagedError: it cannot be used.
        """
        query = "SELECT text, checksum FROM entity WHERE "
        with self._checked() as database:
            if key is None:
                rows = database.execute(f"{query} closed = 1 ORDER BY rowid").fetchall()
            else:
                rows = database.execute(f"{query} type = ? AND id = ?", key).fetchall()
            return _states(rows)

    def known_paths(self, tip: str | None) -> dict[str, str] | None:
        """Path to object of every folder and segment that was read; None when the index is not at `tip` any more.

        Raises:
            IndexDamagedError: it cannot be used.
        """
        with self._checked() as database:
            # One statement: another process may bring the index forward at any moment.
            rows = database.execute(
                "SELECT path, oid FROM path WHERE (SELECT value FROM meta WHERE key = 'tip') = ?", (tip,)
            ).fetchall()
            return dict(rows) if rows else None

    def follow(
        self,
        before: str | None,
        view: LedgerView,
        changed: Mapping[EntityKey, EntityState],
        events: Iterable[Located],
        paths: Mapping[str, str],
    ) -> None:
        """Bring an index that stands at the commit `before` to `view`; one that stands elsewhere is left behind.

        Raises:
            IndexDamagedError: it cannot be used.
            OSError: it cannot be written.
        """
        if not self._path.exists():
            return
        reach("index.follow")
        with self._checked() as database:
            database.execute("BEGIN IMMEDIATE")
            with database:  # commits, or takes all back
                at = database.execute("SELECT value FROM meta WHERE key = 'tip'").fetchone()
                if at is not None and at[0] == before:
                    _write(database, view, changed, events, paths)

    def rebuild(self, view: LedgerView, events: Iterable[Located], paths: Mapping[str, str]) -> None:
        """Make the index anew from a view of the whole ledger.

        Raises:
            IndexDamagedError: SQLite cannot make it.
            OSError: it cannot be written.
        """
        import sqlite_utils

        self.remove()
        reach("index.rebuild")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Made aside and renamed: a reader finds a whole index or none.
        scratch = self._path.with_suffix(".new")
        with suppress(FileNotFoundError):
            scratch.unlink()
        try:
            with closing(sqlite3.connect(scratch)) as connection:
                database = sqlite_utils.Database(connection)
                database.table("meta").create({"key": str, "value": str}, pk="key")
                database.table("path").create({"path": str, "oid": str}, pk="path")
                database.table("entity").create(
                    {"type": str, "id": str, "closed": int, "checksum": int, "text": str}, pk=("type", "id")
                )
                database.table("event").create(dict(_EVENT_COLUMNS), pk="event_id")
                with connection:
                    _write(connection, view, dict(view.entities), events, paths)
                for columns in (["entity_id"], ["work_package_id"], ["trigger"], ["actor"], ["lamport"], ["at"]):
                    database.table("event").create_index(columns)
                connection.execute("PRAGMA journal_mode = WAL")
            scratch.replace(self._path)
        except sqlite3.Error as error:
            raise IndexDamagedError(str(error)) from error

    def locate(self, tip: str, where: str, arguments: Mapping[str, Any], limit: int | None) -> list[tuple[str, str]]:
        """(event id, path of its segment) of the events that fulfil a condition, in the ledger's order; with `limit`
        the last ones. The names of columns are those of `_EVENT_COLUMNS`.

        Raises:
            IndexDamagedError: it cannot be used, or does not stand at the commit `tip`.
        """
        import sqlite_utils

        if not self._path.exists():
            raise IndexDamagedError("there is none")
        with self._checked() as connection:
            at = connection.execute("SELECT value FROM meta WHERE key = 'tip'").fetchone()
            if at != (tip,):
                raise IndexDamagedError("it is behind")
            rows = (
                sqlite_utils.Database(connection)
                .table("event")
                .rows_where(
                    where,
                    dict(arguments),
                    select="event_id, path",
                    order_by="lamport DESC, writer DESC, event_id DESC",
                    limit=limit,
                )
            )
            return [(row["event_id"], row["path"]) for row in rows][::-1]

    def remove(self) -> None:
        """Delete the index."""
        self.close()
        for suffix in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):
                self._path.with_name(self._path.name + suffix).unlink()

    def close(self) -> None:
        """Close the file. Safe to call twice; the next use opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    @contextmanager
    def _checked(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._connection is None:
                readable = "mode=rw" if os.access(self._path.parent, os.W_OK) else "mode=ro&immutable=1"
                self._connection = sqlite3.connect(
                    f"{self._path.as_uri()}?{readable}", uri=True, timeout=_BUSY_S, isolation_level=None
                )
                # Not lost by the death of a process; after a power cut the index may be behind, and catches up.
                self._connection.execute("PRAGMA synchronous = NORMAL")
            yield self._connection
        except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
            raise IndexDamagedError(str(error)) from error


_EVENT_COLUMNS: Final[Mapping[str, type]] = {
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


def _write(
    database: sqlite3.Connection,
    view: LedgerView,
    states: Mapping[EntityKey, EntityState],
    events: Iterable[Located],
    paths: Mapping[str, str],
) -> None:
    meta = {
        "version": _VERSION,
        "ref": view.ref,
        "tip": view.tip,
        "lamport": str(view.lamport),
        "event_count": str(view.event_count),
        "conflicts": json.dumps(view.conflicts),
        "damage": json.dumps(view.damage),
    }
    database.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", meta.items())
    database.executemany("INSERT OR REPLACE INTO path VALUES (?, ?)", paths.items())
    # Not "INSERT OR REPLACE": a state keeps its row, and with it the order of the first events.
    database.executemany(
        "INSERT INTO entity VALUES (?, ?, ?, ?, ?) ON CONFLICT (type, id) DO UPDATE "
        "SET closed = excluded.closed, checksum = excluded.checksum, text = excluded.text",
        (_entity_row(state) for state in states.values()),
    )
    marks = ", ".join("?" * len(_EVENT_COLUMNS))
    database.executemany(f"INSERT OR REPLACE INTO event VALUES ({marks})", map(_event_row, events))


def _entity_row(state: EntityState) -> tuple[str, str, bool, int, str]:
    text = state_to_text(state)
    closed = state.entity_type == "invocation" and state.state != "started"
    return (state.entity_type, state.entity_id, closed, zlib.crc32(text.encode()), text)


def _event_row(located: Located) -> tuple[Any, ...]:
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


def _states(rows: Sequence[tuple[str, int]]) -> dict[EntityKey, EntityState]:
    found: dict[EntityKey, EntityState] = {}
    for text, checksum in rows:
        if zlib.crc32(text.encode()) != checksum:
            raise IndexDamagedError("a row is damaged")
        state = state_from_text(text)
        found[state.entity_type, state.entity_id] = state
    return found
