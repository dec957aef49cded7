"""Waves, critical path, slack and orders; refusal of cycles."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.errors import DefinitionError
from kitty_flow.graph import DependencyGraph, Reachability
from kitty_flow.model.ids import natural_key


def _ids(numbers: str) -> list[str]:
    return [f"WP{number}" for number in numbers.split()]


def _graph(dependencies: dict[str, str]) -> DependencyGraph:
    edges = [(f"WP{before}", f"WP{after}") for after, listed in dependencies.items() for before in listed.split()]
    return DependencyGraph([f"WP{number}" for number in dependencies], edges)


_GOLDEN = {
    "profile-invocation": (
        {"01": "", "02": "01", "03": "02", "04": "02", "05": "01", "06": "01", "07": "01 06"},
        ["01", "02 05 06", "03 04 07"],
    ),
    "op-records": ({"01": "", "02": "01"}, ["01", "02"]),
    "release": (
        {"01": "", "02": "01", "03": "01", "04": "01", "05": "01", "06": "01 02 03"},
        ["01", "02 03 04 05", "06"],
    ),
    "event-log, prose": (
        {"01": "", "02": "01", "03": "02", "04": "03", "05": "04", "06": "05", "07": "03", "08": "06 07"},
        ["01", "02", "03", "04 07", "05", "06", "08"],
    ),
    "event-log, frontmatter": (
        {"01": "", "02": "", "03": "02", "04": "03", "05": "04", "06": "05", "07": "03", "08": "01"},
        ["01 02", "03 08", "04 07", "05", "06"],
    ),
    "hardening, prose": (
        {"01": "", "02": "", "03": "", "04": "", "05": "", "06": "", "07": "01 02 03 04 05 06"},
        ["01 02 03 04 05 06", "07"],
    ),
    "hardening, frontmatter": (
        {"01": "", "02": "01", "03": "02", "04": "", "05": "", "06": "01 03", "07": "01 02 03 04 05 06"},
        ["01 04 05", "02", "03", "06", "07"],
    ),
}


@pytest.mark.parametrize(("dependencies", "waves"), _GOLDEN.values(), ids=_GOLDEN)
def test_golden_waves(dependencies: dict[str, str], waves: list[str]) -> None:
    graph = _graph(dependencies)
    assert [list(wave) for wave in graph.waves] == [_ids(wave) for wave in waves]
    assert graph.merge_order == tuple(_ids(" ".join(waves)))


def test_natural_order_puts_wp2_before_wp10() -> None:
    graph = DependencyGraph(["WP10", "WP2", "WP1"], [])
    assert graph.waves == (("WP1", "WP2", "WP10"),)


def test_critical_path_slack_and_ancestors() -> None:
    graph = _graph({"01": "", "02": "01", "03": "01", "04": "02", "05": "03", "06": "04", "07": "01"})
    assert graph.critical_path == ("WP01", "WP02", "WP04", "WP06")
    assert graph.longest_chain == 4
    assert {work_package: graph.slack(work_package) for work_package in graph.ids} == {
        "WP01": 0,
        "WP02": 0,
        "WP03": 1,
        "WP04": 0,
        "WP05": 1,
        "WP06": 0,
        "WP07": 2,
    }
    assert graph.ancestors("WP06") == ("WP01", "WP02", "WP04")
    assert graph.prerequisites("WP05") == ("WP03",)
    assert graph.dependents("WP01") == ("WP02", "WP03", "WP07")


def test_of_equally_long_chains_the_first_by_id_is_critical() -> None:
    graph = DependencyGraph(["WP1", "WP2", "WP3", "WP10"], [("WP1", "WP10"), ("WP1", "WP3"), ("WP2", "WP3")])
    assert graph.critical_path == ("WP1", "WP3")


def test_an_empty_graph_has_no_waves() -> None:
    graph = DependencyGraph([], [])
    assert graph.waves == () and graph.critical_path == () and graph.merge_order == ()


def test_a_cycle_is_refused_with_its_path_named() -> None:
    with pytest.raises(DefinitionError) as caught:
        DependencyGraph(["WP01", "WP02", "WP03"], [("WP01", "WP02"), ("WP02", "WP01")], source="kitty-specs/x")
    error = caught.value
    assert error.code == "DEPENDENCY_CYCLE"
    assert "WP01 -> WP02 -> WP01" in error.message
    assert error.details["cycle"] == ["WP01", "WP02", "WP01"]
    assert error.hint is not None and "kitty-specs/x" in error.hint


def test_all_cycles_are_reported_at_once_and_each_is_a_shortest_one() -> None:
    edges = [
        ("WP1", "WP2"),
        ("WP2", "WP3"),
        ("WP3", "WP1"),
        ("WP2", "WP1"),
        ("WP4", "WP4"),
        ("WP5", "WP6"),
        ("WP6", "WP5"),
    ]
    with pytest.raises(DefinitionError) as caught:
        DependencyGraph([f"WP{n}" for n in range(1, 8)], edges)
    assert caught.value.details["cycles"] == [["WP1", "WP2", "WP1"], ["WP4", "WP4"], ["WP5", "WP6", "WP5"]]
    assert len(caught.value.details["problems"]) == 3


def test_the_hint_names_an_edge_that_really_exists() -> None:
    edges = [("WP1", "WP2"), ("WP2", "WP3"), ("WP3", "WP1")]
    with pytest.raises(DefinitionError) as caught:
        DependencyGraph(["WP1", "WP2", "WP3"], edges)
    assert caught.value.hint is not None and "WP3 from the dependencies of WP1" in caught.value.hint


def test_unknown_and_duplicate_ids_are_refused() -> None:
    with pytest.raises(DefinitionError) as unknown:
        DependencyGraph(["WP01", "WP02"], [("WP09", "WP01"), ("WP08", "WP02")])
    assert unknown.value.code == "UNKNOWN_DEPENDENCY"
    assert [problem["where"] for problem in unknown.value.details["problems"]] == ["WP01", "WP02"]
    with pytest.raises(DefinitionError) as duplicate:
        DependencyGraph(["WP01", "WP01"], [])
    assert duplicate.value.code == "DUPLICATE_WORK_PACKAGE"


_DAGS = st.integers(1, 12).flatmap(
    lambda size: st.tuples(
        st.just(size),
        st.sets(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(lambda edge: edge[0] < edge[1])),
        st.randoms(use_true_random=False),
    )
)


@given(_DAGS)
def test_every_answer_respects_the_edges_and_ignores_the_input_order(
    dag: tuple[int, set[tuple[int, int]], random.Random],
) -> None:
    size, numbers, shuffler = dag
    ids = [f"WP{n}" for n in range(size)]
    edges = [(ids[a], ids[b]) for a, b in numbers]
    graph = DependencyGraph(ids, edges)
    for before, after in edges:
        assert graph.wave_of[before] < graph.wave_of[after]
        assert graph.merge_order.index(before) < graph.merge_order.index(after)
        assert before in graph.ancestors(after)
    assert graph.longest_chain == len(graph.waves)
    assert all(graph.slack(work_package) >= 0 for work_package in ids)
    assert all(graph.slack(work_package) == 0 for work_package in graph.critical_path)
    shuffled_ids, shuffled_edges = list(ids), sorted(edges)
    shuffler.shuffle(shuffled_ids)
    shuffler.shuffle(shuffled_edges)
    again = DependencyGraph(shuffled_ids, shuffled_edges)
    assert (again.waves, again.critical_path, again.edges) == (graph.waves, graph.critical_path, graph.edges)


@given(_DAGS)
def test_reachability_is_the_transitive_closure_in_whatever_order_edges_come(
    dag: tuple[int, set[tuple[int, int]], random.Random],
) -> None:
    size, edges, shuffler = dag
    shuffled = sorted(edges)
    shuffler.shuffle(shuffled)
    order = Reachability(size, shuffled)
    closure = set(edges)
    for middle in range(size):
        closure |= {(a, d) for a, b in closure for c, d in closure if b == middle == c}
    assert {(a, b) for a in range(size) for b in range(size) if order.precedes(a, b)} == closure
    assert {(a, b) for a in range(size) for b in range(size) if order.before[b] >> a & 1} == closure
    kept = edges - order.implied(edges)
    assert Reachability(size, kept).after == order.after
    assert all(Reachability(size, kept - {edge}).after != order.after for edge in kept)


@pytest.mark.parametrize("edges", [[(0, 1), (1, 2), (2, 0)], [(1, 1)], [(0, 1), (1, 2), (2, 1)]])
def test_reachability_refuses_a_cycle(edges: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="circle"):
        Reachability(3, edges)


def test_ids_are_sorted_as_numbers_however_long_they_are() -> None:
    names = ["WP" + "9" * 5000, "WP10", "WP2", "WP02a", "WP²", "WP", "1", "a"]
    ranked = sorted(names, key=natural_key)
    assert ranked.index("WP2") < ranked.index("WP10") < ranked.index("WP" + "9" * 5000)
