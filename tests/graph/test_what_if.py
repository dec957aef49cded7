"""What would become of a plan."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitty_flow.errors import UsageError
from kitty_flow.graph import compute_plan
from kitty_flow.graph.forecast import forecast
from kitty_flow.graph.what_if import Supposition, WhatIf, read_supposition, what_if
from kitty_flow.model.forecast import Forecast
from kitty_flow.model.mission import MissionDefinition, MissionSource, WorkPackage
from kitty_flow.model.plan import Plan

Mission = Callable[..., MissionDefinition]


def foretell(plan: Plan, agents: int, without: Collection[str] = ()) -> Forecast:
    return forecast(plan, agents, without=without)


def compare(definition: MissionDefinition, *texts: str, agents: int = 2, finished: Collection[str] = ()) -> WhatIf:
    plan = compute_plan(definition, agents=agents)
    return what_if(definition, plan, read_supposition(texts), foretell, agents=agents, finished=finished)


@pytest.fixture
def diamond(mission: Mission) -> MissionDefinition:
    return mission(
        {"WP01": [], "WP02": ["WP01"], "WP03": ["WP01"], "WP04": ["WP02"], "WP05": ["WP01"], "WP06": []},
        owned={"WP02": ["a.py"], "WP03": ["a.py"], "WP06": ["b.py"]},
    )


def test_more_agents(diamond: MissionDefinition) -> None:
    found = compare(diamond, "agents=3", agents=1)
    assert (found.before.makespan.estimate, found.after.makespan.estimate) == (6.0, 3.0)
    assert found.before._replace(makespan=found.after.makespan) == found.after


def test_a_failure_blocks_what_depends_on_it_and_holds_what_shares_its_files(diamond: MissionDefinition) -> None:
    found = compare(diamond, "fail=WP02")
    assert (found.blocked, found.held, found.possible) == (("WP04",), ("WP03",), ("WP01", "WP05", "WP06"))
    assert (found.before.work_packages, found.after.work_packages) == (6, 3)
    assert found.after.critical_path == ("WP01", "WP05") and found.after.waves == 2
    assert found.after.makespan.remaining == 3


def test_what_is_finished_is_not_blocked_any_more(diamond: MissionDefinition) -> None:
    found = compare(diamond, "fail=WP03", finished=("WP01", "WP06"))
    assert (found.blocked, found.held, found.possible) == ((), (), ("WP02", "WP04", "WP05"))
    with pytest.raises(UsageError, match="finished already"):
        compare(diamond, "fail=WP01", finished=("WP01",))


def test_a_dropped_dependency_may_let_shared_files_decide(mission: Mission) -> None:
    definition = mission(
        {"WP01": [], "WP02": ["WP01"], "WP03": ["WP02"]}, owned={"WP01": ["a.py"], "WP02": ["a.py"], "WP03": ["c.py"]}
    )
    found = compare(definition, "drop=WP01:WP02", "drop=WP02:WP03")
    assert found.orders_added == (("WP01", "WP02"),) and found.orders_removed == ()
    assert (found.before.waves, found.after.waves) == (3, 2)
    assert (found.before.worktrees, found.after.worktrees) == (1, 2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "agents",
        "agents=x",
        "agents=-1",
        "agents=9999999",
        "fail=",
        "fail=A:B",
        "drop=WP01",
        "drop=:WP01",
        "speed=9",
    ],
)
def test_what_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_supposition([text])
    assert caught.value.code == "INVALID_WHAT_IF" and caught.value.hint


def test_agents_can_be_supposed_once_and_at_least_one() -> None:
    assert read_supposition(["fail=A", "agents=2", "fail=B", "fail=A"]) == Supposition(2, ("A", "B"))
    with pytest.raises(UsageError, match="supposes nothing"):
        read_supposition(["agents=2", "agents=3"])
    with pytest.raises(UsageError, match="at least one"):
        read_supposition(["agents=0"])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("fail=WP99", "UNKNOWN_WORK_PACKAGE"),
        ("drop=WP99:WP01", "UNKNOWN_WORK_PACKAGE"),
        ("drop=WP02:WP01", "UNKNOWN_DEPENDENCY"),
        ("drop=WP02:WP03", "UNKNOWN_DEPENDENCY"),  # ordered by shared files, not declared
    ],
)
def test_what_is_not_there_cannot_be_supposed(diamond: MissionDefinition, text: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        compare(diamond, text)
    assert caught.value.code == code


@given(st.data())
def test_after_a_failure_everything_is_either_stopped_or_possible_and_nothing_possible_waits_for_a_stopped_one(
    data: st.DataObject,
) -> None:
    names = [f"WP{n}" for n in range(data.draw(st.integers(1, 8)))]
    pairs = list(combinations(names, 2))
    edges = data.draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    owned = {name: (f"{data.draw(st.integers(0, 3))}.py",) for name in names}
    definition = MissionDefinition(
        None,
        "s",
        "S",
        None,
        MissionSource("native", "s.toml"),
        tuple(WorkPackage(n, n, tuple(a for a, b in edges if b == n), owned[n]) for n in names),
    )
    failed = data.draw(st.sampled_from(names))
    found = compare(definition, f"fail={failed}")
    plan = compute_plan(definition)
    stopped = {failed, *found.blocked, *found.held}
    assert stopped | set(found.possible) == set(names)
    assert len(found.blocked) + len(found.held) + len(found.possible) + 1 == len(names)
    assert all(not stopped & set(plan.prerequisites(name)) for name in found.possible)
    assert all(stopped & set(plan.prerequisites(name)) for name in (*found.blocked, *found.held))
    depths = [plan.placements[name].wave for name in found.possible]
    assert found.after.waves == len(found.after.critical_path) == max(depths, default=0)
    assert found.after.makespan.remaining == found.after.work_packages == len(found.possible)
