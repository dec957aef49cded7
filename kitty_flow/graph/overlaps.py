"""Which work packages may own a common file: for all of them at once.

The patterns of all work packages form one tree, a level for each segment. Two patterns overlap when one path leads
through both, so the search walks pairs of places of that tree, from the root with itself; what many patterns begin
with is compared once. Where one side owns everything beneath, the whole branch of the other side is met in one step.
The cost is the number of pairs of places that can be reached together: about the size of the tree where patterns
differ in names or in the beginnings or ends of names, and its square where they differ only between two wildcards
(``*_1_*``, ``*_2_*`` in one folder).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from kitty_flow.graph.globs import ANY_DEPTH, Segment, compile_glob, is_name
from kitty_flow.graph.globs import segments_meet as meet
from kitty_flow.graph.ownership import EXCLUSION, positive_patterns, shared_patterns
from kitty_flow.graph.reachability import bits

__all__ = ["MOST_QUESTIONS", "MOST_WILDCARD_PAIRS", "overlapping"]

MOST_QUESTIONS: Final = 10_000
MOST_WILDCARD_PAIRS: Final = 100_000


def overlapping(owned: Sequence[Sequence[str]]) -> list[int]:
    """For each list of patterns the bitset of the other lists that own a common path, as `shared_patterns` says.

    Where very many lists overlap but for their exclusions, some are reported in spite of them (`MOST_QUESTIONS`);
    where very many names differ only between two wildcards (``*_1_*``, ``*_2_*``, which mostly do overlap), what is
    left is taken to overlap (`MOST_WILDCARD_PAIRS`).
    """
    root = _tree(owned)
    _compare(root)
    found = [0] * len(owned)
    for place, met in _with_inherited(root):
        for owner in bits(place.owners):
            found[owner] = _union(found[owner], met)
    for owner in range(len(owned)):
        found[owner] &= ~(1 << owner)
    _drop_excluded(found, owned)
    return found


class _Place:
    """A place in the tree of patterns. Bitsets: `owners` of patterns that end here, `branch` of those that end here or
    below; `met` is what overlaps with patterns that end here, `met_below` with all of the branch."""

    __slots__ = ("_starts", "any_depth", "branch", "loops", "met", "met_below", "names", "number", "owners", "wild")

    def __init__(self, number: int, *, loops: bool = False) -> None:
        self.number = number
        self.loops = loops  # behind `**`: any number of names may pass here
        self.names: dict[Segment, _Place] = {}
        self.wild: dict[Segment, _Place] = {}
        self.any_depth: _Place | None = None
        self.owners = self.branch = self.met = self.met_below = 0
        self._starts: dict[Segment, _Alike] = {}

    def following(self) -> Iterator[tuple[Segment, _Place]]:
        """The places one name further."""
        yield from self.names.items()
        yield from self.wild.items()

    def add_wild(self, segment: Segment, place: _Place) -> None:
        self.wild[segment] = place
        self._starts.setdefault(_start(segment), _Alike()).add(segment, place)

    def wild_near(self, segment: Segment) -> Iterator[tuple[Segment, _Place]]:
        """The wildcards whose literal beginning is one of the segment's, and whose ends do not differ either."""
        start, end = _start(segment), _end(segment)
        for length in range(len(start) + 1):
            alike = self._starts.get(start[:length])
            if alike is not None:
                yield from alike.near(end)


class _Alike:
    """Wildcards with the same literal beginning, found by their literal ends."""

    def __init__(self) -> None:
        self._ending: dict[Segment, list[tuple[Segment, _Place]]] = {}
        self._longer: dict[Segment, list[tuple[Segment, _Place]]] = {}  # the end is longer, and ends so

    def add(self, segment: Segment, place: _Place) -> None:
        end = _end(segment)
        self._ending.setdefault(end, []).append((segment, place))
        for skipped in range(1, len(end) + 1):
            self._longer.setdefault(end[skipped:], []).append((segment, place))

    def near(self, end: Segment) -> Iterator[tuple[Segment, _Place]]:
        """Those of which the end ends in `end`, or the other way round."""
        for skipped in range(len(end) + 1):
            yield from self._ending.get(end[skipped:], ())
        yield from self._longer.get(end, ())


def _start(segment: Segment) -> Segment:
    length = next((at for at, atom in enumerate(segment) if not is_name((atom,))), len(segment))
    return segment[:length]


def _end(segment: Segment) -> Segment:
    return _start(segment[::-1])[::-1]


def _tree(owned: Sequence[Sequence[str]]) -> _Place:
    root = _Place(0)
    places = [root]
    for number, patterns in enumerate(owned):
        owner = 1 << number
        for pattern, _ in positive_patterns(patterns):
            glob = compile_glob(pattern)
            if glob.satisfiable:
                place = root
                for segment in glob.segments:
                    place = _step(place, segment, places)
                place.owners = _union(place.owners, owner)
    for place in reversed(places):  # what follows a place has a higher number
        place.branch = place.owners
        for _, following in place.following():
            place.branch = _union(place.branch, following.branch)
        if place.any_depth is not None:
            place.branch = _union(place.branch, place.any_depth.branch)
    return root


def _step(place: _Place, segment: Segment, places: list[_Place]) -> _Place:
    known = place.any_depth if segment == ANY_DEPTH else place.names.get(segment) or place.wild.get(segment)
    if known is not None:
        return known
    new = _Place(len(places), loops=segment == ANY_DEPTH)
    places.append(new)
    if new.loops:
        place.any_depth = new
    elif is_name(segment):
        place.names[segment] = new
    else:
        place.add_wild(segment, new)
    return new


def _compare(root: _Place) -> None:
    """Visit every pair of places that one path leads to, and note what meets there."""
    seen = {(0, 0)}
    pending = [(root, root)]
    budget = _Budget()
    while pending:
        left, right = pending.pop()
        if left.owners and right.owners:
            left.met, right.met = _union(left.met, right.owners), _union(right.met, left.owners)
        for one, other in ((left, right), (right, left)):
            if one.loops and one.owners:
                one.met, other.met_below = _union(one.met, other.branch), _union(other.met_below, one.owners)
        if not (_is_end(left) or _is_end(right)):
            for one, other in _next_pairs(left, right, budget):
                pair = (one, other) if one.number <= other.number else (other, one)
                key = (pair[0].number, pair[1].number)
                if key not in seen:
                    seen.add(key)
                    pending.append(pair)
            if budget.is_spent:  # an order too many is safe
                left.met_below = _union(left.met_below, right.branch)
                right.met_below = _union(right.met_below, left.branch)


def _is_end(place: _Place) -> bool:
    """Whether all that is here ends in `**`, so that the branch of whatever it is compared with has been met."""
    return place.loops and not (place.names or place.wild)


class _Budget:
    """How many more pairs of wildcards may be compared."""

    def __init__(self) -> None:
        self._left = MOST_WILDCARD_PAIRS

    @property
    def is_spent(self) -> bool:
        return self._left <= 0

    def spend(self) -> bool:
        """Whether one more may be."""
        self._left -= 1
        return self._left >= 0


def _next_pairs(left: _Place, right: _Place, budget: _Budget) -> Iterator[tuple[_Place, _Place]]:
    for one, other in ((left, right), (right, left)):
        if one.any_depth is not None:
            yield one.any_depth, other
        if one.loops:
            yield from ((one, following) for _, following in other.following())
        if other.wild:
            for segment, following in one.following():
                for shape, wild in other.wild_near(segment):
                    if not budget.spend():
                        return
                    if meet(segment, shape):
                        yield following, wild
    few, many = sorted((left, right), key=lambda place: len(place.names))
    for name, following in few.names.items():
        if name in many.names:
            yield following, many.names[name]


def _with_inherited(root: _Place) -> Iterator[tuple[_Place, int]]:
    """Every place with all that overlaps with the patterns that end there."""
    pending = [(root, 0)]
    while pending:
        place, inherited = pending.pop()
        inherited = _union(inherited, place.met_below)
        yield place, _union(inherited, place.met)
        pending += [(following, inherited) for _, following in place.following()]
        if place.any_depth is not None:
            pending.append((place.any_depth, inherited))


def _drop_excluded(found: list[int], owned: Sequence[Sequence[str]]) -> None:
    """Ask again, with their exclusions, about those that have some; at most `MOST_QUESTIONS` times.

    What is not asked about stays: an order too many is safe, one too few is not.
    """
    questions = 0
    for one in _with_exclusions(owned):
        for other in bits(found[one]):
            questions += 1
            if questions > MOST_QUESTIONS:
                return
            if shared_patterns(owned[one], owned[other]) is None:
                found[one] &= ~(1 << other)
                found[other] &= ~(1 << one)


def _with_exclusions(owned: Sequence[Sequence[str]]) -> Iterable[int]:
    return (n for n, patterns in enumerate(owned) if any(pattern.startswith(EXCLUSION) for pattern in patterns))


def _union(one: int, other: int) -> int:
    """One of both where it holds the other: equal bitsets are one object, and a large mission fits into memory."""
    if not one or one is other:
        return other
    both = one | other
    return one if both == one else other if both == other else both
