"""Ordering edges between work packages that could write the same files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush

from kitty_flow.graph.ownership import literal_prefix, patterns_overlap
from kitty_flow.graph.reachability import Reachability, bits
from kitty_flow.model.ids import natural_key
from kitty_flow.model.plan import OwnershipConflict

__all__ = ["order_conflicts"]


def order_conflicts(
    ids: Iterable[str], edges: Iterable[tuple[str, str]], owned: Mapping[str, Sequence[str]]
) -> tuple[OwnershipConflict, ...]:
    """The order to add between otherwise unordered work packages whose owned files can overlap.

    Pairs are visited in natural order. Each direction is the one that lengthens the critical path least; on a tie the
    earlier id goes first. An added order that a later one makes superfluous is left out of the answer, so work
    packages that all share one file become a chain and not a mesh.

    Args:
        ids: all work packages.
        edges: the declared dependencies as (prerequisite, dependent), acyclic.
        owned: the patterns of each work package; none means that nothing is declared.

    Raises:
        ValueError: the declared dependencies are cyclic (`DependencyGraph` reports that to the user first).
    """
    ranked = sorted(set(ids), key=natural_key)
    rank = {work_package: index for index, work_package in enumerate(ranked)}
    declared = {(rank[before], rank[after]) for before, after in edges}
    patterns = [tuple(owned.get(work_package, ())) for work_package in ranked]
    order = _LeveledOrder(len(ranked), declared)
    added: dict[tuple[int, int], tuple[str, str]] = {}
    for early, candidates in enumerate(_candidates(patterns)):
        ordered = order.reach.after[early] | order.reach.before[early]
        for late in bits(candidates & ~ordered & ~((2 << early) - 1)):
            # An edge added for this very node may have ordered the rest of its candidates meanwhile.
            if order.reach.precedes(early, late) or order.reach.precedes(late, early):
                continue
            shared = _first_overlap(patterns[early], patterns[late])
            if shared is not None:
                added[order.add_cheapest(early, late)] = shared
    kept = sorted((min(edge), max(edge), edge) for edge in order.essential() if edge in added)
    return tuple(
        OwnershipConflict(
            work_packages=(ranked[early], ranked[late]),
            patterns=added[edge],
            before=ranked[edge[0]],
            after=ranked[edge[1]],
        )
        for early, late, edge in kept
    )


class _LeveledOrder:
    """A partial order that knows the longest chain ending (`height`) and starting (`depth`) at each node."""

    def __init__(self, size: int, edges: Iterable[tuple[int, int]]) -> None:
        self.reach = Reachability(size)
        self._successors = [0] * size
        self._predecessors = [0] * size
        self._height = [1] * size
        self._depth = [1] * size
        self._longest = 1
        for before, after in sorted(edges):
            self._add(before, after)

    def add_cheapest(self, early: int, late: int) -> tuple[int, int]:
        """Order two unordered nodes so that the longest chain grows least; return the edge that was added."""
        forward = max(self._longest, self._height[early] + self._depth[late])
        backward = max(self._longest, self._height[late] + self._depth[early])
        edge = (early, late) if forward <= backward else (late, early)
        self._add(*edge)
        return edge

    def essential(self) -> set[tuple[int, int]]:
        """The edges that do not follow from others."""
        remembered = {(before, after) for before, mask in enumerate(self._successors) for after in bits(mask)}
        return remembered - self.reach.implied(remembered)

    def _add(self, before: int, after: int) -> None:
        # An edge that is implied already changes neither the order nor any level.
        if not self.reach.add(before, after):
            return
        self._longest = max(self._longest, self._height[before] + self._depth[after])
        # Edges that this one implies are forgotten: a shared file makes a mesh, and levels travel along a chain faster.
        for node in bits(self._predecessors[after] & self.reach.before[before]):
            self._successors[node] &= ~(1 << after)
        self._predecessors[after] = self._predecessors[after] & ~self.reach.before[before] | 1 << before
        self._successors[before] |= 1 << after
        if self._height[after] <= self._height[before]:
            _raise_levels(self._height, self._successors, after, self._height[before] + 1)
        if self._depth[before] <= self._depth[after]:
            _raise_levels(self._depth, self._predecessors, before, self._depth[after] + 1)


def _raise_levels(levels: list[int], neighbours: list[int], start: int, level: int) -> None:
    """Raise one level and all that must exceed it; in order of the old levels, each node is final at its turn."""
    pending = [(levels[start], start)]
    levels[start] = level
    while pending:
        _, node = heappop(pending)
        for neighbour in bits(neighbours[node]):
            if levels[neighbour] <= levels[node]:
                heappush(pending, (levels[neighbour], neighbour))
                levels[neighbour] = levels[node] + 1


def _candidates(patterns: Sequence[Sequence[str]]) -> list[int]:
    """For each node the bitset of nodes that its patterns may meet, judged by literal prefixes only."""
    at_prefix: dict[tuple[str, ...], int] = {}
    for node, owned in enumerate(patterns):
        for pattern in owned:
            prefix = literal_prefix(pattern)
            at_prefix[prefix] = at_prefix.get(prefix, 0) | 1 << node
    found = [0] * len(patterns)
    for prefix, nodes in at_prefix.items():
        meets = nodes
        for length in range(len(prefix)):
            meets |= at_prefix.get(prefix[:length], 0)
        for node in bits(nodes):
            found[node] |= meets
        for node in bits(meets & ~nodes):
            found[node] |= nodes
    return found


def _first_overlap(left: Sequence[str], right: Sequence[str]) -> tuple[str, str] | None:
    return next(((a, b) for a in left for b in right if patterns_overlap(a, b)), None)
