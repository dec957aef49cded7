"""Deadlines that hold when the wall clock jumps: judged by the monotonic clock where it is the same one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from kitty_flow.flow.lease import Now

__all__ = ["Deadline"]


class Deadline(NamedTuple):
    """A time to come, `lasts_s` seconds after it was set: `until` by the wall clock (ISO), `clock` by the other one."""

    until: str
    lasts_s: float
    clock: Mapping[str, Any]

    @classmethod
    def after(cls, seconds: float, at: Now) -> Deadline:
        """The deadline so many seconds from now."""
        until = (at.wall + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
        return cls(until, seconds, {"boot": at.boot, "at": round(at.monotonic, 3)})

    def left(self, at: Now) -> float:
        """Seconds left, 0 when it is over.

        All processes since one boot share the monotonic clock. After a reboot, and on another machine, the wall clock
        has to do; where it says that more is left than there ever was, it was set back, and nothing is waited for.
        """
        boot, start = self.clock.get("boot"), self.clock.get("at")
        if boot is not None and boot == at.boot and isinstance(start, (int, float)) and start <= at.monotonic:
            return max(0.0, start + self.lasts_s - at.monotonic)
        try:
            left = (datetime.fromisoformat(self.until) - at.wall).total_seconds()
        except (ValueError, TypeError):
            return 0.0
        return left if 0.0 < left <= self.lasts_s and math.isfinite(left) else 0.0
