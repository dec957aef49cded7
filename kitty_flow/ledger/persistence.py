"""Failures to record, told as the contract wants it (seed 004, status-transition-atomicity, STA-001 to STA-004)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kitty_flow.errors import ConflictError, LedgerError
from kitty_flow.git.refs import RefNotDurableError
from kitty_flow.ledger.view import LedgerView

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = ["ledger_busy", "not_recorded", "refuse_rewound"]

_READ_BACK = "READ_BACK_MISMATCH"


def not_recorded(ref: str, events: Sequence[Event], error: Exception) -> LedgerError:
    """The failure of a batch: nothing of it is known to be recorded, and the command must not say that it was."""
    # A batch often moves an invocation along; the work package is what the user asked about.
    first = next((event for event in events if event.entity_type == "work_package"), events[0])
    cause = getattr(error, "message", str(error))
    code = getattr(error, "code", type(error).__name__)
    remediation = "nothing was recorded and the former state stands: mend the cause, then run the command again"
    if isinstance(error, RefNotDurableError):
        remediation = "the event is in the ledger, but is not known to be on the disk: mend the cause, then look again"
    return LedgerError(
        "STATUS_EVENT_PERSISTENCE_FAILED",
        f"{first.entity_id} of {first.mission_slug} did not become {first.to_state}: "
        f"the event could not be recorded ({cause})",
        hint=f"mend the cause, then run the command again; kitty-flow status {first.mission_slug}",
        details={
            "mission_slug": first.mission_slug,
            "mission_id": first.mission_id,
            "entity_type": first.entity_type,
            "work_package_id": first.entity_id if first.entity_type == "work_package" else None,
            "entity_id": first.entity_id,
            "requested_lane": first.to_state,
            "path": ref,
            "diagnostic_code": code,
            "violated_invariant": "STA-002" if code == _READ_BACK else "STA-001",
            "remediation": remediation,
        },
    )


def refuse_rewound(view: LedgerView) -> None:
    """Nothing is recorded behind events that were acknowledged and are gone.

    Raises:
        LedgerError: LEDGER_REWOUND.
    """
    if view.rewound_from is not None:
        raise LedgerError(
            "LEDGER_REWOUND",
            f"the ledger of {view.slug} was moved back: {view.ref} does not contain {view.rewound_from[:12]}, "
            "which was acknowledged",
            hint="kitty-flow doctor ledger --fix brings both together again",
            details={"ref": view.ref, "last_seen": view.rewound_from, "tip": view.tip},
        )


def ledger_busy(ref: str, moved: Exception | None) -> ConflictError:
    """The failure of a record whose ref moved again and again."""
    return ConflictError(
        "LEDGER_BUSY",
        f"nothing was recorded: {ref} kept moving, or another git process holds it",
        hint="run the command again; kitty-flow doctor locks finds locks that were left over",
        details={"ref": ref, "reason": str(moved)},
    )
