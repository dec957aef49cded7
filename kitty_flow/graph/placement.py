"""Execution lanes: the fewest chains of work packages, each sequential anyway, so that placement costs no parallelism.

By Dilworth's theorem a minimum chain cover of the order is a maximum matching between "comes before" and "comes
after". The matching runs on bitsets (Hopcroft and Karp's phases, without recursion): the closure of 10,000 work
packages can have fifty million pairs, too many for a graph object, and direct dependencies can be preferred at no cost.
A phase looks at each node once, with one operation on bitsets; there are few phases, at most in the order of the square
root of the number of nodes.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from kitty_flow.graph.dependency_graph import DependencyGraph
from kitty_flow.graph.reachability import Reachability, bits
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


def _chains(graph: DependencyGraph, members: Collection[str]) -> list[list[str]]:
    """A minimum chain cover of `members`."""
    names = graph.merge_order
    position = {work_package: index for index, work_package in enumerate(names)}
    edges = [(position[before], position[after]) for before, after in graph.edges]
    inside = 0
    for member in members:
        inside |= 1 << position[member]
    direct = [0] * len(names)
    for node, successor in edges:
        direct[node] |= inside & 1 << successor
    after = [mask & inside for mask in Reachability(len(names), edges).after]
    nodes = list(bits(inside))
    predecessor = _match(nodes, direct, after)
    following = {before: node for node, before in predecessor.items()}
    chains = []
    for start in nodes:
        if start not in predecessor:
            chain = [start]
            while chain[-1] in following:
                chain.append(following[chain[-1]])
            chains.append([names[node] for node in chain])
    return chains


def _match(nodes: list[int], direct: list[int], after: list[int]) -> dict[int, int]:
    """A maximum matching: for each node that has one, the node right before it in its chain."""
    predecessor: dict[int, int] = {}
    free = (1 << len(after)) - 1
    waiting = []
    for node in nodes:
        open_here = direct[node] & free
        chosen = open_here & -open_here
        if chosen:
            predecessor[chosen.bit_length() - 1] = node
            free ^= chosen
        else:
            waiting.append(node)
    while layers := _layers(waiting, after, free, predecessor):
        unmatched = []
        for node in waiting:
            taken = _augment(node, direct, after, layers, predecessor)
            free &= ~taken
            if not taken:
                unmatched.append(node)
        waiting = unmatched
    return predecessor


def _layers(waiting: list[int], after: list[int], free: int, predecessor: dict[int, int]) -> list[int]:
    """The nodes that the shortest augmenting paths from `waiting` can pass, step by step; none without such a path.

    The last layer holds only free ones.
    """
    layers: list[int] = []
    unseen = (1 << len(after)) - 1
    frontier = waiting
    while True:
        reached = 0
        for node in frontier:
            reached |= after[node]
        reached &= unseen
        if not reached or reached & free:
            return [*layers, reached & free] if reached else []
        layers.append(reached)
        unseen &= ~reached
        frontier = [predecessor[node] for node in bits(reached)]


def _augment(start: int, direct: list[int], after: list[int], layers: list[int], predecessor: dict[int, int]) -> int:
    """Try to give `start` a successor by rerouting others along the layers; the newly matched bit, or 0.

    What was looked at leaves its layer, for this and every later search of the phase.
    """
    path = [start]
    taken: list[int] = []
    while path:
        step = len(path) - 1
        reachable = after[path[-1]] & layers[step]
        if not reachable:
            path.pop()
            if taken:
                taken.pop()
            continue
        wanted = reachable & direct[path[-1]] or reachable
        chosen = wanted & -wanted
        layers[step] ^= chosen
        taken.append(chosen.bit_length() - 1)
        if step == len(layers) - 1:
            # Flip the alternating path: each node on it takes the successor that it wanted.
            predecessor.update(zip(taken, path, strict=True))
            return chosen
        path.append(predecessor[taken[-1]])
    return 0
