"""Ordering edges between work packages that could write the same files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from operator import or_
from typing import Final

from kitty_flow.graph.overlaps import overlapping
from kitty_flow.graph.ownership import positive_patterns, shared_patterns
from kitty_flow.graph.reachability import Reachability, bits
from kitty_flow.model.ids import natural_key
from kitty_flow.model.plan import OwnershipConflict

__all__ = ["order_conflicts"]

_FEW: Final = 64


def order_conflicts(
    ids: Iterable[str], edges: Iterable[tuple[str, str]], owned: Mapping[str, Sequence[str]]
) -> tuple[OwnershipConflict, ...]:
    """The order to add between otherwise unordered work packages whose owned files can overlap.

    Waves are filled one after another: of the work packages that could start, the one with the longest chain behind it
    goes first (on a tie the one that is earlier by name), and what shares files with it waits for a later wave. An
    added order that follows from others is left out of the answer, so work packages that all share one file become a
    chain and not a mesh.

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
    order = Reachability(len(ranked), declared)
    sharing = [s & ~b & ~a for s, b, a in zip(overlapping(patterns), order.before, order.after, strict=True)]
    if not any(sharing):
        return ()
    waves = _fill_waves(declared, sharing)
    added = sorted((min(edge), max(edge), edge) for edge in _essential(declared, sharing, waves) - declared)
    return tuple(_conflict(ranked, patterns, *edge) for _, _, edge in added)


def _conflict(ranked: Sequence[str], patterns: Sequence[tuple[str, ...]], before: int, after: int) -> OwnershipConflict:
    early, late = sorted((before, after))
    shared = shared_patterns(patterns[early], patterns[late])
    if shared is None:  # not everything is looked at in a very large mission
        first, second = ([pattern for pattern, _ in positive_patterns(patterns[w])] for w in (early, late))
        shared = shared_patterns(first, second) or (first[0], second[0])
    return OwnershipConflict((ranked[early], ranked[late]), shared, ranked[before], ranked[after])


def _fill_waves(declared: Iterable[tuple[int, int]], sharing: Sequence[int]) -> list[int]:
    """The waves as bitsets, so that no two of a wave share files and each node comes after its prerequisites."""
    successors: list[list[int]] = [[] for _ in sharing]
    missing = [0] * len(sharing)
    for before, after in declared:
        successors[before].append(after)
        missing[after] += 1
    length = _chain_lengths(successors, missing)
    ready: dict[int, int] = {}  # by the length of the chain behind: those that could start
    new = [node for node, count in enumerate(missing) if not count]
    waves = []
    while ready or new:
        for node in new:
            ready[length[node]] = ready.get(length[node], 0) | 1 << node
        wave = _pick(ready, sharing)
        waves.append(wave)
        new = []
        for node in bits(wave):
            for successor in successors[node]:
                missing[successor] -= 1
                if not missing[successor]:
                    new.append(successor)
    return waves


def _pick(ready: dict[int, int], sharing: Sequence[int]) -> int:
    """Take a wave out of what is ready: the longest chains first, then in natural order."""
    wave = hindered = 0
    for length in sorted(ready, reverse=True):
        while free := ready[length] & ~hindered:
            chosen = free & -free
            wave |= chosen
            ready[length] ^= chosen
            hindered |= sharing[chosen.bit_length() - 1]
        if not ready[length]:
            del ready[length]
    return wave


def _chain_lengths(successors: Sequence[Sequence[int]], missing: Sequence[int]) -> list[int]:
    """The length of the longest chain that starts at each node."""
    left = list(missing)
    order = [node for node, count in enumerate(left) if not count]
    for node in order:  # grows while it is read
        for successor in successors[node]:
            left[successor] -= 1
            if not left[successor]:
                order.append(successor)
    length = [1] * len(missing)
    for node in reversed(order):
        length[node] = 1 + max((length[successor] for successor in successors[node]), default=0)
    return length


def _essential(
    declared: Iterable[tuple[int, int]], sharing: Sequence[int], waves: Sequence[int]
) -> set[tuple[int, int]]:
    """The edges, declared and from earlier to later waves where files are shared, that do not follow from others."""
    before = [0] * len(sharing)
    direct = [0] * len(sharing)
    for first, second in declared:
        direct[second] |= 1 << first
    wave_of = {node: number for number, wave in enumerate(waves) for node in bits(wave)}
    found: set[tuple[int, int]] = set()
    for number, (wave, earlier) in enumerate(zip(waves, accumulate(waves, or_, initial=0), strict=False)):
        for node in bits(wave):
            pending = direct[node] | sharing[node] & earlier
            # The latest first: what comes before it comes before `node` anyway. Where many are left, whole waves are
            # looked at instead of sorting, because one of them mostly covers the rest.
            nearest = number
            while pending:
                if pending.bit_count() <= _FEW:
                    some = 1 << max(bits(pending), key=lambda other: wave_of[other])
                else:
                    nearest -= 1
                    some = pending & waves[nearest]
                for other in bits(some):
                    found.add((other, node))
                    before[node] |= before[other] | 1 << other
                pending &= ~before[node]
    return found
