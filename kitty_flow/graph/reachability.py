"""Who comes before whom, as one integer bitset a node; kept exact while edges are added."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__all__ = ["Reachability", "bits"]


def bits(mask: int) -> Iterator[int]:
    """The positions of the set bits, lowest first."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


class Reachability:
    """A strict partial order on the nodes ``0 … size - 1``.

    `after[x]` holds everything that comes after `x`, `before[x]` everything that comes before it. Adding an edge that
    would close a cycle is refused, so the order is acyclic by construction.
    """

    def __init__(self, size: int, edges: Iterable[tuple[int, int]] = ()) -> None:
        self.after = [0] * size
        self.before = [0] * size
        for before, after in edges:
            self.add(before, after)

    def precedes(self, first: int, second: int) -> bool:
        """Whether `first` comes before `second`, directly or not."""
        return bool(self.after[first] >> second & 1)

    def add(self, before: int, after: int) -> bool:
        """Put `before` before `after`; whether that was news.

        Raises:
            ValueError: the edge would close a cycle.
        """
        if before == after or self.precedes(after, before):
            raise ValueError(f"an edge {before} -> {after} would close a cycle")
        if self.precedes(before, after):
            return False
        upstream = self.before[before] | 1 << before
        downstream = self.after[after] | 1 << after
        # Who comes before `after` already comes before everything downstream, and the other way round: skip those.
        # Both sets are taken before anything changes, because each loop changes what the other is computed from.
        new_upstream, new_downstream = upstream & ~self.before[after], downstream & ~self.after[before]
        for node in bits(new_upstream):
            self.after[node] |= downstream
        for node in bits(new_downstream):
            self.before[node] |= upstream
        return True

    def implied(self, edges: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
        """Those of the edges (which together generate this order) that follow from the others."""
        successors: dict[int, set[int]] = {}
        for before, after in edges:
            successors.setdefault(before, set()).add(after)
        found = set()
        for before, direct in successors.items():
            beyond = 0
            for node in direct:
                beyond |= self.after[node]
            found |= {(before, after) for after in direct if beyond >> after & 1}
        return found
