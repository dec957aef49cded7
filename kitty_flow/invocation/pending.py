"""Which recorded events a hub has not been told of: what the log has beyond a commit, less what is kept back.

The queue is the log itself. Only what this clone recorded is offered; every clone speaks for itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import TYPE_CHECKING, Any, Final

from kitty_flow.hub.delivery import Parcel
from kitty_flow.ledger.line import load_line
from kitty_flow.ledger.op_changes import changed_ops
from kitty_flow.ledger.op_log import OpLog

if TYPE_CHECKING:
    from kitty_flow.agents.settings_hub import HubSettings

__all__ = ["SENT", "TEXT", "pending", "policy_of"]

TEXT: Final = frozenset({"request_text", "summary", "reason"})
"""What people and agents wrote; sent only where the settings say ``send_text``."""

_COMMON: Final = ("schema", "event", "event_id", "invocation_id", "parent", "lamport", "writer", "at", "actor")

SENT: Final = {
    "started": (
        *_COMMON, "machine", "machine_digest", "profile_id", "action", "request_text", "governance_context_hash",
        "governance_context_available", "router_confidence", "mode_of_work", "mission_id", "wp_id",
    ),
    "completed": (
        *_COMMON, "machine", "machine_digest", "outcome", "closed_by", "summary", "reason", "evidence_ref",
    ),
    "artifact_link": (*_COMMON, "ref"),
    "commit_link": (*_COMMON, "sha"),
    "evidence_promoted": (*_COMMON, "ref", "sha256", "size"),
}  # fmt: skip
"""The fields of each event that may be sent; a field of a newer writer stays here until it is in the contract."""


def policy_of(settings: HubSettings) -> str:
    """The policy in one line. Under another one everything is offered again: what was kept back may be sent now."""
    text = "text" if settings.send_text else "no text"
    return " ".join([*sorted(settings.events), "|", *sorted(settings.modes), "|", text])


def pending(log: OpLog, since: str | None, tip: str, settled: Set[str], settings: HubSettings) -> list[Parcel]:
    """The events between two commits of the log that the settings allow, in order within each invocation.

    Raises:
        LedgerError: the log cannot be read. A damaged line is left out, as every reader does.
    """
    found: list[Parcel] = []
    for changed in changed_ops(log.objects, since, tip):
        known = frozenset(changed.before)
        events = list(_events(changed.after))
        mode = next((event.get("mode_of_work") for event in events if event.get("event") == "started"), None)
        fresh = list(_events([line for line in changed.after if line not in known]))
        for event in sorted(fresh, key=lambda e: (e["lamport"], e["event_id"])):
            if event["writer"] == log.writer and event["event_id"] not in settled and mode in settings.modes:
                found += _parcel(event, settings)
    return found


def _parcel(event: dict[str, Any], settings: HubSettings) -> Iterator[Parcel]:
    if event["event"] in settings.events:
        left_out = frozenset() if settings.send_text else TEXT
        data = {name: event[name] for name in SENT[event["event"]] if name in event and name not in left_out}
        yield Parcel(event["invocation_id"], event["event_id"], data)


def _events(lines: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    """Those that are events of a kind that the contract knows, with the fields that the order needs."""
    for line in lines:
        try:
            event = load_line(line)
        except (ValueError, RecursionError):
            continue
        if (
            isinstance(event, dict)
            and event.get("event") in SENT
            and isinstance(event.get("lamport"), int)
            and all(isinstance(event.get(name), str) for name in ("event_id", "invocation_id", "writer"))
        ):
            yield event
