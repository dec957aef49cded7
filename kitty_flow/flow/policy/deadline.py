"""Deadlines that hold when the wall clock jumps: judged by the monotonic clock where it is the same one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

__all__ = ["Deadline", "Moment"]


class Moment(NamedTuple):
    """One moment on both clocks. `boot` names the boot that `monotonic` counts from; None where it cannot be told."""

    boot: str | None
    monotonic: float
    wall: datetime


class Deadline(NamedTuple):
    """A time to come, `lasts_s` seconds after it was set: `until` by the wall clock (ISO), `clock` by the other one."""

    until: str
    lasts_s: float
    clock: Mapping[str, Any]

    @classmethod
    def after(cls, seconds: float, moment: Moment) -> Deadline:
        """The deadline so many seconds from now."""
        until = (moment.wall + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
        return cls(until, seconds, {"boot": moment.boot, "at": round(moment.monotonic, 3)})

    def left(self, moment: Moment) -> float:
        """Seconds left, 0 when it is over.

        All processes since one boot share the monotonic clock. After a reboot, and on another machine, the wall clock
        has to do; where it says that more is left than there ever was, it was set back, and nothing is waited for.
        """
        start = self.clock.get("at")
        if self.clock.get("boot") == moment.boot and isinstance(start, (int, float)) and start <= moment.monotonic:
            return max(0.0, start + self.lasts_s - moment.monotonic)
        try:
            left = (datetime.fromisoformat(self.until) - moment.wall).total_seconds()
        except (ValueError, TypeError):
            return 0.0
        return left if 0.0 < left <= self.lasts_s and math.isfinite(left) else 0.0
