"""The record protocol: lock, read, decide, append, read back, commit, and only then a receipt.

Source of the rules: seed 004 (status-transition-atomicity, STA-001 to STA-004) and DESIGN section 5.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

from kitty_flow import EVENT_SCHEMA
from kitty_flow.errors import ConflictError, KittyFlowError, LedgerError
from kitty_flow.git.objects import ObjectStore
from kitty_flow.git.refs import ABSENT, RefMovedError
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.diary import diary_message
from kitty_flow.ledger.fold import LedgerView, evolve, fold
from kitty_flow.ledger.lock import exclusive
from kitty_flow.ledger.store import SegmentStore
from kitty_flow.model.event import EntityType, Event

__all__ = ["Batch", "Draft", "Ledger", "Receipt", "mission_ref", "new_ulid"]

LOCK_TIMEOUT_S: Final = 30.0
_TRIES: Final = 5


def mission_ref(mission_id: str) -> str:
    """The ref that is the log of a mission."""
    return f"refs/kitty/m/{mission_id}"


def new_ulid() -> str:
    """A fresh ULID in canonical form."""
    from ulid import ULID

    return str(ULID())


@dataclass(frozen=True)
class Draft:
    """A fact to be recorded: one decided transition of one entity, or an annotation (`to_state` None)."""

    entity_type: EntityType
    entity_id: str
    machine: str
    machine_digest: str
    trigger: str
    actor: str
    from_state: str | None = None
    to_state: str | None = None
    reason: str | None = None
    epoch: int | None = None
    force: bool = False
    evidence: Mapping[str, Any] = field(default_factory=dict)
    payload: Mapping[str, Any] = field(default_factory=dict)
    correlation_id: str | None = None


@dataclass(frozen=True)
class Batch:
    """What one use case wants recorded together, with attachments (path in the ledger's tree to content)."""

    drafts: Sequence[Draft]
    attachments: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Receipt:
    """Proof that events are in the ledger: the ref, the commit that it moved to, and the events as read back."""

    ref: str
    commit: str
    events: tuple[Event, ...]
    paths: tuple[str, ...]
    view: LedgerView


class Ledger:
    """The log of one mission. Use as a context manager, or call `close`. `on_commit` is told of every receipt.

    Args:
        now: the wall clock, for display only (timezone-aware).
    """

    def __init__(
        self,
        repository: Repository,
        mission_id: str,
        mission_slug: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.repository = repository
        self.mission_id = mission_id
        self.mission_slug = mission_slug
        self.ref = mission_ref(mission_id)
        self._now = now
        self.on_commit: Callable[[Receipt], None] | None = None
        self._view: LedgerView | None = None
        self._objects: ObjectStore | None = None
        self._store: SegmentStore | None = None

    @property
    def store(self) -> SegmentStore:
        """The trees behind the log."""
        if self._store is None:
            self._objects = self.repository.objects()
            self._store = SegmentStore(self._objects, self.repository.state_dir)
        return self._store

    def view(self) -> LedgerView:
        """The ledger as it is now; reads only segments that were not read before.

        Raises:
            LedgerError: the log cannot be read.
        """
        tip = self.repository.refs.read(self.ref)
        if self._view is None or self._view.tip != tip:
            self._view = fold(self.ref, tip, self.store.read(tip) if tip else ())
        return self._view

    def attachment(self, path: str) -> bytes:
        """The content of an attachment at the current tip.

        Raises:
            LedgerError: ATTACHMENT_MISSING.
        """
        return self.store.attachment(self.view().tip or self.ref, path)

    def record(self, build: Callable[[LedgerView], Batch]) -> Receipt:
        """Record what `build` decides from the current state. Returns only after the commit.

        `build` must be pure: it runs again when another clone's sync moved the ref in between. Whatever it raises
        leaves the ledger as it was. An empty batch records nothing.

        Raises:
            LedgerError: STATUS_EVENT_PERSISTENCE_FAILED (STA-001 to STA-003), with what was not recorded.
            ConflictError: LOCK_TIMEOUT; LEDGER_BUSY when the ref kept moving; STATE_CHANGED when a draft does not start
                from the state that its entity has.
        """
        lock = self.repository.state_dir / "locks" / f"{self.mission_id}.lock"
        with exclusive(lock, timeout_s=LOCK_TIMEOUT_S, what=f"the ledger of {self.mission_slug}"):
            moved: RefMovedError | None = None
            for _ in range(_TRIES):
                view = self.view()
                batch = build(view)
                if not batch.drafts:
                    return Receipt(self.ref, view.tip or "", (), (), view)
                try:
                    return self._commit(view, batch)
                except RefMovedError as error:
                    moved = error
        raise ConflictError(
            "LEDGER_BUSY",
            f"nothing was recorded: {self.ref} kept moving, or another git process holds it ({_TRIES} tries)",
            hint="run the command again; kitty-flow doctor locks finds locks that were left over",
            details={"ref": self.ref, "reason": str(moved)},
        ) from moved

    def _commit(self, view: LedgerView, batch: Batch) -> Receipt:
        at = self._now()
        events = self._events(view, batch.drafts, at)
        try:
            message = diary_message(events, mission_state=self._mission_state(view, events))
            commit, paths = self.store.append(view.tip, events, batch.attachments, message, at)
            expected = view.with_events(commit, events)
            self._verify(view, expected, events, self.store.read_back(commit, paths))
            self.repository.refs.swap(self.ref, commit, view.tip or ABSENT)
        except RefMovedError:
            raise
        except (KittyFlowError, OSError) as error:
            raise _not_recorded(self.ref, events, error) from error
        self._view = expected
        receipt = Receipt(self.ref, commit, events, paths, expected)
        if self.on_commit is not None:
            # The fact is durable: whatever a display does with it cannot turn it into a failure any more.
            with contextlib.suppress(Exception):
                self.on_commit(receipt)
        return receipt

    def _events(self, view: LedgerView, drafts: Sequence[Draft], at: datetime) -> tuple[Event, ...]:
        states = dict(view.entities)
        events: list[Event] = []
        for lamport, draft in enumerate(drafts, view.lamport + 1):
            key = (draft.entity_type, draft.entity_id)
            known = states.get(key)
            state = known.state if known else None
            if draft.to_state is not None and draft.from_state != state:
                raise ConflictError(
                    "STATE_CHANGED",
                    f"{draft.entity_id} is {state}, not {draft.from_state}, so {draft.trigger} does not apply",
                    hint=f"kitty-flow why {draft.entity_id}",
                )
            event = Event(
                event_id=new_ulid(),
                schema=EVENT_SCHEMA,
                kind="annotation" if draft.to_state is None else "transition",
                mission_id=self.mission_id,
                mission_slug=self.mission_slug,
                entity_type=draft.entity_type,
                entity_id=draft.entity_id,
                machine=draft.machine,
                machine_digest=draft.machine_digest,
                trigger=draft.trigger,
                from_state=state,
                to_state=draft.to_state or state or "",
                parent=known.last_event.event_id if known else None,
                lamport=lamport,
                writer=self.store.writer,
                at=at.isoformat(timespec="milliseconds"),
                actor=draft.actor,
                epoch=draft.epoch,
                force=draft.force,
                reason=draft.reason,
                evidence=dict(draft.evidence),
                causation_id=events[-1].event_id if events else None,
                correlation_id=draft.correlation_id,
                payload=dict(draft.payload),
            )
            states[key] = evolve(known, event)
            events.append(event)
        return tuple(events)

    def _verify(self, before: LedgerView, expected: LedgerView, meant: Sequence[Event], found: Sequence[Event]) -> None:
        """STA-002: what the store returns must be what was meant, event by event and as folded state."""
        by_id = {event.event_id: event for event in found}
        for event in meant:
            if by_id.get(event.event_id) != event:
                raise LedgerError(
                    "READ_BACK_MISMATCH", f"event {event.event_id} reads back differently", details={"sta": "STA-002"}
                )
        again = before.with_events(expected.tip, [by_id[event.event_id] for event in meant])
        if again.entities != expected.entities:
            raise LedgerError("READ_BACK_MISMATCH", "the state folded from the read-back events differs")

    def _mission_state(self, view: LedgerView, events: Sequence[Event]) -> str:
        for event in reversed(events):
            if event.entity_type == "mission":
                return event.to_state
        mission = view.entity("mission", self.mission_id)
        return mission.state if mission else ""

    def close(self) -> None:
        """End the git processes."""
        if self._objects is not None:
            self._objects.close()
        self._objects = self._store = None

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _not_recorded(ref: str, events: Sequence[Event], error: Exception) -> LedgerError:
    first = events[0]
    cause = getattr(error, "message", str(error))
    return LedgerError(
        "STATUS_EVENT_PERSISTENCE_FAILED",
        f"{first.entity_id} did not become {first.to_state}: the event could not be recorded ({cause})",
        hint=f"mend the cause, then run the command again; kitty-flow status {first.mission_slug}",
        details={
            "mission_slug": first.mission_slug,
            "mission_id": first.mission_id,
            "work_package_id": first.entity_id,
            "requested_state": first.to_state,
            "path": ref,
            "diagnostic_code": getattr(error, "code", type(error).__name__),
            "violated_invariant": "STA-002" if getattr(error, "code", "") == "READ_BACK_MISMATCH" else "STA-001",
            "remediation": "nothing was recorded; the former state stands",
        },
    )
