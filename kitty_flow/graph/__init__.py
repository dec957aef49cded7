"""The dependency graph of a mission: waves, placement, merge order, critical path, schedule. Pure.

The only door to `networkx`, which is imported when the first graph is built. Names are resolved on first use, so that
importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from kitty_flow.graph.conflicts import order_conflicts
    from kitty_flow.graph.dependency_graph import DependencyGraph
    from kitty_flow.graph.ownership import owns, pattern_matches, patterns_overlap, shared_patterns
    from kitty_flow.graph.placement import PLANNING_LANE, place
    from kitty_flow.graph.planning import compute_plan
    from kitty_flow.graph.reachability import Reachability
    from kitty_flow.graph.schedule import predict_makespan

__all__ = [
    "PLANNING_LANE",
    "DependencyGraph",
    "Reachability",
    "compute_plan",
    "order_conflicts",
    "owns",
    "pattern_matches",
    "patterns_overlap",
    "place",
    "predict_makespan",
    "shared_patterns",
]

_HOME: Final = {
    "PLANNING_LANE": "placement",
    "DependencyGraph": "dependency_graph",
    "Reachability": "reachability",
    "compute_plan": "planning",
    "order_conflicts": "conflicts",
    "owns": "ownership",
    "pattern_matches": "ownership",
    "patterns_overlap": "ownership",
    "place": "placement",
    "predict_makespan": "schedule",
    "shared_patterns": "ownership",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
