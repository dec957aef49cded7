"""What a command that moved something says about it: which event, which lane, and where the event is (seed 004)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kitty_flow.ledger.draft import Receipt
from kitty_flow.ledger.ledger import Ledger

__all__ = ["collected", "moves"]


def moves(receipt: Receipt) -> list[dict[str, Any]]:
    """The transitions of work packages in a receipt, JSON-ready: `event_id`, `work_package_id`, lanes, and where."""
    return [
        {
            "event_id": event.event_id,
            "work_package_id": event.entity_id,
            "from_lane": event.from_state,
            "to_lane": event.to_state,
            "ledger": receipt.ref,
            "ledger_commit": receipt.commit,
            "path": list(receipt.paths),
        }
        for event in receipt.events
        if event.entity_type == "work_package" and event.kind == "transition"
    ]


@contextmanager
def collected(ledger: Ledger) -> Iterator[list[dict[str, Any]]]:
    """Gathers `moves` of everything that is recorded during the block, beside whoever listens already."""
    found: list[dict[str, Any]] = []
    before = ledger.on_commit

    def note(receipt: Receipt) -> None:
        found.extend(moves(receipt))
        if before is not None:
            before(receipt)

    ledger.on_commit = note
    try:
        yield found
    finally:
        ledger.on_commit = before
