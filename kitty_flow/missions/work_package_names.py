"""Finds the work packages that a text names: single ids, and ranges such as ``WP01-WP07`` or ``WP01 through WP07``.

A number far too long for an id is a name all the same, so that it is refused as one and never overlooked. A range
holds those of its members that exist, so its ends may lie as far apart as they like.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

__all__ = ["NAME", "Mention", "Roster", "spelled"]

_DIGITS: Final = 400
_NUMBER: Final = rf"(?:[0-9]{{1,{_DIGITS}}}[a-z]?(?!\w)|[0-9]{{{_DIGITS}}}(?=[0-9]))"
NAME: Final = rf"(?:WP[-_ ]?|Work Packages? (?:WP)?)#?{_NUMBER}"
_RANGE: Final = (
    rf"\s{{0,3}}(?:(?:[-\u2013—]|\.{{2,3}}|…)\s{{0,3}}|(?:to|through|thru|until)\s{{1,3}})WP[-_ ]?{_NUMBER}"
    rf"|[-\u2013]{_NUMBER}"
)
_MENTION: Final = re.compile(rf"(?<![\w.-])(?<!tasks/)({NAME})({_RANGE})?", re.IGNORECASE)
_SHORT: Final = re.compile(r"WP[-_ ]?#?[0-9]", re.IGNORECASE)
_KEY: Final = re.compile(rf"(?<![0-9])([0-9]{{1,{_DIGITS}}})([a-z]?)\Z", re.IGNORECASE)


class Mention(NamedTuple):
    """Where in a text (`start` to `end`) work packages are named. `mask` has one bit for each known one, see `Roster`.

    `unknown` are names that the document has no work package for.
    """

    start: int
    end: int
    mask: int
    unknown: tuple[str, ...] = ()


def spelled(name: str) -> str:
    """The id that a name in prose stands for: ``Work Package 3`` is WP03, ``WP3`` stays as it is."""
    digits = _digits(name)
    return f"WP{digits}" if _SHORT.search(name) else f"WP{digits.rjust(2, '0')}"


class Roster:
    """The work packages of one document, by number. A set of them is an integer: bit n stands for `ids[n]`.

    That keeps a range as cheap as a single name, however many of them a document holds.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        by_key = {_key(each): each for each in reversed(list(ids))}
        self._keys = sorted(by_key)
        self._meanings: dict[str, tuple[int, tuple[str, ...]]] = {}
        self.ids = tuple(by_key[key] for key in self._keys)

    def bit(self, name: str) -> int:
        """The set of the one work package `name`; empty when there is none."""
        index = self._index(name)
        return 0 if index is None else 1 << index

    def before(self, name: str) -> int:
        """The work packages with a lower number than `name`."""
        return (1 << bisect_left(self._keys, _key(name))) - 1

    def others(self, name: str) -> int:
        """All work packages but `name`."""
        return ((1 << len(self.ids)) - 1) & ~self.bit(name)

    def members(self, mask: int) -> tuple[str, ...]:
        """The ids of a set, in order."""
        found = []
        while mask:
            lowest = mask & -mask
            found.append(self.ids[lowest.bit_length() - 1])
            mask ^= lowest
        return tuple(found)

    def mentions(self, text: str) -> Iterator[Mention]:
        """The names and ranges in `text`, from left to right."""
        for match in _MENTION.finditer(text):
            yield self._mention(match)

    def mention_at(self, text: str, start: int) -> Mention | None:
        """The name or range that begins at `start`."""
        match = _MENTION.match(text, start)
        return None if match is None else self._mention(match)

    def _mention(self, match: re.Match[str]) -> Mention:
        meaning = self._meanings.get(match[0])
        if meaning is None:
            meaning = self._meanings[match[0]] = self._meaning(match[1], match[2])
        return Mention(match.start(), match.end(), *meaning)

    def _meaning(self, first: str, rest: str | None) -> tuple[int, tuple[str, ...]]:
        names = (first,) if rest is None else (first, f"WP{_digits(rest)}")
        unknown = tuple(spelled(name) for name in names if self._index(name) is None)
        low, high = min(map(_key, names)), max(map(_key, names))
        begin, end = bisect_left(self._keys, low), bisect_right(self._keys, high)
        return (1 << end) - (1 << begin) if end > begin else 0, unknown

    def _index(self, name: str) -> int | None:
        key = _key(name)
        index = bisect_left(self._keys, key)
        return index if index < len(self._keys) and self._keys[index] == key else None


def _digits(text: str) -> str:
    match = _KEY.search(text)
    return "0" if match is None else match[0]


def _key(name: str) -> tuple[int, str]:
    match = _KEY.search(name)
    return (0, name) if match is None else (int(match[1]), match[2].lower())
