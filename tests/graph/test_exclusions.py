"""Patterns that begin with `!` take away, in the overlap of work packages and in what a submission may hold."""

from __future__ import annotations

from functools import cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitty_flow.graph import order_conflicts, overlaps, owns, pattern_matches, shared_patterns
from kitty_flow.graph.overlaps import overlapping
from kitty_flow.graph.ownership import Owners, positive_patterns

# Every combination of these name patterns and their opposites has a witness among these names.
_NAMES = ("a", "b", "z", "ab", "az", "zb", "azb")
_PATHS = ["/".join(names) for depth in (1, 2, 3) for names in product(_NAMES, repeat=depth)]
_PLAIN = st.lists(st.sampled_from(["**", "*", "a", "b", "ab", "a*", "*b"]), min_size=1, max_size=2).map("/".join)
# And these can be covered by several exclusions together, which the answer may overlook on the safe side.
_HARD = st.lists(st.sampled_from(["**", "*", "a", "?", "[ab]", "[!a]", "?*", "a?", "zb"]), min_size=1, max_size=2).map(
    "/".join
)


_SHAPES = ("a", "b", "**", "*", "*a*", "*b*", "a*b", "?")


def _lists(patterns: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.builds(str.__add__, st.sampled_from(["", "!"]), patterns), max_size=3).map(tuple)


@cache
def _matched(pattern: str) -> frozenset[str]:
    return frozenset(path for path in _PATHS if pattern_matches(pattern, path))


def _owned(patterns: tuple[str, ...]) -> frozenset[str]:
    """Adding and taking away in turn: what is left at the end."""
    left: frozenset[str] = frozenset()
    for pattern in patterns:
        left = left - _matched(pattern[1:]) if pattern.startswith("!") else left | _matched(pattern)
    return left


@settings(max_examples=300, deadline=None)
@given(_lists(_PLAIN), _lists(_PLAIN))
def test_lists_share_a_path_exactly_when_there_is_one(left: tuple[str, ...], right: tuple[str, ...]) -> None:
    shared = shared_patterns(left, right)
    assert (shared is not None) == bool(_owned(left) & _owned(right))
    if shared is not None:
        assert shared[0] in left and shared[1] in right and _matched(shared[0]) & _matched(shared[1])


@settings(max_examples=200, deadline=None)
@given(_lists(_HARD), _lists(_HARD))
def test_no_shared_path_is_ever_overlooked(left: tuple[str, ...], right: tuple[str, ...]) -> None:
    if _owned(left) & _owned(right):
        assert shared_patterns(left, right) is not None
        assert shared_patterns(right, left) is not None


@settings(max_examples=200, deadline=None)
@given(_lists(_HARD), st.sampled_from(_PATHS))
def test_the_last_pattern_that_matches_decides(patterns: tuple[str, ...], path: str) -> None:
    assert owns(patterns, path) == (path in _owned(patterns))


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (["src/**", "!src/legacy/**"], ["src/legacy/a.py"], None),
        (["src/**", "!src/legacy"], ["src/legacy/**"], None),
        (["src/**", "!src/legacy/*.py"], ["src/legacy/**"], ("src/**", "src/legacy/**")),
        (["src/**", "!**/*.md", "src/README.md"], ["**/*.md"], ("src/README.md", "**/*.md")),
        (["!src/x.py", "src/**"], ["src/x.py"], ("src/**", "src/x.py")),
        (["src/*.py", "!src/test_*"], ["src/test_[a-m]*.py"], None),
        (["src/*.py", "!src/test_*"], ["src/t*.py"], ("src/*.py", "src/t*.py")),
        (["**", "!*"], ["a"], ("**", "a")),
        (["*", "!*"], ["a"], None),
        (["**", "!*/"], ["a/**"], None),
        (["src/??", "!src/[a-y]?"], ["src/z*"], ("src/??", "src/z*")),
        # Only together do both exclusions cover all names: taken for shared, on the safe side.
        (["src/[ab]/**", "!src/a", "!src/b"], ["src/**"], ("src/[ab]/**", "src/**")),
        (["a/**", "!a/x"], ["a/**", "!a/y"], ("a/**", "a/**")),
        (["a/**", "!a/[x-z]*"], ["a/[x-z]*", "!a/xx"], None),
    ],
)
def test_examples(left: list[str], right: list[str], expected: tuple[str, str] | None) -> None:
    assert shared_patterns(left, right) == expected


def test_a_hostile_exclusion_costs_little_and_takes_nothing_away() -> None:
    excluded = [f"!{'*a' * 200}{'?' * n}" for n in range(1, 20)]
    assert shared_patterns(["**", *excluded], ["*a*" * 120]) is not None


def test_exclusions_keep_work_packages_apart() -> None:
    owned = {"WP1": ["src/**", "!src/cli/**"], "WP2": ["src/cli/**", "!src/cli/main.py"], "WP3": ["src/cli/main.py"]}
    assert order_conflicts(owned, [], owned) == ()
    assert Owners(owned).overlapping(["src/cli/main.py"]) == {"WP3"}
    assert owns(owned["WP1"], "src/core.py") and not owns(owned["WP1"], "src/cli/main.py")


def test_too_many_questions_about_exclusions_leave_an_order_and_no_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    owned = {f"WP{n}": ["src/**", "!src/**", f"f{n}"] for n in range(6)}
    assert order_conflicts(owned, [], owned) == ()
    monkeypatch.setattr("kitty_flow.graph.overlaps.MOST_QUESTIONS", 5)
    conflicts = order_conflicts(owned, [], owned)
    assert {c.patterns for c in conflicts} == {("src/**", "src/**")}
    assert "WP0" not in {w for c in conflicts for w in c.work_packages}


_ANY = st.one_of(
    _lists(_HARD),
    _lists(st.lists(st.sampled_from(["s", "a", "a[", "*", "**", "[ab]", "?b", "a*", ""]), max_size=4).map("/".join)),
    _lists(st.text("ab/*?[]!-", max_size=8)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_ANY, max_size=6))
def test_all_at_once_finds_what_each_pair_by_itself_says(owned: list[tuple[str, ...]]) -> None:
    assert overlapping(owned) == [
        sum(1 << m for m, other in enumerate(owned) if m != n and shared_patterns(one, other) is not None)
        for n, one in enumerate(owned)
    ]


@given(_lists(_HARD))
def test_each_pattern_is_paired_with_the_exclusions_behind_it(patterns: tuple[str, ...]) -> None:
    found = positive_patterns(patterns)
    assert [pattern for pattern, _ in found] == [p for p in patterns if not p.startswith("!")]
    for pattern, excluded in found:
        assert any(
            (pattern, excluded) == (p, tuple(e[1:] for e in patterns[at:] if e.startswith("!")))
            for at, p in enumerate(patterns)
        )


@given(st.lists(st.lists(st.builds("/".join, st.lists(st.sampled_from(_SHAPES), min_size=1, max_size=2)), max_size=2)))
def test_a_search_that_is_given_up_misses_no_overlap(owned: list[list[str]]) -> None:
    exact = overlapping(owned)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlaps, "MOST_WILDCARD_PAIRS", 3)
        bounded = overlapping(owned)
    assert all(few & ~many == 0 for few, many in zip(exact, bounded, strict=True))
    ids = [f"WP{number:02d}" for number in range(len(owned))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlaps, "MOST_WILDCARD_PAIRS", 3)
        ordered = order_conflicts(ids, [], dict(zip(ids, owned, strict=True)))
    assert all(len(conflict.patterns) == 2 for conflict in ordered)
