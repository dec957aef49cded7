"""Which paths lists of patterns own, and whether two lists share one.

The patterns of a work package are read like those of a `.gitignore`: in their order, and the last one that matches a
path decides. One that begins with `!` takes away what the ones before it own. What a single pattern matches stands in
`globs.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from kitty_flow.graph.globs import compile_glob, compile_path, meet, segments_meet

__all__ = [
    "EXCLUSION",
    "Owners",
    "literal_prefix",
    "owns",
    "pattern_matches",
    "patterns_overlap",
    "positive_patterns",
    "shared_patterns",
]

EXCLUSION: Final = "!"

_WILDCARD: Final = re.compile(r"[*?\[]")


def patterns_overlap(a: str, b: str) -> bool:
    """Whether one path exists that both patterns match. Both are taken as they are: `!` is a character here."""
    return _overlap(a, b) if a <= b else _overlap(b, a)


def pattern_matches(pattern: str, path: str) -> bool:
    """Whether `pattern` matches `path` (relative to the repository root, separated by slashes)."""
    compiled, segments = compile_glob(pattern), compile_path(path)
    return bool(segments) and compiled.satisfiable and meet(compiled.segments, segments, segments_meet)


def owns(patterns: Sequence[str], path: str) -> bool:
    """Whether the patterns own `path`: the last one that matches it decides."""
    for pattern in reversed(patterns):
        if pattern_matches(pattern.removeprefix(EXCLUSION), path):
            return not pattern.startswith(EXCLUSION)
    return False


def shared_patterns(left: Sequence[str], right: Sequence[str]) -> tuple[str, str] | None:
    """The first pattern of each list by which both own a common path; None when they share none.

    Exact without exclusions. With them it is never None where a path is shared; see `exclusion.py` for the rare case
    in which it is not None although none is.
    """
    for a, without_a in positive_patterns(left):
        for b, without_b in positive_patterns(right):
            excluded = without_a + without_b
            if patterns_overlap(a, b) and not (excluded and _is_excluded(a, b, excluded)):
                return a, b
    return None


def positive_patterns(patterns: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """The patterns that own something, each with the exclusions behind it, which take away from it."""
    found: list[tuple[str, tuple[str, ...]]] = []
    excluded: tuple[str, ...] = ()
    for pattern in reversed(patterns):
        if pattern.startswith(EXCLUSION):
            excluded = (pattern.removeprefix(EXCLUSION), *excluded)
        else:
            found.append((pattern, excluded))
    return found[::-1]


def literal_prefix(pattern: str) -> tuple[str, ...]:
    """The leading segments without wildcards. Two patterns overlap only if one prefix is the start of the other."""
    return compile_glob(pattern).prefix


_MOST_QUESTIONS: Final = 2_000
"""How many pairs with exclusions one `Owners` looks at exactly."""


class Owners:
    """Who owns which patterns, to be asked again and again; the cost of a question is that of its near candidates."""

    def __init__(self, owned: Mapping[str, Sequence[str]]) -> None:
        self._owned = owned
        self._questions = _MOST_QUESTIONS
        self._at: dict[tuple[str, ...], list[str]] = {}
        self._below: dict[tuple[str, ...], list[str]] = {}
        for owner, patterns in owned.items():
            for pattern, _ in positive_patterns(patterns):
                start = _plain_start(pattern)
                self._at.setdefault(start, []).append(owner)
                for length in range(len(start)):
                    self._below.setdefault(start[:length], []).append(owner)

    def overlapping(self, patterns: Sequence[str]) -> set[str]:
        """The owners of a path that these patterns own too."""
        near: set[str] = set()
        for pattern, _ in positive_patterns(patterns):
            start = _plain_start(pattern)
            near.update(self._below.get(start, ()), *(self._at.get(start[:n], ()) for n in range(len(start) + 1)))
        return {owner for owner in near if self._share(patterns, self._owned[owner])}

    def _share(self, left: Sequence[str], right: Sequence[str]) -> bool:
        """Exclusions are asked about so often and no more; then they count for nothing, which is safe."""
        if any(pattern.startswith(EXCLUSION) for pattern in (*left, *right)):
            self._questions -= 1
            if self._questions < 0:
                left, right = ([pattern for pattern, _ in positive_patterns(each)] for each in (left, right))
        return shared_patterns(left, right) is not None


def _plain_start(pattern: str) -> tuple[str, ...]:
    """The literal prefix or a part of it, without the cost of compiling: any `[` is taken for a wildcard here."""
    wildcard = _WILDCARD.search(pattern)
    names = pattern[: wildcard.start()].split("/")[:-1] if wildcard else pattern.split("/")
    return tuple(name for name in names if name not in ("", "."))


@lru_cache(maxsize=1 << 16)
def _overlap(a: str, b: str) -> bool:
    left, right = compile_glob(a), compile_glob(b)
    if not (left.satisfiable and right.satisfiable):
        return False
    if any(x != y for x, y in zip(left.prefix, right.prefix, strict=False)):
        return False
    if (not left.segments[0] and not right.segments[-1]) or (not right.segments[0] and not left.segments[-1]):
        # `**/x` and `y/**` share `y/x`, whatever x and y are.
        return True
    # Without a `**` at the end the last names must agree; that is cheap to ask first.
    last_left, last_right = left.segments[-1], right.segments[-1]
    if last_left and last_right and not segments_meet(last_left, last_right):
        return False
    return meet(left.segments, right.segments, segments_meet)


@lru_cache(maxsize=1 << 14)
def _is_excluded(a: str, b: str, exclusions: tuple[str, ...]) -> bool:
    """Whether the exclusions take away every path that both patterns match."""
    near = [compile_glob(e) for e in dict.fromkeys(exclusions) if patterns_overlap(a, e) and patterns_overlap(b, e)]
    if not near:
        return False
    from kitty_flow.graph.exclusion import escapes

    return not escapes(compile_glob(a).segments, compile_glob(b).segments, [each.segments for each in near])
