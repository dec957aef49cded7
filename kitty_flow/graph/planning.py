"""From a mission definition to its plan."""

from __future__ import annotations

from kitty_flow.graph.conflicts import order_conflicts
from kitty_flow.graph.dependency_graph import DependencyGraph
from kitty_flow.graph.placement import place
from kitty_flow.graph.schedule import predict_makespan
from kitty_flow.model.mission import MissionDefinition
from kitty_flow.model.plan import Placement, Plan

__all__ = ["compute_plan"]


def compute_plan(definition: MissionDefinition, *, agents: int = 4) -> Plan:
    """Everything the graph says about a mission: waves, conflicts, execution lanes, critical path, orders, makespan.

    Raises:
        DefinitionError: DUPLICATE_WORK_PACKAGE, UNKNOWN_DEPENDENCY or DEPENDENCY_CYCLE.
        UsageError: AGENTS_OUT_OF_RANGE.
    """
    ids = [work_package.id for work_package in definition.work_packages]
    dependencies = [(prerequisite, w.id) for w in definition.work_packages for prerequisite in w.dependencies]
    declared = DependencyGraph(ids, dependencies, source=definition.source.path)
    owned = {work_package.id: work_package.owned_files for work_package in definition.work_packages}
    conflicts = order_conflicts(declared.ids, declared.edges, owned)
    added = [(conflict.before, conflict.after) for conflict in conflicts]
    graph = DependencyGraph(ids, [*declared.edges, *added], source=definition.source.path) if added else declared
    planning = {w.id for w in definition.work_packages if w.execution_mode == "planning_artifact"}
    lanes = place(graph, planning)
    lane_of = {work_package: lane.id for lane in lanes for work_package in lane.work_packages}
    return Plan(
        waves=graph.waves,
        edges=declared.edges,
        conflicts=conflicts,
        execution_lanes=lanes,
        critical_path=graph.critical_path,
        merge_order=graph.merge_order,
        makespan=predict_makespan(graph, agents),
        placements={
            work_package: Placement(
                wave=graph.wave_of[work_package],
                execution_lane=lane_of[work_package],
                slack=graph.slack(work_package),
            )
            for work_package in graph.ids
        },
    )
