"""Machines as data: what may happen to a work package, a mission, an invocation, a merge and a release.

`decide` is the only door to the `transitions` library, which is imported when the first decision is made.
"""

from __future__ import annotations

from kitty_flow.machines.dag_definition import Dag, DagEdge, DagNode, dag, dag_names, step_order
from kitty_flow.machines.decider import Decision, check_guards, decide, is_final, next_states
from kitty_flow.machines.definition import MachineDefinition, State, Transition, parse_machine
from kitty_flow.machines.diagram import mermaid
from kitty_flow.machines.facts import Facts
from kitty_flow.machines.guard import Guard, GuardOutcome
from kitty_flow.machines.guards import GUARDS
from kitty_flow.machines.library import machine, machine_names
from kitty_flow.machines.validation import FORCE

__all__ = [
    "FORCE",
    "GUARDS",
    "Dag",
    "DagEdge",
    "DagNode",
    "Decision",
    "Facts",
    "Guard",
    "GuardOutcome",
    "MachineDefinition",
    "State",
    "Transition",
    "check_guards",
    "dag",
    "dag_names",
    "decide",
    "is_final",
    "machine",
    "machine_names",
    "mermaid",
    "next_states",
    "parse_machine",
    "step_order",
]
