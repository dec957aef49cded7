"""The dependency graph of a mission: waves, critical path, slack and orders. The only door to `networkx`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from kitty_flow.errors import DefinitionError
from kitty_flow.graph.reachability import Reachability, bits
from kitty_flow.model.ids import natural_key

if TYPE_CHECKING:
    import networkx

__all__ = ["DependencyGraph"]


class DependencyGraph:
    """Work packages and the (prerequisite, dependent) edges between them; immutable and acyclic.

    Nodes are numbered in natural order of their ids, so that no answer depends on hashing or on input order.

    Args:
        ids: all work packages.
        edges: (prerequisite, dependent) pairs; duplicates are harmless.
        source: where the dependencies are written, named in the hint of an error.

    Raises:
        DefinitionError: DUPLICATE_WORK_PACKAGE, UNKNOWN_DEPENDENCY or DEPENDENCY_CYCLE; all cycles are in the details.
    """

    def __init__(self, ids: Iterable[str], edges: Iterable[tuple[str, str]], *, source: str = "") -> None:
        given = list(ids)
        self.ids: tuple[str, ...] = tuple(sorted(set(given), key=natural_key))
        self._rank = {work_package: index for index, work_package in enumerate(self.ids)}
        self._source = source or "the mission definition"
        pairs = set(edges)
        self._refuse_duplicates(given)
        self._refuse_unknown(pairs)
        self._edges = sorted((self._rank[before], self._rank[after]) for before, after in pairs)
        self._graph = self._build()
        self._refuse_cycles()

    @property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """All (prerequisite, dependent) pairs, in natural order."""
        return tuple((self.ids[before], self.ids[after]) for before, after in self._edges)

    @cached_property
    def waves(self) -> tuple[tuple[str, ...], ...]:
        """The topological generations; ids in natural order inside a wave."""
        import networkx

        return tuple(self._names(sorted(nodes)) for nodes in networkx.topological_generations(self._graph))

    @cached_property
    def wave_of(self) -> dict[str, int]:
        """The wave of each work package, counted from 1."""
        return {work_package: number for number, wave in enumerate(self.waves, 1) for work_package in wave}

    @cached_property
    def merge_order(self) -> tuple[str, ...]:
        """The topological order by wave, then natural id."""
        return tuple(work_package for wave in self.waves for work_package in wave)

    @cached_property
    def tail(self) -> dict[str, int]:
        """The length of the longest chain that starts at each work package, itself included."""
        lengths: dict[str, int] = {}
        for work_package in reversed(self.merge_order):
            lengths[work_package] = 1 + max((lengths[d] for d in self.dependents(work_package)), default=0)
        return lengths

    @cached_property
    def critical_path(self) -> tuple[str, ...]:
        """The longest chain; among equally long ones the first in natural order of its ids."""
        path: list[str] = []
        choices: tuple[str, ...] = self.ids
        while choices:
            longest = max(self.tail[work_package] for work_package in choices)
            path.append(next(work_package for work_package in choices if self.tail[work_package] == longest))
            choices = self.dependents(path[-1])
        return tuple(path)

    @property
    def longest_chain(self) -> int:
        """How many work packages the critical path has."""
        return len(self.critical_path)

    def slack(self, work_package: str) -> int:
        """By how many units a work package can be late without the whole mission being late."""
        return self.longest_chain - (self.wave_of[work_package] - 1) - self.tail[work_package]

    def prerequisites(self, work_package: str) -> tuple[str, ...]:
        """The direct prerequisites, in natural order."""
        return self._names(sorted(self._graph.predecessors(self._rank[work_package])))

    def dependents(self, work_package: str) -> tuple[str, ...]:
        """The direct dependents, in natural order."""
        return self._names(sorted(self._graph.successors(self._rank[work_package])))

    def ancestors(self, work_package: str) -> tuple[str, ...]:
        """Everything that must come before, directly or not, in natural order."""
        return self._names(bits(self.reachability.before[self._rank[work_package]]))

    @cached_property
    def reachability(self) -> Reachability:
        """The whole order as bitsets, over positions in `ids`."""
        return Reachability(len(self.ids), self._edges)

    def _names(self, nodes: Iterable[int]) -> tuple[str, ...]:
        return tuple(self.ids[node] for node in nodes)

    def _build(self) -> networkx.DiGraph[int]:
        import networkx

        graph: networkx.DiGraph[int] = networkx.DiGraph()
        graph.add_nodes_from(range(len(self.ids)))
        graph.add_edges_from(self._edges)
        return graph

    def _refuse_duplicates(self, given: list[str]) -> None:
        repeated = [work_package for work_package, count in Counter(given).items() if count > 1]
        if repeated:
            raise DefinitionError(
                "DUPLICATE_WORK_PACKAGE",
                f"more than one work package is called {', '.join(repeated)}, so dependencies on it mean nothing",
                hint=f"give each work package in {self._source} its own id",
                details={"work_packages": repeated},
            )

    def _refuse_unknown(self, pairs: set[tuple[str, str]]) -> None:
        if self._rank.keys() >= {work_package for pair in pairs for work_package in pair}:
            return
        problems = [
            {
                "code": "UNKNOWN_DEPENDENCY",
                "message": f"{after} depends on {before}, and {unknown} is unknown",
                "where": after,
            }
            for before, after in sorted(pairs, key=lambda pair: (natural_key(pair[1]), natural_key(pair[0])))
            for unknown in dict.fromkeys((before, after))
            if unknown not in self._rank
        ]
        raise DefinitionError(
            "UNKNOWN_DEPENDENCY",
            "; ".join(problem["message"] for problem in problems),
            hint=f"correct the dependencies in {self._source}; known are {', '.join(self.ids) or 'none'}",
            details={"problems": problems},
        )

    def _refuse_cycles(self) -> None:
        import networkx

        knots = [n for n in networkx.strongly_connected_components(self._graph) if len(n) > 1]
        knots += [{node} for node in self._graph if self._graph.has_edge(node, node)]
        if not knots:
            return
        cycles = [self._cycle_within(knot) for knot in sorted(knots, key=min)]
        paths = [" -> ".join(cycle) for cycle in cycles]
        first = cycles[0]
        raise DefinitionError(
            "DEPENDENCY_CYCLE",
            f"the dependencies go in a circle, so none of these can start: {'; '.join(paths)}",
            hint=f"in {self._source}, drop a step, such as {first[-2]} from the dependencies of {first[-1]}",
            details={
                "cycle": list(first),
                "cycles": [list(cycle) for cycle in cycles],
                "problems": [
                    {"code": "DEPENDENCY_CYCLE", "message": path, "where": path.split(" ")[0]} for path in paths
                ],
            },
        )

    def _cycle_within(self, knot: set[int]) -> tuple[str, ...]:
        """A shortest cycle through the first work package of a strongly connected knot, closed at both ends."""
        import networkx

        start = min(knot)
        if self._graph.has_edge(start, start):
            return (self.ids[start], self.ids[start])
        inside = self._graph.subgraph(sorted(knot))
        ways = [networkx.shortest_path(inside, after, start) for after in sorted(inside.successors(start))]
        return self._names([start, *min(ways, key=lambda way: (len(way), way))])
