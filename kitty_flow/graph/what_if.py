"""What would become of a plan: with other agents, with a work package that fails, without a declared dependency."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple, Protocol

from kitty_flow.errors import UsageError
from kitty_flow.graph.dependency_graph import DependencyGraph
from kitty_flow.graph.placement import PLANNING_LANE
from kitty_flow.graph.planning import compute_plan
from kitty_flow.graph.schedule import check_agents
from kitty_flow.model.forecast import Forecast
from kitty_flow.model.mission import MissionDefinition
from kitty_flow.model.plan import ExecutionLane, Plan

__all__ = ["Foretell", "Outlook", "Supposition", "WhatIf", "read_supposition", "what_if"]

_HINT: Final = "--what-if agents=6, --what-if fail=WP03, or --what-if drop=WP01:WP04 (WP04 without WP01)"


class Supposition(NamedTuple):
    """A number of agents, work packages that fail, and (prerequisite, dependent) pairs that are dropped."""

    agents: int | None = None
    failed: tuple[str, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()


class Outlook(NamedTuple):
    """The figures of a plan that are compared."""

    work_packages: int
    waves: int
    worktrees: int
    critical_path: tuple[str, ...]
    makespan: Forecast

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**self._asdict(), "critical_path": list(self.critical_path), "makespan": self.makespan._asdict()}


class WhatIf(NamedTuple):
    """A plan before and after a supposition.

    `blocked` wait for a failed work package by their dependencies. `held` come after one only because of shared files:
    they can go on as soon as it is canceled. `possible` is what can still be done, finished ones aside. `orders_added`
    and `orders_removed` are the changes among the orders that shared files demand, as (before, after).
    """

    supposition: Supposition
    before: Outlook
    after: Outlook
    blocked: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()
    orders_added: tuple[tuple[str, str], ...] = ()
    orders_removed: tuple[tuple[str, str], ...] = ()

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            **self._asdict(),
            "supposition": self.supposition._asdict(),
            "before": self.before.as_data(),
            "after": self.after.as_data(),
        }


class Foretell(Protocol):
    """Predicts a plan for a number of agents, as if the work packages in `without` were not there."""

    def __call__(self, plan: Plan, agents: int, without: Collection[str] = ()) -> Forecast: ...


def read_supposition(texts: Iterable[str]) -> Supposition:
    """What was typed behind ``--what-if``: ``agents=6``, ``fail=WP03`` or ``drop=WP01:WP04``, any number of them.

    Raises:
        UsageError: INVALID_WHAT_IF.
    """
    agents: int | None = None
    failed: list[str] = []
    dropped: list[tuple[str, str]] = []
    for text in texts:
        name, _, value = text.partition("=")
        before, colon, after = value.partition(":")
        if name == "agents" and agents is None and re.fullmatch(r"[0-9]{1,6}", value):
            agents = int(value)
            check_agents(agents)
        elif name == "fail" and value and not colon:
            failed.append(value)
        elif name == "drop" and before and after:
            dropped.append((before, after))
        else:
            raise _invalid(f"--what-if {text[:80]!r} supposes nothing that is known here")
    return Supposition(agents, tuple(dict.fromkeys(failed)), tuple(dict.fromkeys(dropped)))


def what_if(
    definition: MissionDefinition,
    plan: Plan,
    supposition: Supposition,
    foretell: Foretell,
    *,
    agents: int,
    finished: Collection[str] = (),
) -> WhatIf:
    """Compare the plan for `agents` with what it would be.

    A failed work package is taken to come to nothing at once; what waits for it is not done either.

    Raises:
        UsageError: UNKNOWN_WORK_PACKAGE; UNKNOWN_DEPENDENCY, what is dropped is not declared; INVALID_WHAT_IF, a work
            package that is finished cannot fail.
    """
    _refuse_unknown(definition, supposition, finished)
    supposed = _without_dependencies(definition, supposition.dropped)
    after = plan if supposed is definition else compute_plan(supposed, agents=agents)
    orders, new_orders = dict.fromkeys(_orders(plan)), dict.fromkeys(_orders(after))
    declared = _reached(after.edges, supposition.failed, finished)
    stopped = _reached([*after.edges, *new_orders], supposition.failed, finished)
    remaining = _restricted(after, stopped) if stopped else after
    return WhatIf(
        supposition,
        before=_outlook(plan, foretell(plan, agents)),
        after=_outlook(remaining, foretell(after, supposition.agents or agents, without=stopped)),
        blocked=tuple(w for w in after.placements if w in declared and w not in supposition.failed),
        held=tuple(w for w in after.placements if w in stopped and w not in declared),
        possible=tuple(w for w in after.placements if w not in stopped and w not in finished),
        orders_added=tuple(order for order in new_orders if order not in orders),
        orders_removed=tuple(order for order in orders if order not in new_orders),
    )


def _outlook(plan: Plan, makespan: Forecast) -> Outlook:
    return Outlook(len(plan.placements), len(plan.waves), _worktrees(plan), plan.critical_path, makespan)


def _orders(plan: Plan) -> list[tuple[str, str]]:
    return [(conflict.before, conflict.after) for conflict in plan.conflicts]


def _reached(edges: Iterable[tuple[str, str]], failed: Iterable[str], finished: Collection[str]) -> set[str]:
    """The failed ones and all that wait for them; what is finished waits for nothing."""
    dependents: dict[str, list[str]] = {}
    for before, after in edges:
        dependents.setdefault(before, []).append(after)
    found = set(failed)
    pending = list(found)
    while pending:
        for dependent in dependents.get(pending.pop(), ()):
            if dependent not in found and dependent not in finished:
                found.add(dependent)
                pending.append(dependent)
    return found


def _restricted(plan: Plan, gone: set[str]) -> Plan:
    """The plan without some work packages and all that come after them; what is left stays where it is."""

    def kept(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(name for name in names if name not in gone)

    edges = tuple(edge for edge in plan.edges if not gone & set(edge))
    conflicts = tuple(c for c in plan.conflicts if c.before not in gone and c.after not in gone)
    placements = {name: placement for name, placement in plan.placements.items() if name not in gone}
    graph = DependencyGraph(placements, [*edges, *((c.before, c.after) for c in conflicts)])
    lanes = (ExecutionLane(lane.id, kept(lane.work_packages)) for lane in plan.execution_lanes)
    return replace(
        plan,
        waves=tuple(filter(None, map(kept, plan.waves))),
        edges=edges,
        conflicts=conflicts,
        execution_lanes=tuple(lane for lane in lanes if lane.work_packages),
        critical_path=graph.critical_path,
        merge_order=kept(plan.merge_order),
        placements=placements,
    )


def _without_dependencies(definition: MissionDefinition, dropped: Collection[tuple[str, str]]) -> MissionDefinition:
    if not dropped:
        return definition
    return replace(
        definition,
        work_packages=tuple(
            replace(w, dependencies=tuple(d for d in w.dependencies if (d, w.id) not in dropped))
            for w in definition.work_packages
        ),
    )


def _refuse_unknown(definition: MissionDefinition, supposition: Supposition, finished: Collection[str]) -> None:
    known: Mapping[str, Any] = definition.by_id
    for name in (*supposition.failed, *(each for pair in supposition.dropped for each in pair)):
        if name not in known:
            raise UsageError(
                "UNKNOWN_WORK_PACKAGE",
                f"{definition.slug} has no work package {name!r}",
                hint=_HINT,
                details={"known": list(known)[:100]},
            )
    for before, after in supposition.dropped:
        if before not in known[after].dependencies:
            declared = ", ".join(known[after].dependencies) or "nothing"
            raise UsageError(
                "UNKNOWN_DEPENDENCY",
                f"{after} does not depend on {before}, so there is nothing to drop; it depends on {declared}",
                hint=f"--what-if drop={known[after].dependencies[0]}:{after}" if known[after].dependencies else _HINT,
            )
    for name in supposition.failed:
        if name in finished:
            raise _invalid(f"{name} is finished already and cannot fail any more")


def _invalid(message: str) -> UsageError:
    return UsageError("INVALID_WHAT_IF", message, hint=_HINT)


def _worktrees(plan: Plan) -> int:
    """How many worktrees the execution lanes take; planning artifacts are written in the main checkout."""
    return sum(lane.id != PLANNING_LANE for lane in plan.execution_lanes)
