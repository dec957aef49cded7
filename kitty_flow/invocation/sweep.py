"""Requests that nobody closed: listed with their age, and closed as abandoned when they are old and somebody says so.

A command that is killed between its beginning and its end leaves such an orphan, and never half a line.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from kitty_flow.invocation.listing import stored_rows, unreadable
from kitty_flow.invocation.rows import Row
from kitty_flow.invocation.runtime import sweep_one
from kitty_flow.ledger.op_log import OPS_REF, OpLog

if TYPE_CHECKING:
    from kitty_flow.flow.project import Project
    from kitty_flow.invocation.record import InvocationRecord
    from kitty_flow.model.diagnostic import Diagnostic

__all__ = ["THRESHOLD_H", "OpenOp", "SweepReport", "sweep"]

THRESHOLD_H: Final = 24.0
"""Hours after which an open request counts as stale."""


@dataclass(frozen=True)
class OpenOp:
    """A request that nobody closed; `age_h` in hours by the clock of whoever began it."""

    row: Row
    age_h: float
    is_stale: bool

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        names = ("invocation_id", "profile_id", "action", "mode_of_work", "actor", "started_at", "mission_id", "wp_id")
        known = {name: self.row[name] for name in names if name in self.row}
        return known | {"age_hours": round(self.age_h, 2), "stale": self.is_stale}


@dataclass(frozen=True)
class SweepReport:
    """What is open, what was closed by the sweep, and what could not be read."""

    threshold_h: float
    open_ops: tuple[OpenOp, ...]
    swept: tuple[InvocationRecord, ...]
    warnings: tuple[Diagnostic, ...]

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "log": OPS_REF,
            "threshold_hours": self.threshold_h,
            "open_ops": [each.as_data() for each in self.open_ops],
            "swept": [record.as_data() for record in self.swept],
            "skipped_fresh": sum(not each.is_stale for each in self.open_ops),
        }


def sweep(project: Project, *, close_stale: bool, threshold_h: float = THRESHOLD_H) -> SweepReport:
    """List the open requests, newest first; with `close_stale` those older than the threshold are closed one by one.

    Raises:
        ConflictError, LedgerError: as `runtime.complete`; what was closed until then stays closed.
    """
    warnings: list[Diagnostic] = []
    with OpLog(project.repository) as log:
        tip, rewound = log.look()
        warnings += [unreadable(rewound)] if rewound is not None else []
        rows = [row for row in stored_rows(log, tip, warnings) if row["state"] == "started"]
    now = datetime.now(UTC)
    found = [_aged(row, now, threshold_h) for row in rows]
    swept: list[InvocationRecord] = []
    for each in found if close_stale else ():
        if each.is_stale:
            reason = f"nobody closed it within {threshold_h:g} hours"
            record = sweep_one(project, each.row["invocation_id"], reason)
            swept += [record] if record is not None else []
    left = tuple(each for each in found if not (close_stale and each.is_stale))
    return SweepReport(threshold_h, left, tuple(swept), tuple(warnings))


def _aged(row: Row, now: datetime, threshold_h: float) -> OpenOp:
    try:
        begun = datetime.fromisoformat(row["started_at"])
        age_h = (now - begun).total_seconds() / 3600
    except (ValueError, TypeError):  # a moment that makes no sense is an old one
        return OpenOp(row, float(10**6), True)
    return OpenOp(row, age_h, age_h >= threshold_h)
