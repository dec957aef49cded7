"""How long what is left of a mission will take: one list schedule, and many with durations drawn from observed ones.

Durations are drawn as they were observed (a bootstrap), not from a fitted curve: after a handful of work packages the
spread of a log-normal fit is mostly chance, and its tail then promises days that nobody has ever seen. The price is
that nothing longer than the longest observed duration is ever drawn.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from math import ceil
from statistics import fmean, median
from typing import Final

from kitty_flow.graph.schedule import Schedule, check_agents
from kitty_flow.model.forecast import Durations, Forecast, Standing
from kitty_flow.model.plan import Plan

__all__ = ["forecast"]

_MOST_RUNS: Final = 1000
_FEWEST_RUNS: Final = 100
_DRAWS: Final = 200_000
"""About so many durations are drawn: half a second of work, whatever the size of the mission."""

_NOTHING_BEGUN: Final = Standing()


def forecast(
    plan: Plan,
    agents: int,
    *,
    standing: Standing = _NOTHING_BEGUN,
    durations: Durations | None = None,
    draw: Callable[[], float] | None = None,
    without: Collection[str] = (),
) -> Forecast:
    """Predict the time for all work packages of the plan that are not finished.

    Args:
        durations: observed ones; without any, every work package counts one unit.
        draw: gives numbers in [0, 1), such as the `random` of a seeded generator; needed with `durations`. The same
            numbers give the same forecast, and two plans with the same work packages see the same luck.
        without: work packages that are left out as if they were not there.

    Raises:
        UsageError: AGENTS_OUT_OF_RANGE, when `agents` is less than 1.
    """
    check_agents(agents)
    gone = {*standing.finished, *without}
    left = [work_package for work_package in plan.merge_order if work_package not in gone]
    edges = [*plan.edges, *((c.before, c.after) for c in plan.conflicts)]
    finished = sum(w in standing.finished and w not in without for w in plan.merge_order)
    if durations is None or draw is None:
        schedule = Schedule(left, edges, first=standing.held)
        bound = float(max(schedule.longest_chain, -(-len(left) // agents)))
        return Forecast(agents, schedule.length(agents), bound, "work packages", float(len(left)), len(left), finished)
    rests = {work_package: _rests(durations.seconds, standing.worked.get(work_package, 0.0)) for work_package in left}
    expected = {work_package: fmean(rest) for work_package, rest in rests.items()}
    schedule = Schedule(left, edges, expected=expected, first=standing.held)
    lengths = _simulate(schedule, agents, [rests.get(w, ()) for w in plan.placements], list(plan.placements), draw)
    return Forecast(
        agents=agents,
        estimate=round(schedule.length(agents), 3),
        lower_bound=round(max(schedule.longest_chain, schedule.total / agents), 3),
        unit="seconds",
        sequential=round(schedule.total, 3),
        remaining=len(left),
        finished=finished,
        median=round(median(lengths), 3),
        p90=round(lengths[ceil(0.9 * len(lengths)) - 1], 3),
        runs=len(lengths),
        samples=len(durations.seconds),
        learned_from=durations.origin,
    )


def _rests(observed: Sequence[float], worked: float) -> Sequence[float]:
    """What may be left of a work package that was worked on for so long: the observed durations that were longer.

    One that has outlasted all of them may take as long again as the middle one: nothing better is known.
    """
    if worked <= 0:
        return observed
    longer = observed[bisect_right(observed, worked) :]
    return [each - worked for each in longer] or (median(observed),)


def _simulate(
    schedule: Schedule,
    agents: int,
    rests: Sequence[Sequence[float]],
    names: Sequence[str],
    draw: Callable[[], float],
) -> list[float]:
    """The lengths of many schedules, shortest first. A number is drawn for each name in turn, left or not."""
    number = {name: index for index, name in enumerate(names)}
    wanted = [number[work_package] for work_package in schedule.order]
    runs = min(_MOST_RUNS, max(_FEWEST_RUNS, _DRAWS // max(1, len(names))))
    lengths = []
    for _ in range(runs):
        luck = [draw() for _ in names]
        durations = [rests[index][int(luck[index] * len(rests[index]))] for index in wanted]
        lengths.append(schedule.length(agents, durations))
    return sorted(lengths)
