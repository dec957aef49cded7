"""From drafts to events, and whether what was written is what was meant (STA-002)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from kitty_flow import EVENT_SCHEMA
from kitty_flow.errors import ConflictError, LedgerError
from kitty_flow.ledger.clock import LamportClock
from kitty_flow.ledger.draft import Draft
from kitty_flow.ledger.segment import decode_event
from kitty_flow.ledger.state import EntityKey, EntityState
from kitty_flow.ledger.store import Appended, SegmentStore
from kitty_flow.ledger.ulids import new_ulid
from kitty_flow.ledger.view import LedgerView

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = ["following", "make_events", "read_back", "segments_of", "verify"]


def make_events(
    view: LedgerView, drafts: Sequence[Draft], mission: tuple[str, str], writer: str, at: datetime
) -> tuple[Event, ...]:
    """The events for drafts that were decided on `view`; `mission` is (id, slug).

    Raises:
        ConflictError: STATE_CHANGED, a draft does not start from the state that its entity has.
    """
    from kitty_flow.model.event import Event

    latest: dict[EntityKey, tuple[str, str]] = {}
    events: list[Event] = []
    clock = LamportClock(view.lamport)
    for draft in drafts:
        clock = clock.tick()
        key = (draft.entity_type, draft.entity_id)
        known = view.entities.get(key)
        state, parent = latest.get(key) or ((known.state, known.last_event.event_id) if known else (None, None))
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
            mission_id=mission[0],
            mission_slug=mission[1],
            entity_type=draft.entity_type,
            entity_id=draft.entity_id,
            machine=draft.machine,
            machine_digest=draft.machine_digest,
            trigger=draft.trigger,
            from_state=state,
            to_state=draft.to_state or state or "",
            parent=parent,
            lamport=clock.value,
            writer=writer,
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
        latest[key] = (event.to_state, event.event_id)
        events.append(event)
    return tuple(events)


def read_back(store: SegmentStore, appended: Appended) -> list[Event]:
    """The events of a commit that was just written, as the object store now returns them.

    Raises:
        LedgerError: OBJECT_MISSING, OBJECT_DAMAGED or READ_BACK_MISMATCH.
    """
    found: list[Event] = []
    for written in appended.segments:
        for line in store.read_back(appended.commit, written).splitlines():
            try:
                found.append(decode_event(line, written.path))
            except (ValueError, RecursionError) as error:
                raise LedgerError("READ_BACK_MISMATCH", f"a line of {written.path} reads back damaged") from error
    return found


def verify(
    before: LedgerView, expected: dict[EntityKey, EntityState], meant: Sequence[Event], found: Sequence[Event]
) -> None:
    """What the store returns must be what was meant, event by event and as folded state.

    Raises:
        LedgerError: READ_BACK_MISMATCH.
    """
    for event, read in zip(meant, found, strict=False):
        if read != event:
            raise LedgerError("READ_BACK_MISMATCH", f"event {event.event_id} reads back differently")
    if len(meant) != len(found):
        raise LedgerError("READ_BACK_MISMATCH", f"{len(meant)} events were written, {len(found)} read back")
    if following(before, found)[1] != expected:
        raise LedgerError("READ_BACK_MISMATCH", "the state folded from the read-back events differs")


def following(
    view: LedgerView, events: Sequence[Event], tip: str | None = None
) -> tuple[LedgerView, dict[EntityKey, EntityState]]:
    """The view after events that were made on it, and the states that they changed.

    Raises:
        LedgerError: READ_BACK_MISMATCH, they do not follow.
    """
    followed = view.follow(tip, events)
    if followed is None:
        raise LedgerError("READ_BACK_MISMATCH", "the events do not follow the state that they were decided on")
    return followed


def segments_of(events: Sequence[Event], appended: Appended) -> list[str]:
    """The path of the segment of each event, in order."""
    paths: list[str] = []
    for written in appended.segments:
        paths += [written.path] * (written.content.count(b"\n") - written.before.count(b"\n"))
    return paths[: len(events)]
