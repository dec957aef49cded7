"""The index of one ledger: a SQLite file that can be deleted at any time, for speed and never for truth.

It says for one commit of the ledger: the states folded from it, which segments were read, and where each event is. It
is made, and asked for events, through sqlite-utils; the one statement that follows each recorded batch goes to SQLite
directly, since importing sqlite-utils takes longer than the rest of a command. A row that does not have its checksum or
is missing, a version or file that is not ours, or any error of SQLite makes the whole file worthless: it is removed and
made anew. SQLite's own check finds a row that is not where its key says; it takes time, so only what needs it pays.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from kitty_flow.effects import reach
from kitty_flow.ledger.index_rows import (
    EVENT_COLUMNS,
    ORDER,
    IndexDamagedError,
    Located,
    check_table,
    read_view,
    states_of,
    write_rows,
)
from kitty_flow.ledger.state import EntityKey, EntityState
from kitty_flow.ledger.view import LedgerView

__all__ = ["Index", "IndexElsewhereError"]

_BUSY_S: Final = 2.0


class IndexElsewhereError(IndexDamagedError):
    """The index is sound but stands at another commit: another process brought it forward, or it was left behind."""


class Index:
    """The index of the ledger `ref`, in the file `path`. With `only_look` nothing is ever written, removed or made."""

    def __init__(self, path: Path, ref: str, slug: str, *, only_look: bool = False) -> None:
        self.path = path
        self._only_look = only_look
        self._ref = ref
        self._slug = slug
        self._connection: sqlite3.Connection | None = None
        self._is_checked = False

    def load(self) -> LedgerView | None:
        """The view that the index has, of whichever commit, without closed invocations; None when there is no index.

        Raises:
            IndexDamagedError: it cannot be used.
        """
        if not self.path.exists():
            return None
        with self._checked() as database:
            database.execute("BEGIN")  # one moment for all that is read
            try:
                meta = dict(database.execute("SELECT key, value FROM meta"))
                rows = database.execute("SELECT text, checksum FROM entity WHERE closed = 0 ORDER BY rowid").fetchall()
            finally:
                database.execute("COMMIT")
            return read_view(meta, rows, self._ref, self._slug)

    def tip(self) -> str | None:
        """The commit that the index stands at, also where the rest of it is damaged; None when it does not tell."""
        query = "SELECT t.value FROM meta t, meta r WHERE t.key = 'tip' AND r.key = 'ref' AND r.value = ?"
        if not self.path.exists():
            return None
        try:
            with self._checked() as database:
                found = database.execute(query, (self._ref,)).fetchone()
        except IndexDamagedError:
            return None
        return found[0] if found and isinstance(found[0], str) and _OBJECT_NAME.fullmatch(found[0]) else None

    def event_rows(self) -> dict[str, tuple[Any, ...]]:
        """The row of every event, by event id, as `event_row` makes it.

        Raises:
            IndexDamagedError: it cannot be used.
        """
        with self._checked() as database:
            names = ", ".join(f'"{name}"' for name in EVENT_COLUMNS)
            return {row[0]: row for row in database.execute(f"SELECT {names} FROM event")}

    def fetch(self, key: EntityKey | None, tip: str | None) -> dict[EntityKey, EntityState]:
        """The state for a key, or all states for None, in the order of their first event.

        Raises:
            IndexDamagedError: it cannot be used, or does not stand at the commit `tip`.
        """
        with self._at(tip) as database:
            if not self._is_checked:
                check_table(database, "entity")
                self._is_checked = True
            query = "SELECT text, checksum FROM entity"
            if key is None:
                return states_of(database.execute(f"{query} ORDER BY rowid").fetchall())
            return states_of(database.execute(f"{query} WHERE type = ? AND id = ?", key).fetchall())

    def known_paths(self, tip: str | None) -> dict[str, str]:
        """Path to object of every folder and segment that was read.

        Raises:
            IndexDamagedError: it cannot be used, or does not stand at the commit `tip`.
        """
        with self._at(tip) as database:
            check_table(database, "path")
            return dict(database.execute("SELECT path, oid FROM path").fetchall())

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
        if self._only_look or not self.path.exists():
            return
        reach("index.follow")
        with self._checked() as database:
            database.execute("BEGIN IMMEDIATE")
            with database:  # commits, or takes all back
                at = database.execute("SELECT value FROM meta WHERE key = 'tip'").fetchone()
                if at is not None and at[0] == before:
                    write_rows(database, view, changed, events, paths)

    def rebuild(self, view: LedgerView, events: Iterable[Located], paths: Mapping[str, str]) -> None:
        """Make the index anew from a view of the whole ledger.

        Raises:
            IndexDamagedError: SQLite cannot make it.
            OSError: it cannot be written.
        """
        import sqlite_utils

        if self._only_look:
            return
        self.remove()
        reach("index.rebuild")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Made aside and renamed: a reader finds a whole index or none.
        scratch = self.path.with_suffix(".new")
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
                database.table("event").create(dict(EVENT_COLUMNS), pk="event_id")
                with connection:
                    write_rows(connection, view, dict(view.entities), events, paths)
                database.table("entity").create_index(["closed"])
                database.table("path").create_index(["oid"])
                for columns in (["entity_id"], ["work_package_id"], ["trigger"], ["actor"], ["at"], [*ORDER]):
                    database.table("event").create_index(columns)
                connection.execute("PRAGMA journal_mode = WAL")
            scratch.replace(self.path)
        except sqlite3.Error as error:
            raise IndexDamagedError(str(error)) from error

    def locate(self, tip: str, where: str, arguments: Mapping[str, Any], limit: int | None) -> list[tuple[str, str]]:
        """(event id, path of its segment) of the events that fulfil a condition, in the ledger's order; with `limit`
        the last ones. The names of columns are those of `EVENT_COLUMNS`.

        Raises:
            IndexDamagedError: it cannot be used, or does not stand at the commit `tip`.
        """
        import sqlite_utils

        if not self.path.exists():
            raise IndexDamagedError("there is none")
        with self._at(tip) as connection:
            check_table(connection, "event")
            rows = (
                sqlite_utils.Database(connection)
                .table("event")
                .rows_where(
                    where,
                    dict(arguments),
                    select="event_id, path",
                    order_by=", ".join(f"{column} DESC" for column in ORDER),
                    limit=limit,
                )
            )
            return [(row["event_id"], row["path"]) for row in rows][::-1]

    def remove(self) -> None:
        """Delete the index."""
        self.close()
        if self._only_look:
            return
        for suffix in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):
                self.path.with_name(self.path.name + suffix).unlink()

    def close(self) -> None:
        """Close the file. Safe to call twice; the next use opens it again."""
        connection, self._connection, self._is_checked = self._connection, None, False
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _mode(self) -> str:
        if not self._only_look and os.access(self.path.parent, os.W_OK):
            return "mode=rw"
        # Reading a file in WAL mode makes two more beside it, but for an immutable one, and what others have not moved
        # into it yet is in the first of these.
        waiting = self.path.with_name(f"{self.path.name}-wal")
        return "mode=ro" if self._only_look and waiting.exists() and waiting.stat().st_size else "mode=ro&immutable=1"

    @contextmanager
    def _at(self, tip: str | None) -> Iterator[sqlite3.Connection]:
        """The database at one moment, which is that of the commit `tip`."""
        with self._checked() as database:
            database.execute("BEGIN")
            try:
                if database.execute("SELECT value FROM meta WHERE key = 'tip'").fetchone() != (tip,):
                    raise IndexElsewhereError("it stands at another commit")
                yield database
            finally:
                database.execute("COMMIT")

    @contextmanager
    def _checked(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(
                    f"{self.path.as_uri()}?{self._mode()}",
                    uri=True,
                    timeout=_BUSY_S,
                    isolation_level=None,
                    check_same_thread=False,  # the ledger has one lock around it
                )
                # Not lost by the death of a process; after a power cut the index may be behind, and catches up.
                self._connection.execute("PRAGMA synchronous = NORMAL")
            yield self._connection
        except (sqlite3.Error, ValueError, LookupError, TypeError, AttributeError) as error:
            raise IndexDamagedError(str(error)) from error


_OBJECT_NAME: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
