"""The circuit breaker: one quota error parks everything that uses the same credentials until the quota is back.

It is an event on the mission (`pool_parked`) that carries all pools parked by then, since later facts replace earlier
ones. Nothing is recorded when the time is over, and nobody's pause of the mission is touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from kitty_flow.flow.lease import Now
from kitty_flow.flow.policy.deadline import Deadline
from kitty_flow.flow.policy.retry import fraction
from kitty_flow.ledger.view import EntityState

__all__ = ["POOL_PARKED", "ParkedPool", "park", "parked_pools", "pause_of"]

POOL_PARKED: Final = "pool_parked"
"""The annotation's name."""

_LEAST_S: Final = 30.0
_MOST_S: Final = 8 * 24 * 3600.0
_SPREAD: Final = 0.1
_SPREAD_MOST_S: Final = 60.0


class ParkedPool(NamedTuple):
    """A pool whose quota is used up: until when (ISO), what the agent said, which agent it was, and what is left."""

    pool: str
    until: str
    reason: str
    agent: str
    left_s: float

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return self._asdict() | {"left_s": round(self.left_s, 1)}


def pause_of(resets_at: datetime | None, default_s: float, invocation_id: str, at: Now) -> float:
    """Seconds for which the pool rests: to the time of the reset, or `default_s` where none is known or it is past.

    A little is added, different for every invocation, so that not everybody comes back in the same second. A reset that
    is claimed to be next year is a misread one: no more than eight days are waited (weekly quotas exist).
    """
    seconds = (resets_at - at.wall).total_seconds() if resets_at is not None else 0.0
    seconds = default_s if seconds <= 0.0 else min(max(seconds, _LEAST_S), _MOST_S)
    return round(seconds + min(seconds * _SPREAD, _SPREAD_MOST_S) * fraction(invocation_id), 3)


def park(mission: EntityState | None, pool: str, agent: str, reason: str, pause_s: float, at: Now) -> dict[str, Any]:
    """The evidence that parks the pool, beside those that are parked still."""
    deadline = Deadline.after(pause_s, at)
    still = {p.pool for p in parked_pools(mission, at)}
    known = mission.facts.get("parked_pools") if mission is not None else None
    kept = {name: row for name, row in known.items() if name in still} if isinstance(known, Mapping) else {}
    row = {"until": deadline.until, "lasts_s": pause_s, "clock": deadline.clock, "reason": reason, "agent": agent}
    return {
        "pool": pool,
        "until": deadline.until,
        "reason": reason,
        "agent": agent,
        "parked_pools": {**kept, pool: row},
    }


def parked_pools(mission: EntityState | None, at: Now) -> tuple[ParkedPool, ...]:
    """The pools that are parked now, by name."""
    known = mission.facts.get("parked_pools") if mission is not None else None
    found = []
    for name, row in sorted(known.items()) if isinstance(known, Mapping) else ():
        if not isinstance(row, Mapping) or not isinstance(row.get("clock"), Mapping):
            continue
        left = Deadline(str(row.get("until")), float(row.get("lasts_s", 0.0)), row["clock"]).left(at)
        if left > 0.0:
            found.append(ParkedPool(name, str(row.get("until")), str(row.get("reason")), str(row.get("agent")), left))
    return tuple(found)
