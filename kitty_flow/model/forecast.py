"""How long a mission will take, and what that was learned from (shape: `docs/reference/json.md`, "plan")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from kitty_flow.model.plan import Makespan

__all__ = ["Durations", "Forecast", "Standing"]


class Durations(NamedTuple):
    """For how many seconds finished work packages were worked on, shortest first, and whose they are."""

    seconds: tuple[float, ...]
    origin: Literal["mission", "repository"]


@dataclass(frozen=True)
class Standing:
    """How far a mission is; the default is one in which nothing was begun.

    `finished` need no more work. `held` are in somebody's hands, so they go on first. `worked` are the seconds of work
    that went into others than the finished ones so far.
    """

    finished: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    worked: Mapping[str, float] = field(default_factory=dict)


class Forecast(NamedTuple):
    """The predicted time for what is left of a mission, in `unit`.

    `estimate` is the length of a priority list schedule in which every work package takes what is expected of it,
    `lower_bound` what no schedule can beat then, `sequential` the time one agent needs. `median` and `p90` (with unit
    seconds only) are those of `runs` simulations with durations drawn from `samples` observed ones.
    """

    agents: int
    estimate: float
    lower_bound: float
    unit: Literal["work packages", "seconds"]
    sequential: float
    remaining: int
    finished: int
    median: float | None = None
    p90: float | None = None
    runs: int = 0
    samples: int = 0
    learned_from: Literal["mission", "repository"] | None = None

    @classmethod
    def of_whole(cls, makespan: Makespan, size: int) -> Forecast:
        """The makespan of a plan of `size` work packages, of which none was begun."""
        return cls(*makespan, sequential=float(size), remaining=size, finished=0)
