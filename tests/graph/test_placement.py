"""Execution lanes: few chains, sequential anyway; and the schedule."""

from __future__ import annotations

from itertools import pairwise

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.errors import UsageError
from kitty_flow.graph import DependencyGraph, place, predict_makespan


@st.composite
def _graphs(draw: st.DrawFn) -> DependencyGraph:
    size = draw(st.integers(0, 11))
    ids = [f"WP{n}" for n in range(size)]
    pairs = [(ids[a], ids[b]) for a in range(size) for b in range(a + 1, size)]
    return DependencyGraph(ids, draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else [])


@given(_graphs(), st.sets(st.integers(0, 10)))
def test_lanes_are_a_minimum_chain_cover(graph: DependencyGraph, planning_numbers: set[int]) -> None:
    planning = {f"WP{n}" for n in planning_numbers} & set(graph.ids)
    lanes = [lane for lane in place(graph, planning) if lane.id != "lane-planning"]
    code = set(graph.ids) - planning
    assert sorted(w for lane in lanes for w in lane.work_packages) == sorted(code)
    for lane in lanes:
        assert all(before in graph.ancestors(after) for before, after in pairwise(lane.work_packages))
    comparable = [(("before", a), ("after", b)) for b in code for a in graph.ancestors(b) if a in code]
    bipartite: networkx.Graph[tuple[str, str]] = networkx.Graph(comparable)
    left = {node for node in bipartite if node[0] == "before"}
    matching = networkx.bipartite.hopcroft_karp_matching(bipartite, left)
    assert len(lanes) == len(code) - len(matching) // 2


@given(_graphs(), st.sets(st.integers(0, 10), min_size=1))
def test_planning_artifacts_share_one_lane_in_merge_order(graph: DependencyGraph, numbers: set[int]) -> None:
    planning = {f"WP{n}" for n in numbers} & set(graph.ids)
    lanes = [lane for lane in place(graph, planning) if lane.id == "lane-planning"]
    expected = tuple(w for w in graph.merge_order if w in planning)
    assert [lane.work_packages for lane in lanes] == ([expected] if expected else [])


def test_lanes_are_named_by_their_first_work_package_beyond_the_alphabet() -> None:
    lanes = place(DependencyGraph([f"WP{n}" for n in range(1, 54)], []), ())
    assert [lane.id for lane in lanes][:2] == ["lane-a", "lane-b"]
    assert [lane.id for lane in lanes][25:28] == ["lane-z", "lane-aa", "lane-ab"]
    assert lanes[52].id == "lane-ba" and lanes[52].work_packages == ("WP53",)


def test_a_chain_follows_declared_dependencies_where_it_can() -> None:
    edges = [("WP1", "WP2"), ("WP2", "WP3"), ("WP1", "WP4"), ("WP4", "WP5")]
    lanes = place(DependencyGraph([f"WP{n}" for n in range(1, 6)], edges), ())
    assert [lane.work_packages for lane in lanes] == [("WP1", "WP2", "WP3"), ("WP4", "WP5")]


def test_a_long_augmenting_path_needs_no_recursion() -> None:
    # Each of the first takes its nearer successor, until the last one needs the very first successor of all.
    size = 1500
    near = [(f"WP{n}", f"WP{size + 1 + n}") for n in range(size)]
    far = [(f"WP{n}", f"WP{size + 2 + n}") for n in range(size)]
    graph = DependencyGraph([f"WP{n}" for n in range(2 * size + 2)], [*near, *far, (f"WP{size}", f"WP{size + 1}")])
    lanes = place(graph, ())
    assert len(lanes) == size + 1
    assert lanes[0].work_packages == ("WP0", f"WP{size + 2}")
    assert lanes[size].work_packages == (f"WP{size}", f"WP{size + 1}")


@given(_graphs(), st.integers(1, 5))
def test_the_makespan_keeps_its_bounds(graph: DependencyGraph, agents: int) -> None:
    makespan = predict_makespan(graph, agents)
    size, chain = len(graph.ids), graph.longest_chain
    assert makespan.lower_bound == max(chain, -(-size // agents))
    assert makespan.lower_bound <= makespan.estimate <= size / agents + chain
    assert predict_makespan(graph, 1).estimate == size
    assert predict_makespan(graph, size + 1).estimate == chain


def test_the_critical_path_goes_first() -> None:
    edges = [("WP4", "WP5"), ("WP5", "WP6")]
    makespan = predict_makespan(DependencyGraph([f"WP{n}" for n in range(1, 7)], edges), 2)
    assert makespan.estimate == 3


def test_no_agents_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="AGENTS_OUT_OF_RANGE"):
        predict_makespan(DependencyGraph(["WP1"], []), 0)
