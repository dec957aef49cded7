"""Does an index say what the log says? Asked by whoever proves a ledger; the index itself is never asked for truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kitty_flow.ledger.index import Index
from kitty_flow.ledger.index_rows import event_row
from kitty_flow.ledger.state import EntityKey, EntityState, state_to_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kitty_flow.ledger.index_rows import Located
    from kitty_flow.ledger.view import LedgerView

__all__ = ["disagreements"]


def disagreements(
    index: Index, view: LedgerView, events: Sequence[Located], paths: Mapping[str, str]
) -> tuple[str, ...]:
    """What an index that stands at the commit of `view` says differently than its events and segments.

    Args:
        view: folded from all events of the commit.
        events: all of them, with their segments.
        paths: the folders and segments of the commit, with their objects.

    Raises:
        IndexDamagedError: it cannot be used, or stands elsewhere by now.
    """
    known = index.load()
    if known is None or known.tip != view.tip:
        return ()
    states = {**dict(index.fetch(None, view.tip)), **dict(known.entities)}
    pairs = {
        "the clock": known.lamport == view.lamport,
        "the number of events": known.event_count == view.event_count,
        "the conflicts": set(known.conflicts) == set(view.conflicts),
        "the damaged lines": set(known.damage) == set(view.damage),
        "the states": _texts(states) == _texts(view.entities),
        "the places of events": index.event_rows() == _rows(index, events),
        "the segments": index.known_paths(view.tip) == dict(paths),
    }
    return tuple(what for what, agrees in pairs.items() if not agrees)


def _texts(states: Mapping[EntityKey, EntityState]) -> dict[EntityKey, str]:
    return {key: state_to_text(state) for key, state in states.items()}


def _rows(index: Index, events: Sequence[Located]) -> dict[str, tuple[object, ...]]:
    """The rows that the events make. Of two events with one id, which is reported elsewhere, either may be there."""
    known = index.event_rows()
    rows: dict[str, tuple[object, ...]] = {}
    for located in events:
        row = event_row(located)
        if rows.get(row[0]) is None or known.get(row[0]) == row:
            rows[row[0]] = row
    return rows
