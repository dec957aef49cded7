"""A plan as data (CLI reference, "plan") and as rows for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from kitty_flow.model.diagnostic import Diagnostic
from kitty_flow.model.forecast import Forecast
from kitty_flow.model.mission import MissionDefinition
from kitty_flow.model.plan import OwnershipConflict, Plan
from kitty_flow.views.forecast_text import forecast_lines, many, shortened

if TYPE_CHECKING:
    from kitty_flow.graph.what_if import WhatIf

__all__ = ["concise", "plan_data", "plan_rows", "plan_summary", "wave_rows"]

_WAVES: Final = 30
_LAST_WAVES: Final = 5
_ORDERS: Final = 8
_ALIKE: Final = 3
"""Of remarks of one kind so many are shown, and one more line."""


def plan_data(
    definition: MissionDefinition,
    plan: Plan,
    diagnostics: tuple[Diagnostic, ...],
    forecast: Forecast | None = None,
    compared: WhatIf | None = None,
) -> dict[str, Any]:
    """The JSON shape of `plan`. Without a forecast the makespan is that of the whole mission in work packages."""
    makespan = forecast or Forecast.of_whole(plan.makespan, len(definition.work_packages))
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
                "changes": w.changes,
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
        "makespan": makespan._asdict(),
        "warnings": [d.message for d in diagnostics],
        **({} if compared is None else {"what_if": compared.as_data()}),
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


def wave_rows(plan: Plan) -> list[tuple[object, ...]]:
    """One row for each wave: number, size, its work package on the critical path, the others; waves in the middle of
    a long plan are one row."""
    critical = set(plan.critical_path)
    rows: list[tuple[object, ...]] = []
    for number, wave in enumerate(plan.waves, 1):
        on_path = [w for w in wave if w in critical]
        others = [w for w in wave if w not in critical]
        rows.append((number, len(wave), ", ".join(on_path) or "-", shortened(others, 4) or "-"))
    if len(rows) > _WAVES:
        last = len(rows) - _LAST_WAVES
        between = (f"{_WAVES - _LAST_WAVES + 1} to {last}", sum(map(len, plan.waves[_WAVES - _LAST_WAVES : last])))
        rows[_WAVES - _LAST_WAVES : last] = [(*between, "…", "…")]
    return rows


def plan_summary(definition: MissionDefinition, plan: Plan, forecast: Forecast | None = None) -> tuple[str, ...]:
    """The sentences below the rows: size, added orders, critical path, predicted length."""
    size = len(definition.work_packages)
    return (
        f"{many(size, 'work package')} in {many(len(plan.waves), 'wave')} "
        f"and {many(len(plan.execution_lanes), 'execution lane')}",
        *_orders(plan),
        f"critical path: {shortened(plan.critical_path, 12, ' -> ')}",
        *forecast_lines(forecast or Forecast.of_whole(plan.makespan, size)),
    )


def concise(diagnostics: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """The remarks by kind, and of many of one kind only the first few and how many more there are."""
    groups: dict[str, list[Diagnostic]] = {}
    for diagnostic in diagnostics:
        groups.setdefault(diagnostic.diagnostic_code, []).append(diagnostic)
    told: list[Diagnostic] = []
    for code, group in groups.items():
        if len(group) <= _ALIKE + 1:
            told += group
            continue
        told += group[:_ALIKE]
        rest = f"{len(group) - _ALIKE} more of this kind ({code}); --json has all of them"
        told.append(group[_ALIKE].model_copy(update={"message": rest, "details": {}}))
    return tuple(told)


def _orders(plan: Plan) -> list[str]:
    """The orders that shared files demand: each of them, or, when there are many, the files that demand most."""
    if not plan.conflicts:
        return []
    by_files: dict[str, list[OwnershipConflict]] = {}
    for conflict in plan.conflicts:
        by_files.setdefault(" and ".join(dict.fromkeys(conflict.patterns)), []).append(conflict)
    if len(plan.conflicts) <= _ORDERS:
        pairs = [f"  {c.ordered}: {files}" for files, group in by_files.items() for c in group]
        return ["ordered because of shared files:", *pairs]
    most = sorted(by_files.items(), key=lambda item: -len(item[1]))
    lines = [f"{len(plan.conflicts)} pairs of work packages are ordered because of shared files, most of them by:"]
    lines += [f"  {files}: {shortened([c.ordered for c in group], 2)}" for files, group in most[:_ORDERS]]
    if len(most) > _ORDERS:
        lines.append(f"  and {len(most) - _ORDERS} more; --json has all of them")
    return lines
