"""A plan as data (CLI reference, "plan") and as rows for people."""

from __future__ import annotations

from typing import Any

from kitty_flow.model.diagnostic import Diagnostic
from kitty_flow.model.mission import MissionDefinition
from kitty_flow.model.plan import Plan

__all__ = ["plan_data", "plan_rows", "plan_summary"]


def plan_data(definition: MissionDefinition, plan: Plan, diagnostics: tuple[Diagnostic, ...]) -> dict[str, Any]:
    """The JSON shape of `plan`."""
    return {
        "mission": {
            "id": definition.id,
            "slug": definition.slug,
            "title": definition.title,
            "source": definition.source.path,
            "source_kind": definition.source.kind,
            "target_branch": definition.target_branch,
        },
        "work_packages": [
            {
                "id": w.id,
                "title": w.title,
                "dependencies": list(w.dependencies),
                "owned_files": list(w.owned_files),
                "execution_mode": w.execution_mode,
                "subtasks": [s._asdict() for s in w.subtasks],
                "requirement_refs": list(w.requirement_refs),
                **plan.placements[w.id]._asdict(),
            }
            for w in definition.work_packages
        ],
        "waves": [list(wave) for wave in plan.waves],
        "conflicts": [
            {
                "work_packages": list(c.work_packages),
                "patterns": list(c.patterns),
                "before": c.before,
                "after": c.after,
                "ordered": c.ordered,
            }
            for c in plan.conflicts
        ],
        "execution_lanes": [lane._asdict() for lane in plan.execution_lanes],
        "critical_path": list(plan.critical_path),
        "merge_order": list(plan.merge_order),
        "makespan": plan.makespan._asdict(),
        "warnings": [d.message for d in diagnostics],
    }


def plan_rows(definition: MissionDefinition, plan: Plan) -> list[tuple[object, ...]]:
    """One row for each work package, wave by wave: wave, id, title, prerequisites, execution lane, slack."""
    titles = {w.id: w.title for w in definition.work_packages}
    critical = set(plan.critical_path)
    rows: list[tuple[object, ...]] = []
    for number, wave in enumerate(plan.waves, 1):
        for position, i in enumerate(wave):
            after = ", ".join(plan.prerequisites(i)) or "-"
            slack = "critical" if i in critical else plan.placements[i].slack
            rows.append(
                (number if position == 0 else "", i, titles[i], after, plan.placements[i].execution_lane, slack)
            )
    return rows


def plan_summary(definition: MissionDefinition, plan: Plan) -> tuple[str, ...]:
    """The sentences below the rows: size, critical path, added orders, predicted length."""
    lines = [
        f"{_many(len(definition.work_packages), 'work package')} in {_many(len(plan.waves), 'wave')} "
        f"and {_many(len(plan.execution_lanes), 'execution lane')}",
        f"critical path: {' -> '.join(plan.critical_path)}",
    ]
    for conflict in plan.conflicts:
        first, second = conflict.patterns
        shared = first if first == second else f"{first} and {second}"
        lines.append(f"ordered because of shared files: {conflict.ordered} ({shared})")
    span = plan.makespan
    lines.append(
        f"with {_many(span.agents, 'agent')}: {span.estimate:g} {span.unit} long, "
        f"at best {span.lower_bound:g}, one after another {len(definition.work_packages)}"
    )
    return tuple(lines)


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
