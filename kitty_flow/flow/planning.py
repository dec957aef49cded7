"""The plan of a mission by name, or of a source file that need not be in any repository."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from kitty_flow.errors import UsageError
from kitty_flow.flow.life import refuse_without_work_packages
from kitty_flow.flow.mission import open_mission
from kitty_flow.flow.project import Project
from kitty_flow.model.diagnostic import Diagnostic
from kitty_flow.model.mission import MissionDefinition
from kitty_flow.model.plan import Plan

__all__ = ["PlannedMission", "is_path", "plan_mission"]


@dataclass(frozen=True)
class PlannedMission:
    """A definition with its plan, remarks, and the states of its work packages where the mission is in the ledger."""

    definition: MissionDefinition
    plan: Plan
    diagnostics: tuple[Diagnostic, ...]
    states: dict[str, str] | None


def is_path(text: str) -> bool:
    """Whether an argument names a file rather than a mission: it has a separator or a suffix, or is a dot."""
    return os.sep in text or "/" in text or text in (".", "..") or text.endswith(".toml")


def plan_mission(mission: str | None, *, agents: int | None = None) -> PlannedMission:
    """Plan a mission by name (adopting it on first use) or a source by path (writing nothing).

    Raises:
        UsageError: there is no such mission.
        DefinitionError: the source is invalid or its dependencies have a cycle.
        RefusedError: NO_WORK_PACKAGES, it is in its planning phases.
    """
    if mission is not None and is_path(mission):
        return _plan_path(Path(mission), agents)
    try:
        project = Project.discover()
    except UsageError:
        if mission is not None and Path(mission).exists():
            return _plan_path(Path(mission), agents)
        raise
    try:
        with open_mission(project, mission, refresh_source=True) as opened:
            refuse_without_work_packages(opened)
            view = opened.view()
            states = {w.id: opened.work_package(w.id, view).state for w in opened.definition.work_packages}
            plan = opened.plan
            if agents not in (None, plan.makespan.agents):  # the recorded places stay, whatever is computed anew
                plan = replace(plan, makespan=_compute(opened.definition, agents).makespan)
            return PlannedMission(opened.definition, plan, opened.diagnostics, states)
    except UsageError as error:
        if error.code == "MISSION_NOT_FOUND" and mission is not None and Path(mission).exists():
            return _plan_path(Path(mission), agents)
        raise


def _plan_path(path: Path, agents: int | None) -> PlannedMission:
    from kitty_flow.missions.source import load_mission

    loaded = load_mission(path)
    return PlannedMission(loaded.definition, _compute(loaded.definition, agents), loaded.diagnostics, None)


def _compute(definition: MissionDefinition, agents: int | None) -> Plan:
    from kitty_flow.graph import compute_plan

    return compute_plan(definition) if agents is None else compute_plan(definition, agents=agents)
