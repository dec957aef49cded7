"""Delivering events to a hub in order, so that neither a bad event nor a bad hub stops what can go on.

An event may arrive twice, never out of order within its invocation: the hub knows it by invocation and event id. What
the hub says of an event decides about it; what it says of itself ends the delivery, and everything else waits.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from kitty_flow.hub.failure import HubFailure
from kitty_flow.hub.protocol import Verdict, verdicts
from kitty_flow.hub.session import Session

__all__ = ["BATCH_EVENTS", "SCHEMA", "Parcel", "deliver"]

SCHEMA: Final = "kitty-flow/hub-events/1"
BATCH_EVENTS: Final = 100

_BATCH_BYTES: Final = 512 * 1024
_TRIES: Final = 4
_FIRST_WAIT_S: Final = 0.2
_ABOUT_CONTENT: Final = frozenset({400, 409, 413, 415, 422})
_MAY_BE_CONTENT: Final = 500


class Parcel(NamedTuple):
    """One event to be told: the ids under which the hub knows it, and what is sent of it."""

    invocation_id: str
    event_id: str
    data: dict[str, Any]


def deliver(
    session: Session,
    parcels: Sequence[Parcel],
    settled: Callable[[Sequence[tuple[Parcel, Verdict]]], None],
    wait: Callable[[float], bool],
) -> HubFailure | None:
    """Send events in their order; returns why it could not go on, or None when all are settled or the time is over.

    A batch that is refused for its content is halved until the event is alone that is refused; that one is settled as
    rejected. The same where the hub fails (500) at one event and takes another one after it.

    Args:
        settled: is told of events as the hub answers for them.
        wait: waits so many seconds; False when there is no time for it.

    Raises:
        RefusedError, ConflictError, ExternalToolError: as `Session.call`, HubFailure excepted.
    """
    queue, size, tries = list(parcels), BATCH_EVENTS, 0
    suspects: list[Parcel] = []
    failure: HubFailure | None = None
    while queue and wait(0.0):
        batch = _batch(queue, size)
        try:
            told = _send(session, batch)
        except HubFailure as error:
            failure = error
            if error.status in _ABOUT_CONTENT:
                if len(batch) == 1:
                    settled([(batch[0], _rejected(batch[0], error))])
                    queue = queue[1:]
                size = max(1, len(batch) // 2)
                continue
            tries += 1
            if error.is_passing and tries < _TRIES and wait(_pause(error, tries)):
                continue
            if error.status != _MAY_BE_CONTENT or len(suspects) > 1:
                return error
            if len(batch) == 1:
                suspects.append(batch[0])
                queue = [each for each in queue if each.invocation_id != batch[0].invocation_id]
            size = max(1, len(batch) // 2)
            continue
        settled(list(zip(batch, told, strict=True)))
        for suspect in suspects:
            settled([(suspect, Verdict(suspect.event_id, "rejected", "server_error"))])
        suspects.clear()
        queue, size, tries = queue[len(batch) :], min(BATCH_EVENTS, size * 2), 0
    return failure if suspects else None


def _send(session: Session, batch: Sequence[Parcel]) -> list[Verdict]:
    body = {"schema": SCHEMA, "events": [parcel.data for parcel in batch]}
    answer = session.call("POST", "/v1/events", body)
    return verdicts(session.client.hub, answer, [parcel.event_id for parcel in batch])


def _batch(queue: Sequence[Parcel], size: int) -> list[Parcel]:
    """As many as fit into one request, and at least one."""
    found, total = [queue[0]], len(json.dumps(queue[0].data))
    for parcel in queue[1:size]:
        total += len(json.dumps(parcel.data))
        if total > _BATCH_BYTES:
            break
        found.append(parcel)
    return found


def _rejected(parcel: Parcel, error: HubFailure) -> Verdict:
    return Verdict(parcel.event_id, "rejected", error.reason or f"status_{error.status}")


def _pause(error: HubFailure, tries: int) -> float:
    """What the hub asks for, else twice as long each time, and never quite the same for two clients."""
    if error.retry_after_s is not None:
        return error.retry_after_s
    return float(_FIRST_WAIT_S * 2 ** (tries - 1) * random.uniform(0.75, 1.25))
