"""Machines as data: what may happen to a work package, a mission, an invocation, a merge and a release.

`decide` is the only door to the `transitions` library, which is imported when the first decision is made. Names are
resolved on first use: who only asks for the gates on an edge does not wait for the machines.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from kitty_flow.machines.dag_definition import (
        END,
        Dag,
        DagEdge,
        DagKind,
        DagNode,
        GateCommand,
        dag,
        dag_names,
        parse_dag,
        step_order,
    )
    from kitty_flow.machines.decider import Decision, check_guards, decide, is_final, next_states
    from kitty_flow.machines.definition import MachineDefinition, State, Transition, parse_machine
    from kitty_flow.machines.diagram import mermaid
    from kitty_flow.machines.edge_kinds import EdgeKind, WorkPackageEdges, work_package_edges
    from kitty_flow.machines.facts import Facts
    from kitty_flow.machines.gate_names import GATE_NAMES
    from kitty_flow.machines.guard import Guard, GuardOutcome
    from kitty_flow.machines.guards import GUARDS
    from kitty_flow.machines.library import machine, machine_names
    from kitty_flow.machines.validation import FORCE

__all__ = [
    "END",
    "FORCE",
    "GATE_NAMES",
    "GUARDS",
    "Dag",
    "DagEdge",
    "DagKind",
    "DagNode",
    "Decision",
    "EdgeKind",
    "Facts",
    "GateCommand",
    "Guard",
    "GuardOutcome",
    "MachineDefinition",
    "State",
    "Transition",
    "WorkPackageEdges",
    "check_guards",
    "dag",
    "dag_names",
    "decide",
    "is_final",
    "machine",
    "machine_names",
    "mermaid",
    "next_states",
    "parse_dag",
    "parse_machine",
    "step_order",
    "work_package_edges",
]

_HOME: Final = {
    "END": "dag_definition",
    "FORCE": "validation",
    "GATE_NAMES": "gate_names",
    "GUARDS": "guards",
    "Dag": "dag_definition",
    "DagEdge": "dag_definition",
    "DagKind": "dag_definition",
    "DagNode": "dag_definition",
    "Decision": "decider",
    "EdgeKind": "edge_kinds",
    "Facts": "facts",
    "GateCommand": "dag_definition",
    "Guard": "guard",
    "GuardOutcome": "guard",
    "MachineDefinition": "definition",
    "State": "definition",
    "Transition": "definition",
    "WorkPackageEdges": "edge_kinds",
    "check_guards": "decider",
    "dag": "dag_definition",
    "dag_names": "dag_definition",
    "decide": "decider",
    "is_final": "decider",
    "machine": "library",
    "machine_names": "library",
    "mermaid": "diagram",
    "next_states": "decider",
    "parse_dag": "dag_definition",
    "parse_machine": "definition",
    "step_order": "dag_definition",
    "work_package_edges": "edge_kinds",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
