"""Glob ownership: exact, symmetric, and equal to an independent oracle."""

from __future__ import annotations

import fnmatch
import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitty_flow.graph import owns, pattern_matches, patterns_overlap
from kitty_flow.graph.ownership import Owners

# A small alphabet decides everything for patterns that use only its characters, plus one character that none names.
_NAMES = ["".join(letters) for length in (1, 2) for letters in product("abz", repeat=length)]
_PATHS = ["/".join(names) for depth in (1, 2) for names in product(_NAMES, repeat=depth)]
_DEEP_PATHS = [*_PATHS, *(f"{name}/{path}" for name in _NAMES for path in _PATHS)]
_SEGMENTS = st.one_of(
    st.just("**"), st.text("ab*?", min_size=1, max_size=2), st.sampled_from(["[ab]", "[!a]", "[a-b]*"])
)
_PATTERNS = st.builds(
    lambda segments, slash: "/".join(segments) + slash,
    st.lists(_SEGMENTS, min_size=1, max_size=2),
    st.sampled_from(["", "/"]),
)

# Deeper ones with common beginnings, and with what looks like a wildcard and is none.
_HARD_PATTERNS = st.one_of(
    st.lists(st.sampled_from(["src", "a", "b", ".", "", "*", "**", "[ab]", "a[", "?"]), min_size=1, max_size=4).map(
        "/".join
    ),
    _PATTERNS,
)


def _oracle(pattern: str, path: str) -> bool:
    """The same rules by regular expressions of the standard library, one segment at a time."""
    segments = pattern.rstrip("/").split("/")
    if pattern.endswith("/") or not re.search(r"[*?\[]", segments[-1]):
        segments.append("**")
    return _oracle_segments(segments, path.split("/"))


def _oracle_segments(segments: list[str], names: list[str]) -> bool:
    if not segments:
        return not names
    if segments[0] == "**":
        return any(_oracle_segments(segments[1:], names[skipped:]) for skipped in range(len(names) + 1))
    return bool(names) and fnmatch.fnmatchcase(names[0], segments[0]) and _oracle_segments(segments[1:], names[1:])


@settings(max_examples=300, deadline=None)
@given(_PATTERNS, st.sampled_from(_PATHS))
def test_matching_agrees_with_the_oracle(pattern: str, path: str) -> None:
    assert pattern_matches(pattern, path) == _oracle(pattern, path)


@settings(max_examples=150, deadline=None)
@given(_PATTERNS, _PATTERNS)
def test_overlap_is_exactly_the_existence_of_a_common_path(a: str, b: str) -> None:
    # Two segments of two characters each: whatever overlaps does so within three names of two characters.
    found = any(_oracle(a, path) and _oracle(b, path) for path in _DEEP_PATHS)
    assert patterns_overlap(a, b) == found


@given(st.text("ab/*?[]!-\\.", max_size=12), st.text("ab/*?[]!-\\.", max_size=12))
def test_overlap_is_symmetric(a: str, b: str) -> None:
    assert patterns_overlap(a, b) == patterns_overlap(b, a)


@settings(max_examples=500)
@given(
    st.text("ab/*?[]!-\\.", max_size=12),
    st.text("ab/*?[]!-\\.", max_size=12),
    st.lists(st.text("ab[]!-\\", min_size=1, max_size=3), min_size=1, max_size=4),
)
def test_a_path_that_both_match_proves_an_overlap(a: str, b: str, names: list[str]) -> None:
    path = "/".join(names)
    assert patterns_overlap(a, b) or not (pattern_matches(a, path) and pattern_matches(b, path))


@given(st.lists(st.text("ab*?[]\\", min_size=1, max_size=3), min_size=1, max_size=4))
def test_a_pattern_overlaps_itself_whenever_it_matches_anything(names: list[str]) -> None:
    path = "/".join(names)
    assert patterns_overlap(path, path) or not pattern_matches(path, path)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("src/a.py", "src/a.py", True),
        ("src/a.py", "src/ab.py", False),
        ("src/a", "src/ab/c.py", False),
        ("src/a", "src/a/deep/c.py", True),
        ("src/", "src/x/y", True),
        ("src/*", "src/x/y", False),
        ("src/*", "src/x*/y?", False),
        ("src/*/", "src/x/y/z*", True),
        ("src/**", "src", True),
        ("src/**/test_*.py", "src/app/test_[a-m]*.py", True),
        ("src/**/test_[a-m].py", "src/**/test_[n-z].py", False),
        ("**/*.md", "docs/**", True),
        ("**/*.md", "docs/*.rst", False),
        ("[!a]*", "a*", False),
        ("[!a-y]", "?", True),
        ("[b-a]", "?", False),
        ("[b-a]/**", "**", False),
        ("[]]", "]", True),
        ("[x", "[x/y", True),
        ("a\\b", "a\\b", True),
        ("a\\*", "a\\xyz", True),
        ("docs/ssh.md\\n", "docs/ssh.md", False),
        ("./src//a.py", "src/a.py", True),
        ("", "a", False),
        ("/", "anything/at/all", True),
        ("*a*b*c*", "*c*b*a*", True),
        ("é*", "?", True),
    ],
)
def test_overlap_examples(a: str, b: str, expected: bool) -> None:
    assert patterns_overlap(a, b) is expected


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("src/*.py", "src/a/b.py", False),
        ("src/?.py", "src//a.py", True),
        ("src/[*].py", "src/*.py", True),
        ("src/[*].py", "src/x.py", False),
        ("docs", "docs/how-to/run.md", True),
        ("docs", "docs2", False),
        ("**/conftest.py", "conftest.py", True),
        ("a", "", False),
        ("*.py", "[a].py", True),
    ],
)
def test_match_examples(pattern: str, path: str, expected: bool) -> None:
    assert pattern_matches(pattern, path) is expected


def test_owns_asks_all_patterns() -> None:
    assert owns(("src/a/**", "README.md"), "README.md")
    assert not owns(("src/a/**", "README.md"), "src/b.py")
    assert not owns((), "README.md")


def test_long_wildcard_patterns_do_not_explode() -> None:
    assert not patterns_overlap("*a" * 60 + "b", "*a" * 60 + "c")
    assert patterns_overlap("**/x*/" * 30 + "y", "**/*x/" * 30 + "y")


@given(st.lists(st.lists(_HARD_PATTERNS, max_size=3), max_size=5), st.lists(_HARD_PATTERNS, max_size=3))
def test_owners_are_found_as_if_every_pattern_were_compared(owned: list[list[str]], asked: list[str]) -> None:
    owners = Owners({str(number): patterns for number, patterns in enumerate(owned)})
    expected = {
        str(number)
        for number, patterns in enumerate(owned)
        if any(patterns_overlap(a, b) for a in asked for b in patterns)
    }
    assert owners.overlapping(asked) == expected
