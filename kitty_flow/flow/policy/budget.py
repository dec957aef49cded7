"""What agents used, and the limits on it: sums of what the ledger has, so that no restart begins at nothing.

Every work package carries the sum of its invocations in its facts (`usage`), written in the same commit as the end of
each; a mission's usage is the sum over its work packages, whichever run, or agent with `next`, did the work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from kitty_flow.ledger.view import EntityState

__all__ = ["BUDGET_EXHAUSTED", "Interval", "Limits", "Overrun", "Spent", "added", "spent_by", "spent_on"]

BUDGET_EXHAUSTED: Final = "budget_exhausted"
"""The annotation's name."""

_INTERVALS: Final = 64
_MOST: Final = 10**15

Interval: TypeAlias = tuple[str, float, float]
"""A boot, and from when to when on the clock of that boot, in seconds."""


class Spent(NamedTuple):
    """Tokens, money and time. `worked` are intervals (boot id, from, to) of the monotonic clock, in seconds."""

    input: int = 0
    output: int = 0
    cost_usd: float = 0.0
    worked: tuple[Interval, ...] = ()

    @property
    def tokens(self) -> int:
        """All tokens."""
        return self.input + self.output

    @property
    def wall_s(self) -> float:
        """Seconds during which at least one agent was at work: two at once count once, a night's pause not at all."""
        total, boot, end = 0.0, "", 0.0
        for name, start, stop in sorted(self.worked):
            if name != boot:
                boot, end = name, start
            total += max(0.0, stop - max(start, end))
            end = max(end, stop)
        return total

    def plus(self, other: Spent) -> Spent:
        """Both together."""
        return Spent(
            self.input + other.input,
            self.output + other.output,
            self.cost_usd + other.cost_usd,
            self.worked + other.worked,
        )

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"tokens": self.tokens, "cost_usd": round(self.cost_usd, 6), "wall_s": round(self.wall_s, 1)}


class Overrun(NamedTuple):
    """A limit that is reached: its key in `[budget]`, the limit, and what was used."""

    key: str
    limit: float
    used: float

    def sentence(self) -> str:
        """Both numbers, for people."""
        unit = {"tokens": "tokens", "cost_usd": "USD", "wall_s": "s"}[_unit(self.key)]
        return f"{_number(self.used)} of {_number(self.limit)} {unit} are used up ({self.key})"


class Limits(NamedTuple):
    """Upper limits of tokens, money (USD) and time (s); None for none. `prefix` is that of the keys in `[budget]`."""

    prefix: str = "max_"
    tokens: int | None = None
    cost_usd: float | None = None
    wall_s: float | None = None

    @property
    def given(self) -> bool:
        """Whether there is any limit."""
        return any(limit is not None for limit in self[1:])

    def reached(self, spent: Spent) -> Overrun | None:
        """The first limit that is reached."""
        used = {"tokens": spent.tokens, "cost_usd": spent.cost_usd, "wall_s": spent.wall_s}
        for name, value in used.items():
            limit = getattr(self, name)
            # Sums of money are floats: a thousandth of a cent is no reason to start one more agent.
            if limit is not None and value >= limit - (1e-5 if name == "cost_usd" else 0.0):
                return Overrun(self.prefix + name, float(limit), float(value))
        return None

    def time_left(self, spent: Spent) -> float | None:
        """Seconds that an agent started now may take; None for no limit."""
        return None if self.wall_s is None else max(0.0, self.wall_s - spent.wall_s)


def spent_on(entity: EntityState) -> Spent:
    """What the work package has cost so far; nothing where another program wrote something else under that name."""
    known = entity.facts.get("usage")
    if not isinstance(known, Mapping):
        return Spent()
    try:
        worked = tuple((str(b), float(start), float(stop)) for b, start, stop in known.get("worked", ()))
        return Spent(int(known.get("input", 0)), int(known.get("output", 0)), float(known.get("cost_usd", 0)), worked)
    except (TypeError, ValueError):
        return Spent()


def spent_by(work_packages: Iterable[EntityState]) -> Spent:
    """What all of them have cost so far."""
    parts = [spent_on(entity) for entity in work_packages]
    return Spent(
        sum(p.input for p in parts),
        sum(p.output for p in parts),
        sum(p.cost_usd for p in parts),
        tuple(interval for p in parts for interval in p.worked),
    )


def added(entity: EntityState, more: Spent) -> dict[str, Any]:
    """The evidence that adds what one invocation used; nothing when it is not known to have used anything."""
    if not (more.tokens or more.cost_usd or more.worked):
        return {}
    # What an agent reports is its own word: an absurd number must neither overflow nor become no JSON.
    total = spent_on(entity).plus(more._replace(cost_usd=min(more.cost_usd, float(_MOST))))
    worked = [list(interval) for interval in total.worked[-_INTERVALS:]]
    return {
        "usage": {
            "input": min(total.input, _MOST),
            "output": min(total.output, _MOST),
            "cost_usd": round(min(total.cost_usd, float(_MOST)), 6),
            "worked": worked,
        }
    }


def _unit(key: str) -> str:
    return next(name for name in ("cost_usd", "tokens", "wall_s") if key.endswith(name))


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.2f}"
