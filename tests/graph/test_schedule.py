"""The list schedule with durations, against the best schedule that an exhaustive search finds."""

from __future__ import annotations

from functools import cache
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.graph.schedule import Schedule

Edges = list[tuple[str, str]]


@st.composite
def _missions(draw: st.DrawFn, most: int = 6) -> tuple[list[str], Edges, dict[str, float]]:
    names = [f"WP{n}" for n in range(draw(st.integers(0, most)))]
    pairs = list(combinations(names, 2))
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return names, edges, {name: float(draw(st.integers(1, 9))) for name in names}


def _optimum(names: list[str], edges: Edges, takes: dict[str, float], agents: int) -> float:
    """The shortest makespan: at every moment at which something can start, try every choice, waiting included."""
    needs = {name: {before for before, after in edges if after == name} for name in names}

    @cache
    def best(done: frozenset[str], running: frozenset[tuple[str, float]]) -> float:
        if len(done) == len(names):
            return 0.0
        started = {name for name, _ in running}
        ready = [n for n in names if n not in done and n not in started and needs[n] <= done]
        found = float("inf")
        for count in range(min(len(ready), agents - len(running)) + 1):
            for chosen in combinations(ready, count):
                going = [*running, *((name, takes[name]) for name in chosen)]
                if going:
                    step = min(left for _, left in going)
                    over = {name for name, left in going if left == step}
                    rest = frozenset((name, left - step) for name, left in going if left > step)
                    found = min(found, step + best(done | over, rest))
        return found

    return best(frozenset(), frozenset())


@given(_missions(), st.integers(1, 3))
def test_it_is_at_most_twice_the_optimum_and_the_bound_at_most_the_optimum(
    mission: tuple[list[str], Edges, dict[str, float]], agents: int
) -> None:
    names, edges, takes = mission
    schedule = Schedule(names, edges, expected=takes)
    optimum = _optimum(names, edges, takes, agents)
    assert max(schedule.longest_chain, schedule.total / agents) <= optimum
    assert optimum <= schedule.length(agents) <= 2 * optimum


@given(_missions(most=12))
def test_one_agent_takes_the_total_and_enough_agents_the_longest_chain(
    mission: tuple[list[str], Edges, dict[str, float]],
) -> None:
    names, edges, takes = mission
    schedule = Schedule(names, edges, expected=takes)
    assert schedule.length(1) == schedule.total == sum(takes.values())
    assert schedule.length(max(1, len(names))) == schedule.longest_chain


def test_a_long_chain_goes_first_and_what_is_held_before_it() -> None:
    names, edges = ["A", "B", "C", "D"], [("C", "D")]
    takes = {"A": 2.0, "B": 2.0, "C": 3.0, "D": 1.0}
    assert Schedule(names, edges, expected=takes).order[0] == "C"
    assert Schedule(names, edges, expected=takes).length(2) == 4.0
    held = Schedule(names, edges, expected=takes, first={"A", "B"})
    assert set(held.order[:2]) == {"A", "B"}
    assert held.length(2) == 6.0


@pytest.mark.parametrize(("agents", "length"), [(1, 10.0), (2, 6.0), (9, 5.0)])
def test_durations_may_differ_from_those_expected(agents: int, length: float) -> None:
    schedule = Schedule(["A", "B", "C"], [("A", "B")])
    takes = {"A": 1.0, "B": 5.0, "C": 4.0}
    if agents == 9:
        takes = {"A": 2.0, "B": 3.0, "C": 5.0}
    assert schedule.length(agents, [takes[name] for name in schedule.order]) == length


def test_edges_to_what_is_not_there_do_not_count() -> None:
    assert Schedule(["B", "C"], [("A", "B"), ("B", "C"), ("C", "X")]).longest_chain == 2.0
