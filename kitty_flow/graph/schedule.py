"""How long a mission takes with k agents, predicted by list scheduling; every work package counts one unit."""

from __future__ import annotations

import heapq

from kitty_flow.errors import UsageError
from kitty_flow.graph.dependency_graph import DependencyGraph
from kitty_flow.model.plan import Makespan

__all__ = ["predict_makespan"]


def predict_makespan(graph: DependencyGraph, agents: int) -> Makespan:
    """The makespan when each free agent takes the ready work package with the longest chain behind it.

    List scheduling is never worse than twice the optimum; `lower_bound` is what no schedule can beat.

    Raises:
        UsageError: AGENTS_OUT_OF_RANGE, when `agents` is less than 1.
    """
    if agents < 1:
        raise UsageError(
            "AGENTS_OUT_OF_RANGE",
            f"a mission needs at least one agent, not {agents}",
            hint="kitty-flow plan MISSION --agents 4",
        )
    rank = {work_package: index for index, work_package in enumerate(graph.ids)}
    open_edges = {work_package: len(graph.prerequisites(work_package)) for work_package in graph.ids}
    ready = [(-graph.tail[w], rank[w]) for w in graph.ids if not open_edges[w]]
    heapq.heapify(ready)
    steps = 0
    while ready:
        steps += 1
        running = [graph.ids[heapq.heappop(ready)[1]] for _ in range(min(agents, len(ready)))]
        for work_package in running:
            for dependent in graph.dependents(work_package):
                open_edges[dependent] -= 1
                if not open_edges[dependent]:
                    heapq.heappush(ready, (-graph.tail[dependent], rank[dependent]))
    lower_bound = max(graph.longest_chain, -(-len(graph.ids) // agents))
    return Makespan(agents=agents, estimate=float(steps), lower_bound=float(lower_bound))
