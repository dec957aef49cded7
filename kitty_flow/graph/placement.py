"""Execution lanes: the fewest chains of work packages, each sequential anyway, so that placement costs no parallelism.

By Dilworth's theorem a minimum chain cover of the order is a maximum matching between "comes before" and "comes
after". The matching runs on bitsets (Kuhn's augmenting paths, without recursion): the closure of 1,000 work packages
can have half a million pairs, too many for a graph object, and direct dependencies can be preferred at no cost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from kitty_flow.graph.dependency_graph import DependencyGraph
from kitty_flow.graph.reachability import bits
from kitty_flow.model.ids import natural_key
from kitty_flow.model.plan import ExecutionLane

__all__ = ["PLANNING_LANE", "place"]

PLANNING_LANE: Final = "lane-planning"


def place(graph: DependencyGraph, planning: Collection[str]) -> tuple[ExecutionLane, ...]:
    """Place every work package of the graph in an execution lane.

    Args:
        graph: the conflict-aware graph.
        planning: the work packages that produce planning artifacts; they share `lane-planning`, in merge order.

    Returns:
        `lane-a`, `lane-b`, … in natural order of their first work packages, then `lane-planning` if it is needed.
    """
    code = [work_package for work_package in graph.merge_order if work_package not in planning]
    chains = sorted(_chains(graph, code), key=lambda chain: natural_key(chain[0]))
    lanes = [ExecutionLane(id=f"lane-{_letters(n)}", work_packages=tuple(c)) for n, c in enumerate(chains, 1)]
    artifacts = tuple(work_package for work_package in graph.merge_order if work_package in planning)
    if artifacts:
        lanes.append(ExecutionLane(id=PLANNING_LANE, work_packages=artifacts))
    return tuple(lanes)


def _letters(number: int) -> str:
    """1 is a, 26 is z, 27 is aa."""
    letters = ""
    while number:
        number, digit = divmod(number - 1, 26)
        letters = chr(ord("a") + digit) + letters
    return letters


def _chains(graph: DependencyGraph, members: list[str]) -> list[list[str]]:
    """A minimum chain cover of `members`, which are in topological order."""
    position = {work_package: index for index, work_package in enumerate(members)}
    direct = [_mask(position[d] for d in graph.dependents(m) if d in position) for m in members]
    rank = {work_package: index for index, work_package in enumerate(graph.ids)}
    to_position = {rank[work_package]: index for work_package, index in position.items()}
    after = [
        _mask(to_position[node] for node in bits(graph.reachability.after[rank[m]]) if node in to_position)
        for m in members
    ]
    predecessor = _match(direct, after)
    successor = {before: node for node, before in predecessor.items()}
    chains = []
    for start in range(len(members)):
        if start not in predecessor:
            chain = [start]
            while chain[-1] in successor:
                chain.append(successor[chain[-1]])
            chains.append([members[node] for node in chain])
    return chains


def _mask(positions: Iterator[int]) -> int:
    mask = 0
    for position in positions:
        mask |= 1 << position
    return mask


def _match(direct: list[int], after: list[int]) -> dict[int, int]:
    """A maximum matching: for each node that has one, the node right before it in its chain."""
    predecessor: dict[int, int] = {}
    free = (1 << len(after)) - 1
    waiting = []
    for node, successors in enumerate(direct):
        if successors & free:
            chosen = next(bits(successors & free))
            predecessor[chosen] = node
            free &= ~(1 << chosen)
        else:
            waiting.append(node)
    for node in waiting:
        free &= ~_augment(node, direct, after, free, predecessor)
    return predecessor


def _augment(start: int, direct: list[int], after: list[int], free: int, predecessor: dict[int, int]) -> int:
    """Try to give `start` a successor by rerouting others; the bit of the newly matched node, or 0."""
    unseen = (1 << len(after)) - 1
    path = [start]
    taken: list[int] = []
    while path:
        reachable = after[path[-1]] & unseen
        if not reachable:
            path.pop()
            if taken:
                taken.pop()
            continue
        choice = next(
            bits(reachable & free & direct[path[-1]] or reachable & free or reachable & direct[path[-1]] or reachable)
        )
        unseen &= ~(1 << choice)
        taken.append(choice)
        if free >> choice & 1:
            # Flip the alternating path: each node on it takes the successor that it wanted.
            predecessor.update(zip(taken, path, strict=True))
            return 1 << choice
        path.append(predecessor[choice])
    return 0
