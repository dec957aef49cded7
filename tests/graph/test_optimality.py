"""Plans against independent brute force: on small graphs everything that can be tried is tried."""

from __future__ import annotations

from functools import cache
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from kitty_flow.graph import DependencyGraph, order_conflicts, place, predict_makespan


@st.composite
def _edges(draw: st.DrawFn, most: int) -> tuple[list[str], list[tuple[str, str]]]:
    size = draw(st.integers(1, most))
    ids = [f"WP{n}" for n in range(1, size + 1)]
    order = draw(st.permutations(ids))
    pairs = [(order[a], order[b]) for a in range(size) for b in range(a + 1, size)]
    return ids, draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []


def _closure(edges: list[tuple[str, str]]) -> set[tuple[str, str]]:
    closure = set(edges)
    while more := {(a, d) for a, b in closure for c, d in closure if b == c} - closure:
        closure |= more
    return closure


def _longest(edges: list[tuple[str, str]], weight: dict[str, int]) -> int:
    @cache
    def behind(work_package: str) -> int:
        return weight[work_package] + max((behind(b) for a, b in edges if a == work_package), default=0)

    return max(map(behind, weight))


def _optimum(ids: list[str], edges: list[tuple[str, str]], agents: int) -> int:
    """The fewest steps of at most `agents` work packages, by trying every choice in every step."""
    needs = {w: frozenset(a for a, b in edges if b == w) for w in ids}

    @cache
    def steps(done: frozenset[str]) -> int:
        ready = [w for w in ids if w not in done and needs[w] <= done]
        choices = combinations(ready, min(agents, len(ready)))
        return 1 + min(steps(done | set(chosen)) for chosen in choices) if ready else 0

    return steps(frozenset())


@given(_edges(9))
def test_the_lanes_are_as_many_as_the_largest_set_without_any_order(
    graph: tuple[list[str], list[tuple[str, str]]],
) -> None:
    ids, edges = graph
    ordered = _closure(edges)
    widest = max(
        number
        for number in range(1, len(ids) + 1)
        for chosen in combinations(ids, number)
        if not any(pair in ordered or pair[::-1] in ordered for pair in combinations(chosen, 2))
    )
    assert len(place(DependencyGraph(ids, edges), ())) == widest


@given(_edges(7), st.integers(1, 4))
def test_the_estimate_is_at_most_twice_the_optimum(graph: tuple[list[str], list[tuple[str, str]]], agents: int) -> None:
    ids, edges = graph
    makespan = predict_makespan(DependencyGraph(ids, edges), agents)
    optimum = _optimum(ids, edges, agents)
    assert makespan.lower_bound <= optimum <= makespan.estimate <= 2 * optimum


@given(_edges(9), st.data())
def test_slack_is_what_a_delay_may_cost(graph: tuple[list[str], list[tuple[str, str]]], data: st.DataObject) -> None:
    ids, edges = graph
    plan = DependencyGraph(ids, edges)
    late = data.draw(st.sampled_from(ids))
    weight = dict.fromkeys(ids, 1)
    usual = _longest(edges, weight)
    assert plan.longest_chain == usual
    assert _longest(edges, {**weight, late: 1 + plan.slack(late)}) == usual
    assert _longest(edges, {**weight, late: 2 + plan.slack(late)}) == usual + 1


@given(_edges(9))
def test_a_wave_is_the_length_of_the_longest_way_to_it(graph: tuple[list[str], list[tuple[str, str]]]) -> None:
    ids, edges = graph
    plan = DependencyGraph(ids, edges)
    for work_package in ids:
        upstream = {a for a, b in _closure(edges) if b == work_package} | {work_package}
        inside = [(a, b) for a, b in edges if b in upstream]
        assert plan.wave_of[work_package] == _longest(inside, dict.fromkeys(upstream, 1))


@settings(deadline=None)
@given(_edges(6), st.data())
def test_the_orders_of_shared_files_are_close_to_the_best_ones(
    graph: tuple[list[str], list[tuple[str, str]]], data: st.DataObject
) -> None:
    ids, edges = graph
    files = st.lists(st.sampled_from("xyz"), max_size=2, unique=True)
    owned = {w: data.draw(files) for w in ids}
    added = [(conflict.before, conflict.after) for conflict in order_conflicts(ids, edges, owned)]
    needs = {w: {a for a, b in edges if b == w} for w in ids}

    @cache
    def fewest(done: frozenset[str]) -> int:
        """The fewest waves for the rest, when any set of the ready ones that shares nothing can be next."""
        ready = [w for w in ids if w not in done and needs[w] <= done]
        sets = (set(c) for number in range(1, len(ready) + 1) for c in combinations(ready, number))
        fit = (s for s in sets if not any(set(owned[a]) & set(owned[b]) for a, b in combinations(s, 2)))
        return 1 + min(fewest(done | s) for s in fit) if ready else 0

    waves = DependencyGraph(ids, [*edges, *added]).longest_chain
    best = fewest(frozenset())
    assert best <= waves <= 2 * best
