"""The whole plan of a mission."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

import kitty_flow.graph
from kitty_flow.errors import DefinitionError
from kitty_flow.graph import compute_plan
from kitty_flow.model.mission import MissionDefinition

Mission = Callable[..., MissionDefinition]


def test_a_plan_puts_everything_together(mission: Mission) -> None:
    definition = mission(
        {"WP01": [], "WP02": ["WP01"], "WP03": ["WP01"], "WP04": ["WP02", "WP03"], "WP05": []},
        owned={"WP02": ["src/a/**"], "WP03": ["src/a/x.py"], "WP05": ["docs/"]},
        planning=["WP05"],
    )
    plan = compute_plan(definition, agents=2)
    assert plan.waves == (("WP01", "WP05"), ("WP02",), ("WP03",), ("WP04",))
    assert plan.edges == (("WP01", "WP02"), ("WP01", "WP03"), ("WP02", "WP04"), ("WP03", "WP04"))
    assert [conflict.ordered for conflict in plan.conflicts] == ["WP02 before WP03"]
    assert plan.critical_path == ("WP01", "WP02", "WP03", "WP04")
    assert plan.merge_order == ("WP01", "WP05", "WP02", "WP03", "WP04")
    assert [(lane.id, lane.work_packages) for lane in plan.execution_lanes] == [
        ("lane-a", ("WP01", "WP02", "WP03", "WP04")),
        ("lane-planning", ("WP05",)),
    ]
    assert plan.placements["WP05"]._asdict() == {"wave": 1, "execution_lane": "lane-planning", "slack": 3}
    assert plan.prerequisites("WP03") == ("WP01", "WP02")
    assert plan.makespan._asdict() == {"agents": 2, "estimate": 4.0, "lower_bound": 4.0, "unit": "work packages"}


def test_waves_survive_every_overlap_that_a_lane_grouping_would_turn_into_a_cycle(mission: Mission) -> None:
    definition = mission(
        {"WP1": [], "WP2": ["WP1"], "WP3": ["WP2"]}, owned={"WP1": ["a.py"], "WP2": ["b.py"], "WP3": ["a.py"]}
    )
    plan = compute_plan(definition)
    assert plan.conflicts == () and len(plan.execution_lanes) == 1


def test_an_empty_mission_has_an_empty_plan(mission: Mission) -> None:
    plan = compute_plan(mission({}))
    assert plan.waves == () and plan.execution_lanes == () and plan.makespan.estimate == 0


def test_a_cycle_names_the_source(mission: Mission) -> None:
    with pytest.raises(DefinitionError) as caught:
        compute_plan(mission({"WP01": ["WP02"], "WP02": ["WP01"]}))
    assert caught.value.hint is not None and "missions/sample.toml" in caught.value.hint


def test_the_plan_does_not_depend_on_the_order_of_the_definition(mission: Mission) -> None:
    dependencies = {f"WP{n}": [f"WP{m}" for m in range(n) if (n * 7 + m * 3) % 5 == 0] for n in range(20)}
    owned = {f"WP{n}": [f"src/m{n % 6}/**"] for n in range(20)}
    backwards = dict(reversed(dependencies.items()))
    assert compute_plan(mission(dependencies, owned=owned)) == compute_plan(mission(backwards, owned=owned))


@pytest.mark.parametrize("shared", ["CHANGELOG.md", None])
def test_a_thousand_work_packages_can_be_planned(mission: Mission, shared: str | None) -> None:
    size = 1000
    dependencies = {f"WP{n}": [f"WP{n - 7}"] if n >= 7 else [] for n in range(size)}
    owned = {f"WP{n}": [shared or f"src/m{n % 300}/**", f"tests/test_{n}.py"] for n in range(size)}
    plan = compute_plan(mission(dependencies, owned=owned))
    assert len(plan.merge_order) == size
    assert len(plan.execution_lanes) == (1 if shared else 7)


def test_importing_the_package_loads_no_heavy_library() -> None:
    code = "import sys, kitty_flow.graph; print([m for m in ('networkx', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_exported_name_exists_and_no_other() -> None:
    assert all(getattr(kitty_flow.graph, name) is not None for name in kitty_flow.graph.__all__)
    with pytest.raises(AttributeError, match="nothing_such"):
        kitty_flow.graph.__getattr__("nothing_such")
