"""Who comes before whom, as one integer bitset a node."""

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
    """The strict partial order that `edges` generate on the nodes ``0 … size - 1``.

    `after[x]` holds everything that comes after `x`, `before[x]` everything that comes before it. Each is the union
    over the direct neighbours, in topological order, so the whole costs one operation on bitsets an edge.

    Raises:
        ValueError: the edges go in a circle.
    """

    def __init__(self, size: int, edges: Iterable[tuple[int, int]] = ()) -> None:
        self.after = [0] * size
        self.before = [0] * size
        successors: list[list[int]] = [[] for _ in range(size)]
        missing = [0] * size
        for before, after in edges:
            successors[before].append(after)
            missing[after] += 1
        order = [node for node in range(size) if not missing[node]]
        for node in order:  # grows while it is read
            upstream = self.before[node] | 1 << node
            for successor in successors[node]:
                self.before[successor] |= upstream
                missing[successor] -= 1
                if not missing[successor]:
                    order.append(successor)
        if len(order) < size:
            raise ValueError("the edges go in a circle")
        for node in reversed(order):
            downstream = 0
            for successor in successors[node]:
                downstream |= self.after[successor] | 1 << successor
            self.after[node] = downstream

    def precedes(self, first: int, second: int) -> bool:
        """Whether `first` comes before `second`, directly or not."""
        return bool(self.after[first] >> second & 1)

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
