"""The pattern language of owned files, made ready for questions; without a disk.

A pattern is a sequence of segments between slashes. `**` stands for any number of whole segments (also none); inside
a segment `*`, `?`, `[abc]`, `[a-z]` and `[!abc]` have their usual meaning and never match a slash. A pattern whose
last segment has no wildcard, or that ends in a slash, also owns everything beneath it. A backslash is an ordinary
character, an unclosed `[` too.

Whether two patterns share a path is one question: is the product of two small automata non-empty? It is asked for the
characters of two segments and for the segments of two patterns, so `meet` serves both levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import takewhile
from typing import Final, NamedTuple, TypeAlias, TypeVar

__all__ = ["ANY_DEPTH", "Atom", "Glob", "Segment", "compile_glob", "compile_path", "is_name", "meet", "segments_meet"]

# An atom is the set of characters it accepts, as code point ranges; the empty atom is the star of a segment.
# A segment is a sequence of atoms; the empty segment is the `**` of a pattern. So "empty means star" on both levels.
Atom: TypeAlias = tuple[tuple[int, int], ...]
Segment: TypeAlias = tuple[Atom, ...]
_Symbol = TypeVar("_Symbol", Atom, Segment)

ANY_DEPTH: Final[Segment] = ()

_STAR: Final[Atom] = ()
_ANY: Final[Atom] = ((0, 0x2E), (0x30, 0x10FFFF))
_UNICODE_END: Final = 0x10FFFF


class Glob(NamedTuple):
    """A pattern made ready: `satisfiable` is False when no path can match, such as for an empty class ``[b-a]``.

    `prefix` holds the leading segments without wildcards.
    """

    segments: tuple[Segment, ...]
    prefix: tuple[str, ...]
    satisfiable: bool


@lru_cache(maxsize=1 << 16)
def compile_glob(pattern: str) -> Glob:
    """The automaton of a pattern; any text is one."""
    names = _split(pattern)
    parsed = [_parse_segment(name) for name in names]
    segments = [segment for segment, _, _ in parsed]
    plain = [is_literal for _, is_literal, _ in parsed]
    if not parsed or plain[-1] or pattern.endswith("/"):
        segments.append(ANY_DEPTH)
    once = tuple(s for number, s in enumerate(segments) if s or not number or segments[number - 1])
    prefix = tuple(name for name, _ in takewhile(lambda pair: pair[1], zip(names, plain, strict=True)))
    return Glob(once, prefix, bool(pattern) and all(satisfiable for _, _, satisfiable in parsed))


def compile_path(path: str) -> tuple[Segment, ...]:
    """The segments that only this path matches."""
    return tuple(tuple(_literal(character) for character in name) for name in _split(path))


def is_name(segment: Segment) -> bool:
    """Whether exactly one name matches the segment."""
    return bool(segment) and all(len(atom) == 1 and atom[0][0] == atom[0][1] for atom in segment)


def meet(left: Sequence[_Symbol], right: Sequence[_Symbol], symbols_meet: Callable[[_Symbol, _Symbol], bool]) -> bool:
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
def segments_meet(left: Segment, right: Segment) -> bool:
    """Whether one name exists that both segments match."""
    # The characters before the first star decide most cases.
    for a, b in zip(left, right, strict=False):
        if not a or not b:
            break
        if not _atoms_meet(a, b):
            return False
    return left == right or meet(left, right, _atoms_meet)


def _atoms_meet(left: Atom, right: Atom) -> bool:
    return left == right or any(max(a, c) <= min(b, d) for a, b in left for c, d in right)


def _split(text: str) -> list[str]:
    return [segment for segment in text.split("/") if segment not in ("", ".")]


@lru_cache(maxsize=1 << 10)
def _literal(character: str) -> Atom:
    return ((ord(character), ord(character)),)


@lru_cache(maxsize=1 << 14)
def _parse_segment(text: str) -> tuple[Segment, bool, bool]:
    """The segment, whether it is free of wildcards, and whether any name can match it."""
    if text == "**":
        return ANY_DEPTH, False, True
    atoms: list[Atom] = []
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


def _parse_class(members: str, *, negated: bool) -> Atom:
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
