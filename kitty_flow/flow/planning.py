"""The plan of a mission by name, or of a source file that need not be in any repository; what it will take; what if."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kitty_flow.errors import ExternalToolError, UsageError
from kitty_flow.flow.life import refuse_without_work_packages
from kitty_flow.flow.mission import OpenMission, open_mission
from kitty_flow.flow.project import Project
from kitty_flow.model.diagnostic import Diagnostic
from kitty_flow.model.forecast import Durations, Forecast, Standing
from kitty_flow.model.mission import MissionDefinition
from kitty_flow.model.plan import Plan

if TYPE_CHECKING:
    from kitty_flow.graph.what_if import Supposition, WhatIf
    from kitty_flow.missions.repository_files import RepositoryFiles

__all__ = ["SEED", "PlannedMission", "Prospect", "is_path", "plan_mission", "prospect"]

_SUFFIXES: Final = (".toml", ".md", ".txt", ".json", ".jsonl")

SEED: Final = 4
"""Every forecast draws from a generator seeded with this, so that the same facts give the same figures."""


@dataclass(frozen=True)
class PlannedMission:
    """A definition with its plan, remarks, and the states of its work packages where the mission is in the ledger.

    `standing` and `durations` are what a forecast needs; they are only looked for when one is wanted.
    """

    definition: MissionDefinition
    plan: Plan
    diagnostics: tuple[Diagnostic, ...]
    states: dict[str, str] | None
    standing: Standing = field(default_factory=Standing)
    durations: Durations | None = None


@dataclass(frozen=True)
class Prospect:
    """What a mission will take, and the comparison with what was supposed, if anything was."""

    forecast: Forecast
    what_if: WhatIf | None


def is_path(text: str) -> bool:
    """Whether an argument names a file rather than a mission: it has a separator or a suffix, or is a dot."""
    return os.sep in text or "/" in text or text in (".", "..") or text.endswith(_SUFFIXES)


def plan_mission(
    mission: str | None, *, agents: int | None = None, with_experience: bool = False, only_look: bool = False
) -> PlannedMission:
    """Plan a mission by name (adopting it on first use) or a source by path (writing nothing).

    Args:
        with_experience: look up how far the mission is, and how long finished work packages took.
        only_look: write nothing: a source is not adopted, and one that was edited not taken over.

    Raises:
        UsageError: there is no such mission.
        DefinitionError: the source is invalid or its dependencies have a cycle.
        RefusedError: NO_WORK_PACKAGES, it is in its planning phases.
    """
    if mission is not None and is_path(mission):
        return _plan_path(Path(mission), agents, with_experience)
    try:
        project = Project.discover()
    except UsageError:
        if mission is not None and Path(mission).exists():
            return _plan_path(Path(mission), agents, with_experience)
        raise
    source = _unadopted(project, mission) if only_look else None
    if source is not None:
        return _plan_path(source, agents, with_experience)
    try:
        with open_mission(project, mission, refresh_source=not only_look) as opened:
            return _plan_opened(opened, agents, with_experience)
    except UsageError as error:
        if error.code == "MISSION_NOT_FOUND" and mission is not None and Path(mission).exists():
            return _plan_path(Path(mission), agents, with_experience)
        raise


def prospect(planned: PlannedMission, supposition: Supposition | None = None) -> Prospect:
    """What a mission that was planned with experience will take, and what would become of it.

    Raises:
        UsageError: what is supposed cannot be (`graph.what_if`).
    """
    from random import Random

    from kitty_flow.graph.forecast import forecast

    def foretell(plan: Plan, agents: int, without: Collection[str] = ()) -> Forecast:
        return forecast(
            plan,
            agents,
            standing=planned.standing,
            durations=planned.durations,
            draw=Random(SEED).random,
            without=without,
        )

    agents = planned.plan.makespan.agents
    if supposition is None:
        return Prospect(foretell(planned.plan, agents), None)
    from kitty_flow.graph.what_if import what_if

    finished = planned.standing.finished
    compared = what_if(planned.definition, planned.plan, supposition, foretell, agents=agents, finished=finished)
    return Prospect(compared.before.makespan, compared)


def _plan_opened(opened: OpenMission, agents: int | None, with_experience: bool) -> PlannedMission:
    refuse_without_work_packages(opened)
    view = opened.view()
    states = {w.id: opened.work_package(w.id, view).state for w in opened.definition.work_packages}
    plan = opened.plan
    if agents not in (None, plan.makespan.agents):  # the recorded places stay, whatever is computed anew
        plan = replace(plan, makespan=_compute(opened.definition, agents).makespan)
    planned = (opened.definition, plan, opened.diagnostics, states)
    if not with_experience:
        return PlannedMission(*planned)
    from datetime import UTC, datetime

    from kitty_flow.flow.durations import learn, mission_standing

    standing, times = mission_standing(opened, datetime.now(UTC))
    return PlannedMission(*planned, standing, learn(opened.project, times, opened.id))


def _unadopted(project: Project, name: str | None) -> Path | None:
    """The source that a name stands for, or that is the only mission here, while the ledger knows nothing of it."""
    from kitty_flow.ledger.catalog import catalog
    from kitty_flow.missions.source import discover, find_mission

    entries = catalog(project.repository)
    known = {e.slug for e in entries} | {e.mission_id for e in entries}
    sources = [s.path for s in discover(project.root) if not {s.slug, s.id} & known and s.problem is None]
    if name is None:
        return sources[0] if len(sources) == 1 and not any(e.is_open for e in entries) else None
    found = None if name in known else find_mission(project.root, name)
    return found if found in sources else None


def _plan_path(path: Path, agents: int | None, with_experience: bool) -> PlannedMission:
    """Plan a source. What its work packages own is compared with the repository that it lies in, if it lies in one."""
    from kitty_flow.missions.source import load_mission

    project, files = _around(path)
    loaded = load_mission(path, files=files)
    plan = _compute(loaded.definition, agents)
    durations = None
    if project is not None and with_experience:
        from kitty_flow.flow.durations import learn

        durations = learn(project, {}, None)
    return PlannedMission(loaded.definition, plan, loaded.diagnostics, None, durations=durations)


def _around(path: Path) -> tuple[Project, RepositoryFiles] | tuple[None, None]:
    """The repository in whose checkout a source lies, and its files; nothing where there is none, or git does not work.

    Planning a file needs neither.
    """
    try:
        project = Project.discover(path if path.is_dir() else path.parent)
        return (None, None) if project.repository.is_bare else (project, project.files)
    except (UsageError, ExternalToolError, OSError):
        return None, None


def _compute(definition: MissionDefinition, agents: int | None) -> Plan:
    from kitty_flow.graph import compute_plan

    return compute_plan(definition) if agents is None else compute_plan(definition, agents=agents)
