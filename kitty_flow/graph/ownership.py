"""Which paths a glob pattern owns, and whether two patterns can own a common path: decided exactly, without a disk.

A pattern is a sequence of segments between slashes. `**` stands for any number of whole segments (also none); inside
a segment `*`, `?`, `[abc]`, `[a-z]` and `[!abc]` have their usual meaning and never match a slash. A pattern whose
last segment has no wildcard, or that ends in a slash, also owns everything beneath it. A backslash is an ordinary
character, an unclosed `[` too.

Both questions are one: is the product of two small automata non-empty? It is asked for the characters of two segments
and for the segments of two patterns, so `_meet` serves both levels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain, takewhile
from typing import Final, NamedTuple, TypeAlias, TypeVar

__all__ = ["Owners", "literal_prefix", "owns", "pattern_matches", "patterns_overlap"]

# An atom is the set of characters it accepts, as code point ranges; the empty atom is the star of a segment.
# A segment is a sequence of atoms; the empty segment is the `**` of a pattern. So "empty means star" on both levels.
_Atom: TypeAlias = tuple[tuple[int, int], ...]
_Segment: TypeAlias = tuple[_Atom, ...]
_Symbol = TypeVar("_Symbol", _Atom, _Segment)

_STAR: Final[_Atom] = ()
_ANY_DEPTH: Final[_Segment] = ()
_WILDCARD: Final = re.compile(r"[*?\[]")
_ANY: Final[_Atom] = ((0, 0x2E), (0x30, 0x10FFFF))
_UNICODE_END: Final = 0x10FFFF


class _Compiled(NamedTuple):
    """A pattern made ready: `satisfiable` is False when no path can match, such as for an empty class ``[b-a]``."""

    segments: tuple[_Segment, ...]
    prefix: tuple[str, ...]
    satisfiable: bool


def patterns_overlap(a: str, b: str) -> bool:
    """Whether one path exists that both patterns own."""
    return _overlap(a, b) if a <= b else _overlap(b, a)


def pattern_matches(pattern: str, path: str) -> bool:
    """Whether `pattern` owns `path` (relative to the repository root, separated by slashes)."""
    compiled = _compile(pattern)
    segments = tuple(tuple(_literal(character) for character in name) for name in _split(path))
    return bool(segments) and compiled.satisfiable and _meet(compiled.segments, segments, _segments_meet)


def owns(patterns: Iterable[str], path: str) -> bool:
    """Whether any of the patterns owns `path`."""
    return any(pattern_matches(pattern, path) for pattern in patterns)


def literal_prefix(pattern: str) -> tuple[str, ...]:
    """The leading segments without wildcards. Two patterns overlap only if one prefix is the start of the other."""
    return _compile(pattern).prefix


class Owners:
    """Who owns which patterns, to be asked again and again; the cost of a question is that of its near candidates."""

    def __init__(self, owned: Mapping[str, Iterable[str]]) -> None:
        self._at: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        self._below: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        for owner, patterns in owned.items():
            for pattern in patterns:
                start = _plain_start(pattern)
                self._at.setdefault(start, []).append((owner, pattern))
                for length in range(len(start)):
                    self._below.setdefault(start[:length], []).append((owner, pattern))

    def overlapping(self, patterns: Iterable[str]) -> set[str]:
        """The owners of a pattern that overlaps with one of these."""
        found: set[str] = set()
        for pattern in patterns:
            start = _plain_start(pattern)
            near = [self._below.get(start, ()), *(self._at.get(start[:n], ()) for n in range(len(start) + 1))]
            for owner, other in chain.from_iterable(near):
                if owner not in found and patterns_overlap(pattern, other):
                    found.add(owner)
        return found


def _plain_start(pattern: str) -> tuple[str, ...]:
    """The literal prefix or a part of it, without the cost of compiling: any `[` is taken for a wildcard here."""
    wildcard = _WILDCARD.search(pattern)
    names = pattern[: wildcard.start()].split("/")[:-1] if wildcard else pattern.split("/")
    return tuple(name for name in names if name not in ("", "."))


@lru_cache(maxsize=1 << 16)
def _overlap(a: str, b: str) -> bool:
    left, right = _compile(a), _compile(b)
    if not (left.satisfiable and right.satisfiable):
        return False
    if any(x != y for x, y in zip(left.prefix, right.prefix, strict=False)):
        return False
    if (not left.segments[0] and not right.segments[-1]) or (not right.segments[0] and not left.segments[-1]):
        # `**/x` and `y/**` share `y/x`, whatever x and y are.
        return True
    # Without a `**` at the end the last names must agree; that is cheap to ask first.
    last_left, last_right = left.segments[-1], right.segments[-1]
    if last_left and last_right and not _segments_meet(last_left, last_right):
        return False
    return _meet(left.segments, right.segments, _segments_meet)


def _meet(left: Sequence[_Symbol], right: Sequence[_Symbol], symbols_meet: Callable[[_Symbol, _Symbol], bool]) -> bool:
    """Whether two sequences of satisfiable symbols and stars accept a common word.

    `row[j]` answers it for the rests `left[i:]` and `right[j:]`; rows are filled from the end.
    """
    below: list[bool] = []
    for i in range(len(left), -1, -1):
        row = [False] * (len(right) + 1)
        for j in range(len(right), -1, -1):
            on_left, on_right = i < len(left), j < len(right)
            if not on_left and not on_right:
                row[j] = True
            elif (on_left and not left[i]) or (on_right and not right[j]):
                # A star ends, or takes one symbol of the other side: either way exactly one side moves on.
                row[j] = (on_left and below[j]) or (on_right and row[j + 1])
            elif on_left and on_right:
                row[j] = below[j + 1] and symbols_meet(left[i], right[j])
        below = row
    return below[0]


@lru_cache(maxsize=1 << 16)
def _segments_meet(left: _Segment, right: _Segment) -> bool:
    # The characters before the first star decide most cases.
    for a, b in zip(left, right, strict=False):
        if not a or not b:
            break
        if not _atoms_meet(a, b):
            return False
    return left == right or _meet(left, right, _atoms_meet)


def _atoms_meet(left: _Atom, right: _Atom) -> bool:
    return left == right or any(max(a, c) <= min(b, d) for a, b in left for c, d in right)


def _split(text: str) -> list[str]:
    return [segment for segment in text.split("/") if segment not in ("", ".")]


def _literal(character: str) -> _Atom:
    return ((ord(character), ord(character)),)


@lru_cache(maxsize=1 << 14)
def _compile(pattern: str) -> _Compiled:
    names = _split(pattern)
    parsed = [_parse_segment(name) for name in names]
    segments = [segment for segment, _, _ in parsed]
    plain = [is_literal for _, is_literal, _ in parsed]
    if not parsed or plain[-1] or pattern.endswith("/"):
        segments.append(_ANY_DEPTH)
    prefix = tuple(name for name, _ in takewhile(lambda pair: pair[1], zip(names, plain, strict=True)))
    return _Compiled(tuple(segments), prefix, bool(pattern) and all(satisfiable for _, _, satisfiable in parsed))


def _parse_segment(text: str) -> tuple[_Segment, bool, bool]:
    """The segment, whether it is free of wildcards, and whether any name can match it."""
    if text == "**":
        return _ANY_DEPTH, False, True
    atoms: list[_Atom] = []
    is_literal = satisfiable = True
    position = 0
    while position < len(text):
        character = text[position]
        # A class closes at the first `]` behind its first member, so that `[]a]` and `[!]]` contain the bracket.
        first_member = position + 2 if text.startswith("[!", position) else position + 1
        close = text.find("]", first_member + 1) if character == "[" else -1
        if character in "*?" or close >= 0:
            is_literal = False
        if character == "*":
            if not atoms or atoms[-1] != _STAR:
                atoms.append(_STAR)
        elif character == "?":
            atoms.append(_ANY)
        elif close >= 0:
            atom = _parse_class(text[first_member:close], negated=first_member == position + 2)
            satisfiable = satisfiable and bool(atom)
            atoms.append(atom)
            position = close
        else:
            atoms.append(_literal(character))
        position += 1
    return tuple(atoms), is_literal, satisfiable


def _parse_class(members: str, *, negated: bool) -> _Atom:
    """The ranges of a class in ascending order, without the slash; empty when the class accepts nothing."""
    ranges: list[tuple[int, int]] = []
    position = 0
    while position < len(members):
        low = high = ord(members[position])
        if members[position + 1 : position + 2] == "-" and position + 2 < len(members):
            high = ord(members[position + 2])
            position += 2
        position += 1
        if low <= high:
            ranges.append((low, high))
    slash = (0x2F, 0x2F)
    refused = ranges if negated else _complement(ranges)
    return tuple(_complement([*refused, slash]))


def _complement(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    gaps: list[tuple[int, int]] = []
    start = 0
    for low, high in sorted(ranges):
        if low > start:
            gaps.append((start, low - 1))
        start = max(start, high + 1)
    if start <= _UNICODE_END:
        gaps.append((start, _UNICODE_END))
    return gaps
