"""List scheduling: each free agent takes the ready work package with the longest chain of work behind it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush

from kitty_flow.errors import UsageError
from kitty_flow.graph.dependency_graph import DependencyGraph
from kitty_flow.model.plan import Makespan

__all__ = ["Schedule", "check_agents", "predict_makespan"]


class Schedule:
    """A fixed order of preference among work packages, by which agents can be simulated with any durations.

    The preference follows from the durations that are expected: who works does not know how long it will take. A list
    schedule is never worse than twice the optimum.

    Args:
        order: the work packages in a topological order, which also decides between equally long chains.
        edges: (prerequisite, dependent) pairs; those with an end outside `order` do not count.
        expected: how long each is expected to take; by default one unit.
        first: these are preferred to all others.
    """

    def __init__(
        self,
        order: Sequence[str],
        edges: Iterable[tuple[str, str]],
        *,
        expected: Mapping[str, float] | None = None,
        first: Collection[str] = (),
    ) -> None:
        weights = dict.fromkeys(order, 1.0) if expected is None else expected
        dependents: dict[str, set[str]] = {work_package: set() for work_package in order}
        for before, after in edges:
            if before in dependents and after in dependents:
                dependents[before].add(after)
        tail: dict[str, float] = {}
        for work_package in reversed(order):
            behind = (tail[dependent] for dependent in dependents[work_package])
            tail[work_package] = weights[work_package] + max(behind, default=0.0)
        self.order: tuple[str, ...] = tuple(sorted(order, key=lambda w: (w not in first, -tail[w])))
        self.longest_chain: float = max(tail.values(), default=0.0)
        self.total: float = sum((weights[work_package] for work_package in order), 0.0)
        self._expected = [weights[work_package] for work_package in self.order]
        self._number_successors(dependents)

    def _number_successors(self, dependents: Mapping[str, set[str]]) -> None:
        """Number the work packages by preference, so that a heap of bare numbers yields the preferred one."""
        rank = {work_package: number for number, work_package in enumerate(self.order)}
        self._successors = [[rank[dependent] for dependent in dependents[w]] for w in self.order]
        self._open_edges = [0] * len(self.order)
        for successors in self._successors:
            for node in successors:
                self._open_edges[node] += 1

    def length(self, agents: int, durations: Sequence[float] | None = None) -> float:
        """How long `agents` agents need when work takes `durations` (in the order of `order`), or as expected."""
        takes = self._expected if durations is None else durations
        open_edges = self._open_edges.copy()
        ready = [node for node, count in enumerate(open_edges) if not count]
        heapify(ready)
        running: list[tuple[float, int]] = []
        now = 0.0
        while ready or running:
            while ready and len(running) < agents:
                node = heappop(ready)
                heappush(running, (now + takes[node], node))
            # Whatever ends at the same moment ends together: only then is it known who is preferred.
            now = running[0][0]
            while running and running[0][0] == now:
                for successor in self._successors[heappop(running)[1]]:
                    open_edges[successor] -= 1
                    if not open_edges[successor]:
                        heappush(ready, successor)
        return now


def predict_makespan(graph: DependencyGraph, agents: int) -> Makespan:
    """The makespan when every work package takes one unit; `lower_bound` is what no schedule can beat.

    Raises:
        UsageError: AGENTS_OUT_OF_RANGE, when `agents` is less than 1.
    """
    check_agents(agents)
    schedule = Schedule(graph.merge_order, graph.edges)
    lower_bound = max(graph.longest_chain, -(-len(graph.ids) // agents))
    return Makespan(agents=agents, estimate=schedule.length(agents), lower_bound=float(lower_bound))


def check_agents(agents: int) -> None:
    """Refuse a number of agents with which nothing gets done.

    Raises:
        UsageError: AGENTS_OUT_OF_RANGE.
    """
    if agents < 1:
        raise UsageError(
            "AGENTS_OUT_OF_RANGE",
            f"a mission needs at least one agent, not {agents}",
            hint="kitty-flow plan MISSION --agents 4",
        )
