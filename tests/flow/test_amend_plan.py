"""Replanning: what has started stays where it is, everything else is placed as well as that allows."""

from __future__ import annotations

from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.flow.amend_lanes import keep_lanes
from kitty_flow.flow.amend_plan import replan
from kitty_flow.graph import DependencyGraph, compute_plan, patterns_overlap
from kitty_flow.model.mission import MissionDefinition, MissionSource, WorkPackage
from kitty_flow.model.plan import Plan

PATTERNS = ("a/**", "a/x", "b", "b/*", "c", "d")


def definition(tables: dict[str, dict[str, Any]]) -> MissionDefinition:
    packages = tuple(WorkPackage(id=name, title=name, **values) for name, values in tables.items())
    return MissionDefinition("M", "sample", "Sample", "trunk", MissionSource("native", "m.toml"), packages)


def order_of(plan: Plan) -> DependencyGraph:
    return DependencyGraph(plan.placements, [*plan.edges, *((c.before, c.after) for c in plan.conflicts)])


@st.composite
def amendments(draw: st.DrawFn) -> tuple[MissionDefinition, Plan, dict[str, str]]:
    """An amended definition, the plan before, and the lanes of a started part that nothing unstarted precedes."""
    names = [f"WP{n:02}" for n in range(1, draw(st.integers(2, 7)) + 1)]

    def table(place: int) -> dict[str, Any]:
        return {
            "dependencies": tuple(
                draw(st.lists(st.sampled_from(names[:place]), unique=True, max_size=2)) if place else ()
            ),
            "owned_files": tuple(draw(st.lists(st.sampled_from(PATTERNS), unique=True, max_size=2))),
            "execution_mode": draw(st.sampled_from(("code_change", "code_change", "planning_artifact"))),
        }

    tables = {name: table(place) for place, name in enumerate(names)}
    before = compute_plan(definition(tables))
    begun = before.merge_order[: draw(st.integers(0, len(names)))]
    used = {name: before.placements[name].execution_lane for name in begun}
    more = [f"WP{n:02}" for n in range(len(names) + 1, len(names) + 1 + draw(st.integers(0, 2)))]
    names += more
    tables |= {name: table(names.index(name)) for name in more}
    for name in names:
        if name not in used and draw(st.booleans()):
            earlier = [i for i in names[: names.index(name)] if i in tables]
            tables[name]["dependencies"] = tuple(
                draw(st.lists(st.sampled_from(earlier), unique=True, max_size=2)) if earlier else ()
            )
    return definition(tables), before, used


@given(amendments())
def test_what_has_started_is_not_replanned_and_the_rest_is_in_order(
    situation: tuple[MissionDefinition, Plan, dict[str, str]],
) -> None:
    amended, before, used = situation
    plan = replan(amended, before, used)
    graph = order_of(plan)
    assert {name: plan.placements[name].execution_lane for name in used} == used
    for work_package in amended.work_packages:
        if work_package.id in used:
            assert set(plan.prerequisites(work_package.id)) <= set(used)
    declared = {(d, w.id) for w in amended.work_packages for d in w.dependencies}
    assert set(plan.edges) == declared
    assert plan.waves == graph.waves
    assert plan.merge_order == graph.merge_order
    assert not declared & {(c.before, c.after) for c in plan.conflicts}
    for one, other in product(amended.work_packages, repeat=2):
        overlap = any(patterns_overlap(a, b) for a in one.owned_files for b in other.owned_files)
        if one.id != other.id and overlap:
            assert one.id in graph.ancestors(other.id) or other.id in graph.ancestors(one.id)
    for conflict in plan.conflicts:
        others = {*declared, *((c.before, c.after) for c in plan.conflicts)} - {(conflict.before, conflict.after)}
        without = DependencyGraph(plan.placements, others)
        assert conflict.before not in without.ancestors(conflict.after)  # otherwise it would be superfluous
        owned = [amended.work_package(i).owned_files for i in conflict.work_packages]
        assert conflict.patterns[0] in owned[0]
        assert conflict.patterns[1] in owned[1]


@given(amendments())
def test_the_rest_gets_no_lane_that_it_could_do_without(
    situation: tuple[MissionDefinition, Plan, dict[str, str]],
) -> None:
    """Compared with every way to put the work packages that have not started into lanes."""
    amended, before, used = situation
    plan = replan(amended, before, used)
    graph = order_of(plan)
    ordered = {(a, b) for b in graph.ids for a in graph.ancestors(b)}
    code = [w.id for w in amended.work_packages if w.execution_mode == "code_change"]
    fixed = {name: lane for name, lane in used.items() if name in code}
    free = [name for name in code if name not in used]

    def is_sound(lane_of: dict[str, str]) -> bool:
        """Whoever has not started comes before or after everything else in its lane."""
        pairs = ((a, b) for a in free for b in code if a != b and lane_of[a] == lane_of[b])
        return all((a, b) in ordered or (b, a) in ordered for a, b in pairs)

    found = {name: plan.placements[name].execution_lane for name in code}
    assert is_sound(found)
    assert {lane.id: set(lane.work_packages) for lane in plan.execution_lanes} == {
        lane: {i for i, p in plan.placements.items() if p.execution_lane == lane}
        for lane in {p.execution_lane for p in plan.placements.values()}
    }
    if len(free) > 4:
        return
    lanes = [*set(fixed.values()), *(f"new{n}" for n in range(len(free)))]
    ways = ({**fixed, **dict(zip(free, way, strict=True))} for way in product(lanes, repeat=len(free)))
    assert len(set(found.values())) == min(len(set(way.values())) for way in ways if is_sound(way))


@given(amendments(), st.data())
def test_any_part_may_have_started(
    situation: tuple[MissionDefinition, Plan, dict[str, str]], data: st.DataObject
) -> None:
    """Forced or imported, a work package may have started before its prerequisites: the plan is sound all the same."""
    amended, before, _ = situation
    begun = data.draw(st.sets(st.sampled_from(before.merge_order)))
    used = {name: before.placements[name].execution_lane for name in begun}
    plan = replan(amended, before, used)
    assert {name: plan.placements[name].execution_lane for name in used} == used
    assert plan.waves == order_of(plan).waves
    assert set(plan.edges) == {(d, w.id) for w in amended.work_packages for d in w.dependencies}


@given(amendments())
def test_before_anything_has_started_it_is_the_plan_of_a_new_mission(
    situation: tuple[MissionDefinition, Plan, dict[str, str]],
) -> None:
    amended, before, _ = situation
    assert replan(amended, before, {}) == compute_plan(amended)


def test_a_lane_in_use_goes_on_and_a_new_one_takes_no_used_name() -> None:
    tables: dict[str, dict[str, Any]] = {"WP01": {}, "WP02": {"dependencies": ("WP01",)}, "WP03": {}}
    before = compute_plan(definition(tables))
    assert [lane.id for lane in before.execution_lanes] == ["lane-a", "lane-b"]
    used = {"WP01": "lane-a", "WP03": "lane-b"}
    tables |= {"WP02": {}, "WP04": {"dependencies": ("WP03",)}}
    plan = replan(definition(tables), before, used)
    lanes = {name: placement.execution_lane for name, placement in plan.placements.items()}
    assert lanes == {"WP01": "lane-a", "WP02": "lane-c", "WP03": "lane-b", "WP04": "lane-b"}


def test_a_lane_that_another_clone_began_in_is_put_right() -> None:
    plan = compute_plan(definition({"WP01": {}, "WP02": {"dependencies": ("WP01",)}}))
    kept = keep_lanes(plan, {"WP02": "lane-f"})
    assert kept.placements["WP02"].execution_lane == "lane-f"
    assert [tuple(lane) for lane in kept.execution_lanes] == [("lane-a", ("WP01",)), ("lane-f", ("WP02",))]
    assert keep_lanes(plan, {"WP01": "lane-a"}) is plan
