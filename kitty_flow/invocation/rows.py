"""An invocation as one flat row, made from the plain events of the log: what `invocations list` and `show` print.

Lists are asked for often and are long; a row needs no library. What is not in the one form in which events are written
is left to `op_lines`, which checks every field and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kitty_flow.ledger.line import load_line

__all__ = ["OP_SCHEMA", "Row", "plain_row", "row_of"]

Row = dict[str, Any]

OP_SCHEMA: Final = "kitty-flow/op/1"
"""Schema tag of every line; a reader refuses versions that it does not know."""

_STARTED: Final = (
    "invocation_id", "profile_id", "action", "mode_of_work", "request_text", "actor", "router_confidence",
    "governance_context_hash", "governance_context_available",
)  # fmt: skip
_OF_MISSION: Final = ("mission_id", "wp_id")
_COMPLETED: Final = ("outcome", "closed_by", "summary", "reason", "evidence_ref")
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "started": (*_STARTED, "at"),
    "completed": ("outcome", "closed_by", "at", "actor"),
    "artifact_link": ("ref",),
    "commit_link": ("sha",),
    "evidence_promoted": ("ref", "sha256"),
}


def row_of(events: Sequence[Mapping[str, Any]], log: str, counted: str | None = None) -> Row:
    """The row of one invocation: `events` in their order, one of them its start; absent optional fields are left out.

    Args:
        counted: the event that closes it; by default the closing with the larger id.
    """
    started = next(event for event in events if event["event"] == "started")
    closings = sorted((event for event in events if event["event"] == "completed"), key=lambda event: event["event_id"])
    closing = next((event for event in reversed(closings) if counted in (None, event["event_id"])), None)
    row: Row = {name: started[name] for name in _STARTED}
    row |= {name: started[name] for name in _OF_MISSION if started.get(name) is not None}
    row |= {"state": "started", "started_at": started["at"], "completed_at": None, "outcome": None}
    if closing is not None:
        row |= {"state": closing["outcome"], "completed_at": closing["at"], "completed_by": closing["actor"]}
        row |= {name: closing[name] for name in _COMPLETED if closing.get(name) is not None}
    row["artifacts"] = [event["ref"] for event in events if event["event"] == "artifact_link"]
    row["commits"] = [event["sha"] for event in events if event["event"] == "commit_link"]
    kept = [event for event in events if event["event"] == "evidence_promoted"]
    row["evidence"] = [{"ref": event["ref"], "sha256": event["sha256"]} for event in kept]
    row["superseded"] = [event["event_id"] for event in closings if event is not closing]
    return row | {"log": log}


def plain_row(content: bytes, log: str) -> Row | None:
    """The row of the lines of one invocation; None where a line is not as it is written, so that more has to be asked.

    An event that comes twice counts once.
    """
    events: dict[str, Mapping[str, Any]] = {}
    try:
        for line in content.splitlines():
            event = load_line(line)
            if event["schema"] != OP_SCHEMA or not all(name in event for name in _NEEDED[event["event"]]):
                return None
            events[event["event_id"]] = event
        return row_of(sorted(events.values(), key=lambda event: (event["lamport"], event["event_id"])), log)
    except (ValueError, LookupError, TypeError, StopIteration, RecursionError):
        return None
