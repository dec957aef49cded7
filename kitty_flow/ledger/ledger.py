"""The record protocol: lock, read, decide, append, read back, commit, and only then a receipt.

Source of the rules: seed 004 (status-transition-atomicity, STA-001 to STA-004) and DESIGN section 5.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Final, TypeVar

from kitty_flow.effects import reach
from kitty_flow.errors import ConflictError, KittyFlowError
from kitty_flow.git.history import History
from kitty_flow.git.objects import ObjectStore, names_missing_object
from kitty_flow.git.refs import ABSENT, RefMovedError, RefMover
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.diary import diary_message, diary_trailers
from kitty_flow.ledger.draft import Batch, Draft, Receipt
from kitty_flow.ledger.exchange import Relation
from kitty_flow.ledger.fold import fold
from kitty_flow.ledger.group import Asked, Decided, answer_all, decide_in_turn, no_publication
from kitty_flow.ledger.index import Index
from kitty_flow.ledger.index_rows import Located
from kitty_flow.ledger.lock import exclusive
from kitty_flow.ledger.persistence import ledger_busy, not_recorded
from kitty_flow.ledger.projection import Projection
from kitty_flow.ledger.recording import following, read_back, segments_of, verify
from kitty_flow.ledger.sharing import MISSIONS
from kitty_flow.ledger.state import EntityKey, EntityState
from kitty_flow.ledger.store import Appended, SegmentStore
from kitty_flow.ledger.tip import TipReader
from kitty_flow.ledger.ulids import new_ulid
from kitty_flow.ledger.view import LedgerView

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = ["Batch", "Draft", "Ledger", "Receipt", "mission_ref", "new_ulid"]

_T = TypeVar("_T")

LOCK_TIMEOUT_S: Final = 30.0
_TRIES: Final = 5


def mission_ref(mission_id: str) -> str:
    """The ref that is the log of a mission."""
    return MISSIONS + mission_id


class Ledger:
    """The log of one mission. Use as a context manager, or call `close`. `on_commit` (what is displayed) and
    `listeners` (what goes on beside it) are told of every receipt.

    Several threads may use it at once. What they record while one commit is being made goes into the next one together.

    Args:
        mission_slug: its slug; may be empty for a log that is only read or received.
        now: the wall clock, for display only (timezone-aware).
        only_look: never write, remove or make the index, whatever is wrong with it.
    """

    def __init__(
        self,
        repository: Repository,
        mission_id: str,
        mission_slug: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        only_look: bool = False,
    ) -> None:
        self.repository = repository
        self.mission_id = mission_id
        self.mission_slug = mission_slug
        self.ref = mission_ref(mission_id)
        self._now = now
        self._only_look = only_look
        self.on_commit: Callable[[Receipt], None] | None = None
        self.listeners: list[Callable[[Receipt], None]] = []
        # Held for what is remembered and for the git processes, never while another process is waited for.
        self._door = threading.RLock()
        self._turn = threading.RLock()
        self._line_door = threading.Lock()
        self._line: list[Asked] = []
        self._objects: ObjectStore | None = None
        self._store: SegmentStore | None = None
        self._mover: RefMover | None = None
        self._tip: TipReader | None = None
        self._index: Index | None = None
        self._projection: Projection | None = None

    @property
    def store(self) -> SegmentStore:
        """The trees behind the log."""
        with self._door:
            if self._store is None:
                self._objects = self.repository.objects()
                self._store = SegmentStore(self._objects, self.repository.state_dir)
            return self._store

    @property
    def index(self) -> Index:
        """The index of this ledger."""
        with self._door:
            if self._index is None:
                path = self.repository.state_dir / "index" / f"{self.mission_id}.sqlite3"
                self._index = Index(path, self.ref, self.mission_slug, only_look=self._only_look)
            return self._index

    @property
    def projection(self) -> Projection:
        """What is derived from the log."""
        with self._door:
            if self._projection is None:
                empty = LedgerView(self.ref, self.mission_slug, None)
                history = History(self.repository.git)
                self._projection = Projection(self.store, history, self.index, empty, self._door)
            return self._projection

    def view(self) -> LedgerView:
        """The ledger as it is now; reads only segments that were not read before.

        Raises:
            LedgerError: the log cannot be read.
        """
        with self._door:
            self.store.objects.restore()
            return self._restoring(self._read)

    def _read(self) -> LedgerView:
        if self._tip is None:
            self._tip = TipReader(self.repository, self.store.objects, self.ref)
        return self.projection.view(self._tip.read)

    def _restoring(self, work: Callable[[], _T]) -> _T:
        """Do `work`, and again when it failed for an object that `git prune` took and that could be put back."""
        may_be_back = True
        for _ in range(_TRIES - 1):
            try:
                return work()
            except RefMovedError:
                raise
            except KittyFlowError as error:
                # Where nothing was to be put back, another process may have done so before we looked: one try tells.
                is_back = bool(self.store.objects.restore(at_once=True))
                if not is_back and not (may_be_back and names_missing_object(error)):
                    raise
                may_be_back = is_back
        return work()

    def events(self) -> tuple[Event, ...]:
        """Every event that can be read, in the ledger's order; read from the commits, whatever the length.

        Raises:
            LedgerError: the log cannot be read.
        """
        with self._door:
            tip = self.view().tip
            events = [located.event for located in self.projection.located(tip)[0]] if tip else []
        unique = {event.event_id: event for event in events}
        return tuple(sorted(unique.values(), key=lambda e: e.order))

    def attachment(self, path: str) -> bytes:
        """The content of an attachment at the current tip.

        Raises:
            LedgerError: ATTACHMENT_MISSING.
        """
        with self._door:
            return self.store.attachment(self.view().tip or self.ref, path)

    def lock(self, meanwhile: Callable[[], object] = lambda: None) -> contextlib.AbstractContextManager[None]:
        """Hold the ledger against every other kitty-flow process of this clone.

        Args:
            meanwhile: is done once if another process holds it; what it raises ends the waiting.

        Raises:
            ConflictError: LOCK_TIMEOUT.
        """
        path = self.repository.state_dir / "locks" / f"{self.mission_id}.lock"
        what = f"the ledger of {self.mission_slug}"
        return exclusive(path, timeout_s=LOCK_TIMEOUT_S, what=what, meanwhile=meanwhile)

    def record(
        self, build: Callable[[LedgerView], Batch], *, publish: Callable[[str], None] = no_publication
    ) -> Receipt:
        """Record what `build` decides from the current state. Returns only after the commit.

        `build` must be pure: it runs also while another process holds the ledger, and again when another clone's sync
        moved the ref in between. Whatever it raises leaves the ledger as it was. An empty batch records nothing.

        Args:
            publish: is given the commit that was read back, before the ref moves; what it raises keeps it from moving.

        Raises:
            LedgerError: STATUS_EVENT_PERSISTENCE_FAILED (STA-001 to STA-003), with what was not recorded;
                LEDGER_REWOUND, the ref lost commits that were acknowledged.
            ConflictError: LOCK_TIMEOUT; LEDGER_BUSY when the ref kept moving; STATE_CHANGED when a draft does not start
                from the state that its entity has.
        """
        asked = Asked(build, publish)
        with self._line_door:
            self._line.append(asked)
        with self._turn:  # whoever comes first decides for all who came meanwhile
            if not asked.is_answered:
                self._lead(asked)
        return asked.answer()

    def _lead(self, first: Asked) -> None:
        """Record what stands in line, `first` at least, in one commit or as many as it takes."""
        line = [first]
        try:
            # What is imported, read and started for a first decision would keep those behind in the line waiting; and
            # what is refused now need not wait: the view that it is decided on is newer than the command.
            with self.lock(meanwhile=lambda: self._rehearse(first)):
                with self._line_door:
                    line, self._line = self._line, []
                with self._door:
                    waiting = line
                    while waiting:
                        waiting = self._try(waiting)
        except BaseException as error:
            with self._line_door:
                self._line = [asked for asked in self._line if asked is not first]
            for asked in line:
                if not asked.is_answered:
                    asked.refusal = error
            if not isinstance(error, Exception):
                raise
            return
        self._settle(line)

    def _rehearse(self, asked: Asked) -> None:
        with self._door:
            asked.build(self._restoring(self._read))

    def _settle(self, line: Sequence[Asked]) -> None:
        if not any(asked.receipt for asked in line):
            return
        # A `git prune` that looked at the refs before this move still takes what was written since.
        with self._door:
            self.store.objects.restore()
        count = sum(len(asked.receipt.events) for asked in line if asked.receipt is not None)
        if count:
            from kitty_flow.ledger.housekeeping import tidy_if_due

            tidy_if_due(self.repository, count)

    def _try(self, waiting: list[Asked]) -> list[Asked]:
        """Answer those who stand in line in one commit; returns those who have to wait for the next one."""
        moved: RefMovedError | None = None
        for _ in range(_TRIES):
            view, at = self._restoring(self._read), self._now()
            mission = (self.mission_id, self.mission_slug)
            decided, later = decide_in_turn(view, waiting, mission, lambda: self.store.writer, at)
            try:
                return [*self._answer(view, decided, at), *later]
            except RefMovedError as error:
                moved = error
                if error.is_locked:  # it was waited for already
                    break
        raise ledger_busy(self.ref, moved) from moved

    def _answer(self, view: LedgerView, decided: Sequence[Decided], at: datetime) -> list[Asked]:
        """Commit what was decided and tell everybody; returns those whose decision rested on what was not committed."""
        committed = [one for one in decided if one.events]
        after, commit = view, view.tip or ""
        paths: dict[str, str] = {}
        if committed:
            try:
                after, commit, paths = self._commit(view, committed, at)
            except RefMovedError:
                raise
            except (KittyFlowError, OSError) as error:
                for one in committed:
                    one.asked.refusal = error
                    if not isinstance(error, ConflictError):
                        one.asked.refusal = not_recorded(self.ref, one.events, error)
                        one.asked.refusal.__cause__ = error
                committed = []
        uncertain = answer_all(decided, after, commit, paths, is_committed=bool(committed))
        self._tell(one.asked.receipt for one in committed)
        return uncertain

    def _tell(self, receipts: Iterable[Receipt | None]) -> None:
        for number, receipt in enumerate(receipts):
            if not number:
                reach("ledger.acknowledge")
            for told in (*self.listeners, self.on_commit):
                with contextlib.suppress(Exception):
                    if told is not None and receipt is not None:
                        told(receipt)

    def receive(self, theirs: str | None) -> tuple[Relation, LedgerView]:
        """Take over what another clone recorded; returns how the two met, and the view afterwards.

        Raises:
            LedgerError: an object is missing or damaged.
            ConflictError: LOCK_TIMEOUT; LEDGER_BUSY when the ref kept moving.
        """
        from kitty_flow.ledger.receive import receive

        with self.lock():
            found, _ = receive(self.repository, self.store.objects, self.ref, theirs, self._trailers)
            view = self.view()
        mission = view.entity("mission", self.mission_id)
        if mission is not None:
            self.mission_slug = mission.last_event.mission_slug
        return found, replace(view, slug=self.mission_slug)

    def _trailers(self, tree: str) -> list[str]:
        folded = fold(located.event for located in self.projection.located(tree)[0])
        mission = folded.entities.get(("mission", self.mission_id))
        slug = mission.last_event.mission_slug if mission else self.mission_slug
        return diary_trailers(folded.lamport, slug, mission.state if mission else "")

    def _commit(
        self, view: LedgerView, decided: Sequence[Decided], at: datetime
    ) -> tuple[LedgerView, str, dict[str, str]]:
        """Write one commit; returns the view after it, its name, and the path of each event's segment."""
        events = tuple(event for one in decided for event in one.events)
        lines = [line for one in decided for line in one.lines]
        attachments = decided[-1].attachments
        expected, changed = following(view, events)
        message = diary_message(events, mission_state=self._mission_state(expected))

        def write() -> Appended:
            appended = self.store.append(view.tip, lines, attachments, message, at)
            verify(view, changed, events, read_back(self.store, appended))
            decided[-1].asked.publish(appended.commit)
            self._move(view.tip, appended.commit)
            return appended

        appended = self._restoring(write)
        after, paths = self._follow(view, changed, appended, events)
        return after, appended.commit, paths

    def _move(self, before: str | None, commit: str) -> None:
        """The one commit point: nothing is recorded before, everything after."""
        if self._mover is None:
            self._mover = RefMover(self.repository.refs, of_ledger=True)
        self._mover.swap(self.ref, commit, before or ABSENT)

    def _follow(
        self,
        before: LedgerView,
        changed: dict[EntityKey, EntityState],
        appended: Appended,
        events: tuple[Event, ...],
    ) -> tuple[LedgerView, dict[str, str]]:
        """The fact is durable: nothing that is derived or displayed can turn it into a failure any more."""
        view = following(before, events, appended.commit)[0]
        paths = segments_of(events, appended)
        located = [Located(event, path) for event, path in zip(events, paths, strict=True)]
        known = appended.folders | {written.path: written.oid for written in appended.segments}
        view = self.projection.recorded(before, view, changed, located, known)
        return view, {each.event.event_id: each.path for each in located}

    def _mission_state(self, view: LedgerView) -> str:
        mission = view.entity("mission", self.mission_id)
        return mission.state if mission else ""

    def close(self) -> None:
        """End the git processes and close the index."""
        with self._door:
            for door in (self._objects, self._mover, self._index):
                if door is not None:
                    door.close()
            self._objects = self._store = self._mover = self._tip = self._index = self._projection = None

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
