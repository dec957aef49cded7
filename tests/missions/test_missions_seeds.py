"""The task lists that the project was asked for with, beside the corpus: flattened text that plans as it declares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kitty_flow.errors import DefinitionError
from kitty_flow.graph import compute_plan
from kitty_flow.missions.source import load_mission

_CORPUS = os.environ.get("KITTY_FLOW_CORPUS", "")
_SEEDS = sorted(Path(_CORPUS).resolve().parent.glob("seeds/*.txt")) if _CORPUS else []

pytestmark = pytest.mark.skipif(len(_SEEDS) != 5, reason="KITTY_FLOW_CORPUS does not name a folder beside the seeds")

DECLARED = {
    "000": ("profile-invocation-runtime-audit-trail-01KPQRX2", 30, "1 | 2 5 6 | 3 4 7"),
    "001": ("op-records-git-durability-01KTB49K", 14, "1 | 2"),
    "002": ("025-cli-event-log-integration", 45, "1 | 2 | 3 | 4 7 | 5 | 6 | 8"),
    "003": ("079-post-555-release-hardening", 32, "1 2 3 4 5 6 | 7"),
}
"""Slug, number of subtasks, and waves, as the documents say themselves."""


def seed(number: str) -> Path:
    return next(path for path in _SEEDS if path.name.startswith(number))


@pytest.mark.parametrize("number", DECLARED)
def test_a_seed_plans_as_it_is(number: str) -> None:
    slug, subtasks, waves = DECLARED[number]
    mission = load_mission(seed(number)).definition
    assert (mission.slug, mission.source.kind) == (slug, "text")
    assert sum(len(w.subtasks) for w in mission.work_packages) == subtasks
    assert all(w.title and w.prompt for w in mission.work_packages)
    plan = compute_plan(mission)
    assert " | ".join(" ".join(w.removeprefix("WP0") for w in wave) for wave in plan.waves) == waves


def test_prose_of_a_seed_that_contradicts_its_graph_is_told_with_its_line() -> None:
    told = [d for d in load_mission(seed("002")).diagnostics if d.diagnostic_code == "PROSE_CONTRADICTS_GRAPH"]
    assert any("WP08 waits for WP06" in d.message for d in told)
    assert all(d.details["where"].rpartition(":")[2].isdigit() for d in told)
    restated = [d for d in load_mission(seed("003")).diagnostics if d.diagnostic_code == "DEPENDENCIES_RESTATED"]
    assert any("WP06" in d.message and d.details["where"].endswith(":133") for d in restated)
    assert all(d.severity == "warning" and "loss" not in d.details for d in restated)


def test_a_plan_without_a_task_list_says_what_was_looked_for() -> None:
    with pytest.raises(DefinitionError) as refused:
        load_mission(seed("004"))
    assert refused.value.code == "NO_WORK_PACKAGES"
    assert "looked for headings" in refused.value.message
