"""The order put between work packages that may write the same files."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.graph import DependencyGraph, order_conflicts, patterns_overlap, shared_patterns


def _ordered(ids: list[str], edges: list[tuple[str, str]], owned: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [conflict.ordered for conflict in order_conflicts(ids, edges, owned)]


def test_an_overlap_is_ordered_and_explained() -> None:
    (conflict,) = order_conflicts(
        ["WP2", "WP10", "WP3"],
        [],
        {"WP10": ("docs/**", "src/a/x.py"), "WP2": ("README.md", "src/a/**"), "WP3": ("t/**",)},
    )
    assert conflict.work_packages == ("WP2", "WP10")
    assert conflict.patterns == ("src/a/**", "src/a/x.py")
    assert conflict.ordered == "WP2 before WP10"


def test_what_is_ordered_already_stays_as_it_is() -> None:
    owned = dict.fromkeys(("WP1", "WP2", "WP3"), ("a.py",))
    assert _ordered(["WP1", "WP2", "WP3"], [("WP2", "WP1"), ("WP3", "WP2")], owned) == []


def test_no_declared_files_means_no_conflict() -> None:
    assert _ordered(["WP1", "WP2"], [], {"WP1": ("**",)}) == []


def test_the_direction_lengthens_the_critical_path_least() -> None:
    # WP1 closes a chain of three and WP4 opens one of two: WP4 after WP1 would make five, WP1 after WP4 keeps three.
    edges = [("WP2", "WP3"), ("WP3", "WP1"), ("WP4", "WP5")]
    ids = ["WP1", "WP2", "WP3", "WP4", "WP5"]
    owned = {"WP1": ("shared.py",), "WP4": ("shared.py",)}
    assert _ordered(ids, edges, owned) == ["WP4 before WP1"]


def test_on_a_tie_the_earlier_id_goes_first() -> None:
    assert _ordered(["WP10", "WP9"], [], {"WP10": ("x",), "WP9": ("x",)}) == ["WP9 before WP10"]


def test_one_file_for_all_makes_a_chain_and_not_a_mesh() -> None:
    ids = [f"WP{n}" for n in range(1, 7)]
    owned = dict.fromkeys(ids, ("CHANGELOG.md",))
    assert _ordered(ids, [], owned) == [f"WP{n} before WP{n + 1}" for n in range(1, 6)]


_FILES = ("a/**", "a/x.py", "a/*.py", "b/x.py", "**/x.py", "c", "!a/x.py", "!b/**")


@st.composite
def _missions(draw: st.DrawFn) -> tuple[list[str], list[tuple[str, str]], dict[str, tuple[str, ...]]]:
    size = draw(st.integers(1, 9))
    ids = [f"WP{n}" for n in range(size)]
    order = draw(st.permutations(ids))
    pairs = [(order[a], order[b]) for a in range(size) for b in range(a + 1, size)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    owned = {w: tuple(draw(st.lists(st.sampled_from(_FILES), max_size=2, unique=True))) for w in ids}
    return ids, edges, owned


@given(_missions())
def test_every_overlapping_pair_ends_up_ordered_without_a_cycle_or_a_superfluous_edge(
    mission: tuple[list[str], list[tuple[str, str]], dict[str, tuple[str, ...]]],
) -> None:
    ids, edges, owned = mission
    conflicts = order_conflicts(ids, edges, owned)
    added = [(conflict.before, conflict.after) for conflict in conflicts]
    graph = DependencyGraph(ids, [*edges, *added])
    for a in ids:
        for b in ids:
            if a < b and shared_patterns(owned[a], owned[b]) is not None:
                assert a in graph.ancestors(b) or b in graph.ancestors(a)
    for edge, conflict in zip(added, conflicts, strict=True):
        assert patterns_overlap(*conflict.patterns)
        without = DependencyGraph(ids, [*edges, *(other for other in added if other != edge)])
        assert edge[0] not in without.ancestors(edge[1])
    assert order_conflicts(list(reversed(ids)), list(reversed(edges)), owned) == conflicts


@pytest.mark.parametrize("count", [2, 4, 70, 130])
def test_many_prerequisites_beside_a_shared_file(count: int) -> None:
    """What comes before a work package is looked at one by one, or wave by wave; neither runs out of waves."""
    ids = [f"WP{number:03}" for number in range(count + 2)]
    *first, last, apart = ids
    owned = {ids[0]: ("shared.txt",), apart: ("shared.txt",)}
    found = order_conflicts(ids, [(work_package, last) for work_package in first], owned)
    assert [(conflict.before, conflict.after) for conflict in found] == [(ids[0], apart)]
