"""The forecast: what is left, what was learned, and how sure it is."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitty_flow.errors import UsageError
from kitty_flow.graph import compute_plan
from kitty_flow.graph.forecast import forecast
from kitty_flow.model.forecast import Durations, Forecast, Standing
from kitty_flow.model.mission import MissionDefinition
from kitty_flow.model.plan import Plan

Mission = Callable[..., MissionDefinition]

CHAIN = {"WP01": [], "WP02": ["WP01"], "WP03": ["WP02"], "WP04": []}


def timed(plan: Plan, seconds: list[float], seed: int = 1) -> Forecast:
    durations = Durations(tuple(sorted(seconds)), "mission")
    return forecast(plan, 2, durations=durations, draw=Random(seed).random)


def test_without_durations_work_packages_are_counted(mission: Mission) -> None:
    found = forecast(compute_plan(mission(CHAIN)), 2)
    assert (found.estimate, found.lower_bound, found.unit, found.sequential) == (3.0, 3.0, "work packages", 4.0)
    assert (found.median, found.p90, found.runs, found.samples, found.learned_from) == (None, None, 0, 0, None)


def test_what_is_finished_takes_no_time(mission: Mission) -> None:
    plan = compute_plan(mission(CHAIN))
    found = forecast(plan, 2, standing=Standing(finished=frozenset({"WP01", "WP04"})))
    assert (found.estimate, found.remaining, found.finished, found.sequential) == (2.0, 2, 2, 2.0)
    nothing = forecast(plan, 2, standing=Standing(finished=frozenset(CHAIN)))
    assert (nothing.estimate, nothing.lower_bound, nothing.remaining) == (0.0, 0.0, 0)


def test_one_duration_makes_every_figure_exact(mission: Mission) -> None:
    found = timed(compute_plan(mission(CHAIN)), [60.0])
    assert found.estimate == found.median == found.p90 == found.lower_bound == 180.0


def test_the_percentiles_of_a_single_work_package_are_those_of_the_observed_durations(mission: Mission) -> None:
    observed = [float(n) for n in range(1, 101)]
    found = forecast(
        compute_plan(mission({"WP01": []})),
        1,
        durations=Durations(tuple(observed), "repository"),
        draw=Random(7).random,
    )
    assert found.estimate == 50.5
    assert found.median == pytest.approx(50, abs=6) and found.p90 == pytest.approx(90, abs=4)
    assert (found.runs, found.samples, found.learned_from) == (1000, 100, "repository")


def test_work_that_was_begun_counts_for_its_rest(mission: Mission) -> None:
    plan = compute_plan(mission({"WP01": []}))
    durations = Durations((10.0, 40.0, 100.0), "mission")

    def left(worked: float) -> float:
        standing = Standing(held=frozenset({"WP01"}), worked={"WP01": worked})
        return forecast(plan, 1, standing=standing, durations=durations, draw=Random(1).random).estimate

    assert left(0.0) == 50.0
    assert left(20.0) == 50.0  # of 40 and 100 seconds: 20 or 80 are left
    assert left(60.0) == 40.0
    assert left(500.0) == 40.0  # longer than any: the middle one again


def test_the_same_numbers_give_the_same_forecast(mission: Mission) -> None:
    plan = compute_plan(mission(CHAIN))
    seconds = [1.1**n for n in range(50)]
    assert timed(plan, seconds) == timed(plan, seconds)
    assert timed(plan, seconds).median != timed(plan, seconds, seed=2).median


@settings(max_examples=25)
@given(st.lists(st.floats(0.5, 1e5), min_size=1, max_size=20), st.integers(1, 5), st.integers(0, 3))
def test_every_figure_is_between_its_bounds(seconds: list[float], agents: int, finished: int) -> None:
    plan = _plan()
    done = frozenset(list(plan.placements)[:finished])
    durations = Durations(tuple(sorted(seconds)), "mission")
    found = forecast(plan, agents, standing=Standing(done), durations=durations, draw=Random(3).random)
    left = len(plan.placements) - finished
    assert found.median is not None and found.p90 is not None
    assert found.lower_bound <= found.estimate + 0.001 and found.estimate <= found.sequential + 0.001
    assert 0 < found.median <= found.p90 <= left * max(seconds) + 0.001


def _plan() -> Plan:
    from kitty_flow.model.mission import MissionSource, WorkPackage

    work_packages = tuple(WorkPackage(name, name, tuple(needs)) for name, needs in CHAIN.items())
    return compute_plan(MissionDefinition(None, "s", "S", None, MissionSource("native", "s.toml"), work_packages))


def test_no_agent_is_refused(mission: Mission) -> None:
    with pytest.raises(UsageError, match="at least one agent"):
        forecast(compute_plan(mission(CHAIN)), 0)
