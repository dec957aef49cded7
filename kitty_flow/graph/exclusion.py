"""Whether two patterns share a path that none of some exclusions takes away.

An exclusion is a pattern too. The search walks the product of both patterns and carries, for each exclusion, the set
of positions that it can be in; a common path on which no exclusion ends is the answer. Excluded segments are judged
one by one: a name counts as free of all that it is not forced to match. So the answer is never a wrong "no"; it can
be a needless "yes" where several exclusions cover the names of a segment only together (``[ab]`` without ``a`` and
without ``b``), or where the search would take more than `_MOST_STEPS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final, TypeAlias, TypeVar

from kitty_flow.graph.globs import Atom, Segment, is_name, segments_meet

__all__ = ["escapes"]

_Symbol = TypeVar("_Symbol", Atom, Segment)
_Choices: TypeAlias = Callable[[tuple[_Symbol, ...], frozenset[_Symbol]], Iterable[frozenset[_Symbol]]]

_MOST_STEPS: Final = 1 << 18
_ANY_CHARACTER: Final[Atom] = ((0, 0x2E), (0x30, 0x10FFFF))
_ANY_NAME: Final[Segment] = ((),)


def escapes(left: Sequence[Segment], right: Sequence[Segment], excluded: Sequence[Sequence[Segment]]) -> bool:
    """Whether a path exists that `left` and `right` match and no exclusion does; all of them are satisfiable."""
    return _escapes(left, right, excluded, _name_choices)


def _escapes(
    left: Sequence[_Symbol],
    right: Sequence[_Symbol],
    excluded: Sequence[Sequence[_Symbol]],
    choices: _Choices[_Symbol],
) -> bool:
    """Breadth-first over positions in `left` and `right` and the sets of positions in each exclusion.

    The empty word does not count: no path and no name is empty.

    `choices` gets what the next symbol has to match and what exclusions wait for, and says which of the latter the
    symbol matches: one answer for each kind of symbol.
    """
    most_states = _MOST_STEPS // (len(left) + len(right) + sum(map(len, excluded)) + 1)
    start = (0, 0, False, tuple(_settled(1, pattern) for pattern in excluded))
    seen, pending = {start}, [start]
    for i, j, is_begun, places in pending:  # grows while it is read
        if is_begun and i == len(left) and j == len(right) and not _is_excluded(places, excluded):
            return True
        following = [(i + 1, j, is_begun, places)] if i < len(left) and not left[i] else []
        following += [(i, j + 1, is_begun, places)] if j < len(right) and not right[j] else []
        if i < len(left) and j < len(right):
            required = tuple(symbol for symbol in (left[i], right[j]) if symbol)
            awaited = frozenset(
                pattern[at]
                for mask, pattern in zip(places, excluded, strict=True)
                for at in range(len(pattern))
                if mask >> at & 1 and pattern[at]
            )
            for matched in choices(required, awaited):
                moved = tuple(_moved(m, p, matched) for m, p in zip(places, excluded, strict=True))
                following.append((i + bool(left[i]), j + bool(right[j]), True, moved))
        new = [state for state in dict.fromkeys(following) if state not in seen]
        seen.update(new)
        pending += new
        if len(seen) > most_states:
            return True
    return False


def _is_excluded(places: tuple[int, ...], excluded: Sequence[Sequence[_Symbol]]) -> bool:
    return any(mask >> len(pattern) & 1 for mask, pattern in zip(places, excluded, strict=True))


def _moved(mask: int, pattern: Sequence[_Symbol], matched: frozenset[_Symbol]) -> int:
    """The positions after one more symbol, which matches `matched`."""
    after = 0
    for at, symbol in enumerate(pattern):
        if mask >> at & 1:
            after |= 1 << at if not symbol else (symbol in matched) << (at + 1)
    return _settled(after, pattern)


def _settled(mask: int, pattern: Sequence[_Symbol]) -> int:
    """With the positions behind stars, which may stand for nothing."""
    for at, symbol in enumerate(pattern):
        if mask >> at & 1 and not symbol:
            mask |= 2 << at
    return mask


def _name_choices(required: tuple[Segment, ...], awaited: frozenset[Segment]) -> Iterable[frozenset[Segment]]:
    """One name that is free of all that it can be free of, as far as each by itself goes."""
    one, other = (required * 2)[:2] if required else (_ANY_NAME, _ANY_NAME)
    if segments_meet(one, other):
        yield frozenset(segment for segment in awaited if _is_covered(one, other, segment))


@lru_cache(maxsize=1 << 14)
def _is_covered(one: Segment, other: Segment, by: Segment) -> bool:
    """Whether every name that two segments share (there is one) matches a third."""
    for name in (one, other):
        if is_name(name):
            return segments_meet(name, by)
    return by in (one, other) or not _escapes(one, other, (by,), _character_choices)


def _character_choices(required: tuple[Atom, ...], awaited: frozenset[Atom]) -> Iterable[frozenset[Atom]]:
    """One character out of each piece between the bounds of all sets that are involved."""
    sets = (*(required or (_ANY_CHARACTER,)), *awaited)
    bounds = {low for atom in sets for low, _ in atom} | {high + 1 for atom in sets for _, high in atom}
    candidates = (code for code in sorted(bounds) if all(_holds(atom, code) for atom in sets[: len(required) or 1]))
    return dict.fromkeys(frozenset(atom for atom in awaited if _holds(atom, code)) for code in candidates)


def _holds(atom: Atom, code: int) -> bool:
    return any(low <= code <= high for low, high in atom)
