"""The phases of a mission, computed from its template, its ledger and the files in its folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.phase_gates import PhaseFacts, ask_gate
from kitty_flow.flow.phase_records import PhaseRecords
from kitty_flow.ledger.view import LedgerView
from kitty_flow.machines import Dag, DagNode, dag, dag_names, step_order
from kitty_flow.model.gate import GateResult

__all__ = ["Phase", "PhaseGateAnswer", "PhaseState", "facts_of", "phases_now", "phases_of", "template_of"]

PhaseState: TypeAlias = Literal["finished", "skipped", "active", "ready", "waiting", "closed"]


@dataclass(frozen=True)
class PhaseGateAnswer:
    """What a gate says on the edge from a phase to the phase `after` (or to the end of the mission)."""

    after: str
    result: GateResult

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        found = self.result
        return {
            "before": self.after,
            "gate": found.gate,
            "outcome": found.outcome,
            "code": found.diagnostic_code or None,
            "message": found.message,
            "hint": found.remediation or None,
        }


@dataclass(frozen=True)
class Phase:
    """One phase and where it stands.

    `state`: ``finished``; ``skipped``, nobody reported it and the mission has gone past it; ``active``, somebody works
    on it; ``ready``; ``waiting`` for the phases before it; ``closed``, those are finished but a gate behind them is
    closed (again). `gates` are those on its outgoing edges: what it takes to be finished. `missing` are inputs.
    """

    node: DagNode
    state: PhaseState
    gates: tuple[PhaseGateAnswer, ...]
    by: str | None
    missing: tuple[str, ...]

    @property
    def closed(self) -> tuple[GateResult, ...]:
        """The gates on its outgoing edges that are not open."""
        return tuple(answer.result for answer in self.gates if answer.result.outcome != "pass")

    @property
    def is_review(self) -> bool:
        """Whether it has to be done by somebody who did not do the phase before."""
        return any(answer.result.gate == "reviewed_by_another" for answer in self.gates)

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "name": self.node.name,
            "state": self.state,
            "description": self.node.description,
            "depends_on": list(self.node.depends_on),
            "artifact": self.node.artifact,
            "by": self.by,
            "missing_inputs": list(self.missing),
            "gates": [answer.as_data() for answer in self.gates],
        }


def template_of(mission: OpenMission) -> Dag | None:
    """The mission's template; None when it is none of those that ship."""
    name = mission.definition.template
    return dag("mission", name) if name in dag_names("mission") else None


def facts_of(mission: OpenMission, view: LedgerView, *, actor: str | None = None) -> PhaseFacts:
    """What the gates of the mission look at."""
    return PhaseFacts(mission, view, PhaseRecords(mission, view), actor)


def phases_now(mission: OpenMission) -> tuple[Phase, ...]:
    """The phases of the mission as they are now; none when its template does not ship."""
    template = template_of(mission)
    return phases_of(template, facts_of(mission, mission.view())) if template else ()


def phases_of(template: Dag, facts: PhaseFacts) -> tuple[Phase, ...]:
    """All phases in order.

    A mission without work packages goes by what was reported: a phase is finished when somebody said so and its gates
    were open. Where there are work packages, they and the files tell, and phases that lead to them are past.
    """
    gates = {
        node.name: tuple(
            PhaseGateAnswer(edge.after, ask_gate(gate, facts, node))
            for edge in template.edges_from(node.name)
            for gate in edge.gates
        )
        for node in template.nodes
    }
    past = _past(template) if facts.mission.definition.work_packages else frozenset()
    states: dict[str, PhaseState] = {}
    for name in step_order(template):
        states[name] = _state(template.node(name), states, gates, name in past, facts)
    return tuple(_phase(template.node(name), states[name], gates[name], facts) for name in states)


def _phase(node: DagNode, state: PhaseState, gates: tuple[PhaseGateAnswer, ...], facts: PhaseFacts) -> Phase:
    done, holding = facts.records.finished(node.name), facts.records.holding(node.name)
    missing = tuple(name for name in node.requires_inputs if facts.records.answer(name) is None)
    over = state in ("finished", "skipped") or bool(facts.mission.definition.work_packages)
    by = done.by if done else holding.holder if holding and not over else None
    return Phase(node, state, gates, by, () if over else missing)


def _past(template: Dag) -> frozenset[str]:
    """The phases that lead to work packages."""
    found = {edge.before for edge in template.edges if "work_packages_present" in edge.gates}
    for name in reversed(step_order(template)):
        if name in found:
            found.update(template.node(name).depends_on)
    return frozenset(found)


def _state(
    node: DagNode,
    states: dict[str, PhaseState],
    gates: dict[str, tuple[PhaseGateAnswer, ...]],
    is_past: bool,
    facts: PhaseFacts,
) -> PhaseState:
    if facts.records.finished(node.name):
        return "finished"
    is_open = all(answer.result.outcome == "pass" for answer in gates[node.name])
    if is_past:
        return "finished" if gates[node.name] and is_open else "skipped"
    if any(states[before] not in ("finished", "skipped") for before in node.depends_on):
        return "waiting"
    if facts.mission.definition.work_packages:
        is_over = facts.mission.state(facts.view) in ("merged", "shipped")
        if gates[node.name] and is_open:
            return "finished"
        return "skipped" if is_over or not gates[node.name] else "active"
    for before in node.depends_on:
        if any(a.after == node.name and a.result.outcome != "pass" for a in gates[before]):
            return "closed"
    holding = facts.records.holding(node.name)
    return "active" if holding is not None and not holding.has_run_out() else "ready"
