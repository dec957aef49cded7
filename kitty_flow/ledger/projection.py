"""From the ledger's commits to its view: by the index where it is right, by what changed since, or by everything."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from kitty_flow.git.history import History
from kitty_flow.git.process import GitFailedError
from kitty_flow.ledger.fold import fold
from kitty_flow.ledger.index import Index, IndexElsewhereError
from kitty_flow.ledger.index_rows import IndexDamagedError, Located
from kitty_flow.ledger.segment import Damage, decode_lines
from kitty_flow.ledger.state import EntityKey, EntityState
from kitty_flow.ledger.store import SegmentStore
from kitty_flow.ledger.view import Fetch, LedgerView

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = ["Projection"]

_RELOADS = 4
_STEPS = 32
"""How many commits are walked before git is asked whether one commit descends from another."""


class Projection:
    """Keeps the view of one ledger up to date. Whatever it remembers can be made anew from the commits.

    Args:
        store: reads the segments.
        history: answers what descends from what.
        index: the index, used as far as it agrees with the commits.
        empty: the view of this ledger before its first event.
        door: the lock around the ledger; a view that was given out fetches behind it, from whichever thread.
    """

    def __init__(
        self,
        store: SegmentStore,
        history: History,
        index: Index,
        empty: LedgerView,
        door: AbstractContextManager[object] | None = None,
    ) -> None:
        self._door = door or threading.RLock()
        self._store = store
        self._history = history
        self._index = index
        self._empty = empty
        self._view: LedgerView | None = None
        self._paths: dict[str, str] | None = None

    def view(self, read_tip: Callable[[], str | None]) -> LedgerView:
        """The ledger as it is now; `read_tip` asks for the commit at its ref.

        Raises:
            LedgerError: OBJECT_MISSING, OBJECT_DAMAGED or UNKNOWN_EVENT_SCHEMA.
        """
        for _ in range(_RELOADS):
            before = self._view or self._indexed()
            # Read after the index, which is brought forward only after the ref: it is never ahead of this tip.
            tip = read_tip()
            if before is None:
                self._view = self._whole(tip) if tip is not None else self._empty
            elif before.tip != tip:
                self._view = self._advanced(before, tip)
            else:
                self._view = before
            if self._view is not None:
                return self._view
        self._view = self._whole(tip) if tip is not None else self._empty
        return self._view

    def recorded(
        self,
        before: LedgerView,
        view: LedgerView,
        changed: Mapping[EntityKey, EntityState],
        events: Iterable[Located],
        paths: Mapping[str, str],
    ) -> LedgerView:
        """Take over what was just committed: the view after it, which is returned, its paths and the added events."""
        # It asks the index from now on, which goes along, and no more for the commit before.
        view = self._view = replace(view, entities=view.entities.fetching_on(self._fetcher(view.tip)))
        if self._paths is not None:
            self._paths.update(paths)
        with suppress(OSError):
            try:
                if before.tip is None:
                    self._index.rebuild(view, events, paths)
                else:
                    self._index.follow(before.tip, view, changed, events, paths)
            except IndexDamagedError:
                self._index.remove()
        return view

    def located(self, tip: str) -> tuple[list[Located], list[Damage], dict[str, str]]:
        """Every event of a commit with its segment, what is damaged, and all paths; no index is consulted.

        Raises:
            LedgerError: OBJECT_MISSING, OBJECT_DAMAGED or UNKNOWN_EVENT_SCHEMA.
        """
        events: list[Located] = []
        damage: list[Damage] = []
        paths: dict[str, str] = {}
        for path, entry in self._store.changed(tip, {}):
            paths[path] = entry.oid
            if entry.type == "blob":
                found, bad = decode_lines(self._store.objects.read_blob(entry.oid), path)
                events += [Located(event, path) for event in found]
                damage += bad
        return events, damage, paths

    def beyond(self, tip: str, seen: str | None) -> list[Event]:
        """The events that the commit `tip` has more than the commit `seen`; all of them where that is None.

        Raises:
            LedgerError: an object is missing or damaged.
        """
        known = {path: entry.oid for path, entry in self._store.changed(seen, {})} if seen else {}
        added = self._added(tip, known)
        return [located.event for located in (added[0] if added else self.located(tip)[0])]

    def _indexed(self) -> LedgerView | None:
        try:
            view = self._index.load()
        except IndexDamagedError:
            self._index.remove()
            return None
        return replace(view, entities=view.entities.fetching(self._fetcher(view.tip))) if view else None

    def _fetcher(self, tip: str | None) -> Fetch:
        def fetch(key: EntityKey | None) -> Mapping[EntityKey, EntityState] | None:
            with self._door:
                try:
                    return self._index.fetch(key, tip)
                except IndexElsewhereError:
                    pass
                except IndexDamagedError:
                    self._index.remove()
                return None if key else fold(located.event for located in self.located(str(tip))[0]).entities

        return fetch

    def _whole(self, tip: str) -> LedgerView:
        events, damage, paths = self.located(tip)
        folded = fold(located.event for located in events)
        view = LedgerView.of(self._empty.ref, self._empty.slug, tip, folded, damage)
        self._paths = paths
        with suppress(OSError, IndexDamagedError):
            self._index.rebuild(view, events, paths)
        return view

    def _advanced(self, view: LedgerView, tip: str | None) -> LedgerView | None:
        """The view at another commit than the one that was seen last; None when the index was brought forward while
        we looked, so that another try with it is due."""
        seen = view.rewound_from or view.tip
        if tip is None or not self._descends(tip, seen):
            # The ref was moved back or aside: acknowledged events may be missing.
            whole = self._empty if tip is None else self._unindexed(tip)
            self._paths = None
            return replace(whole, rewound_from=seen)
        if view.rewound_from is not None:
            return self._whole(tip)
        paths = self._known_paths(view.tip)
        if paths is None:
            return None
        added = self._added(tip, paths)
        followed = view.follow(tip, (located.event for located in added[0])) if added else None
        if added is None or followed is None:
            return self._whole(tip)
        events, damage, new_paths = added
        after = replace(followed[0], damage=(*view.damage, *damage))
        return self.recorded(view, after, followed[1], events, new_paths)

    def _descends(self, tip: str, ancestor: str | None) -> bool:
        """Whether the commit `tip` contains `ancestor`; mostly it is a few commits ahead."""
        at = tip
        for _ in range(_STEPS):
            if ancestor in (at, None):
                return True
            parents = self._store.objects.read_parents(at)
            if len(parents) != 1:
                break
            at = parents[0]
        try:
            return self._history.is_ancestor(str(ancestor), tip)
        except GitFailedError:  # the commit that was seen last is not here any more
            return False

    def _unindexed(self, tip: str) -> LedgerView:
        events, damage, _ = self.located(tip)
        folded = fold(located.event for located in events)
        return LedgerView.of(self._empty.ref, self._empty.slug, tip, folded, damage)

    def _known_paths(self, tip: str | None) -> dict[str, str] | None:
        """The paths of the view at `tip`: these and no others, or events between two commits would be left out."""
        if self._paths is None:
            with suppress(IndexDamagedError):
                self._paths = self._index.known_paths(tip)
        return self._paths

    def _added(self, tip: str, known: Mapping[str, str]) -> tuple[list[Located], list[Damage], dict[str, str]] | None:
        """What a commit has more than the `known` paths; None when a segment lost a line, which no append does, or when
        it is not here as it was before."""
        events: list[Located] = []
        damage: list[Damage] = []
        paths: dict[str, str] = {}
        objects = self._store.objects
        for path, entry in self._store.changed(tip, known):
            paths[path] = entry.oid
            if entry.type != "blob":
                continue
            before = objects.read(known[path]) if path in known else ("blob", b"")
            content = objects.read_blob(entry.oid)
            old = set(before[1].split(b"\n")) if before else set()
            if before is None or not old <= set(content.split(b"\n")):
                return None
            found, bad = decode_lines(content, path, old)
            events += [Located(event, path) for event in found]
            damage += bad
        return events, damage, paths
