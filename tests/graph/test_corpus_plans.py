"""The plans of real missions (`KITTY_FLOW_CORPUS`) are as good as they can be."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from kitty_flow.graph import DependencyGraph, compute_plan
from kitty_flow.missions.source import load_mission
from kitty_flow.model.plan import Plan

_CORPUS = os.environ.get("KITTY_FLOW_CORPUS", "")
_MISSIONS = sorted(p for p in Path(_CORPUS).iterdir() if (p / "tasks").is_dir()) if _CORPUS else []

pytestmark = pytest.mark.skipif(not _MISSIONS, reason="KITTY_FLOW_CORPUS does not name a folder of missions")


def _upstream(plan: Plan) -> dict[str, set[str]]:
    """Everything that comes before each work package, along the merge order."""
    found: dict[str, set[str]] = {}
    for work_package in plan.merge_order:
        direct = plan.prerequisites(work_package)
        assert found.keys() >= set(direct), f"{work_package} comes before what it needs"
        found[work_package] = set(direct).union(*(found[before] for before in direct))
    return found


def _widest(members: frozenset[str], ordered: Mapping[str, set[str]]) -> int:
    """The largest set without any order, by taking a member or leaving it."""
    if not members:
        return 0
    chosen = max(members, key=lambda w: (sum(w in ordered[o] or o in ordered[w] for o in members), w))
    others = frozenset(o for o in members - {chosen} if o not in ordered[chosen] and chosen not in ordered[o])
    taken = 1 + _widest(others, ordered)
    return taken if len(others) == len(members) - 1 else max(taken, _widest(members - {chosen}, ordered))


@pytest.mark.parametrize("folder", _MISSIONS, ids=lambda folder: folder.name)
def test_a_real_plan_is_sound_and_optimal(folder: Path) -> None:
    definition = load_mission(folder).definition
    plan = compute_plan(definition, agents=len(definition.work_packages))
    before = _upstream(plan)
    for each in definition.work_packages:
        assert before[each.id] >= set(each.dependencies)
    assert plan.makespan.estimate == plan.makespan.lower_bound == len(plan.critical_path) == len(plan.waves)
    for earlier, later in pairwise(plan.critical_path):
        assert earlier in before[later]
    lanes = {lane.id: lane.work_packages for lane in plan.execution_lanes}
    in_lanes = [pair for work_packages in lanes.values() for pair in pairwise(work_packages)]
    added = [(conflict.before, conflict.after) for conflict in plan.conflicts]
    DependencyGraph(plan.merge_order, [*plan.edges, *added, *in_lanes])  # raises if they go in a circle
    code = frozenset(plan.merge_order) - set(lanes.pop("lane-planning", ()))
    assert len(lanes) == _widest(code, before)
    for work_packages in lanes.values():
        assert all(earlier in before[later] for earlier, later in pairwise(work_packages))
