"""`why` answers from the gates on the edges: every gate with its answer, for every state a work package can be in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from workbench import Workbench

from kitty_flow.flow import lease as leasing
from kitty_flow.flow.explain import Explanation, explain
from kitty_flow.flow.mission import OpenMission, open_mission
from kitty_flow.flow.next_step import next_step, report
from kitty_flow.flow.person import move
from kitty_flow.flow.project import Project

WORK_PACKAGES: dict[str, dict[str, Any]] = {
    "WP01": {"owned_files": ["one.txt"]},
    "WP02": {"owned_files": ["two.txt"], "dependencies": ["WP01"]},
    "WP03": {"owned_files": ["o*.txt"]},
}


@pytest.fixture
def mission(bench: Workbench) -> Iterator[OpenMission]:
    """WP02 depends on WP01; WP03 shares files with it."""
    bench.mission(WORK_PACKAGES, target_branch="trunk")
    with open_mission(Project.discover(bench.root), "sample") as opened:
        yield opened


def answers(found: Explanation) -> set[tuple[str, str, str, str | None]]:
    return {(g.edge, g.other, g.gate, g.reason.code if g.reason else None) for g in found.gates}


def test_every_gate_on_every_edge_is_told(mission: OpenMission) -> None:
    waits = "DEPENDENCIES_NOT_SATISFIED"
    found = explain(mission, "WP02")
    declared = {
        ("declared", "WP01", "prerequisite_not_canceled", None),
        ("declared", "WP01", "prerequisite_approved", waits),
        ("declared", "WP01", "prerequisite_integrated", waits),
    }
    assert answers(found) == declared
    assert [reason.code for reason in found.reasons] == [waits]
    (before, after) = mission.plan.conflicts[0].before, mission.plan.conflicts[0].after
    conflict = {("conflict", before, gate, waits) for gate in ("prerequisite_approved", "prerequisite_integrated")}
    assert answers(explain(mission, after)) == conflict
    assert answers(explain(mission, before)) == set()
    data = found.as_data()["gates"]
    assert all(set(g) == {"edge", "wp_id", "gate", "outcome", "code", "message", "hint"} for g in data)
    assert {g["outcome"] for g in data} == {"pass", "closed"}


def test_what_somebody_works_on_closes_the_gates_of_its_neighbours(mission: OpenMission) -> None:
    step = next_step(mission, "ann").fields
    after = mission.plan.conflicts[0].after
    assert step["wp_id"] == mission.plan.conflicts[0].before
    busy = {code for edge, _, _, code in answers(explain(mission, after)) if edge in ("lane", "overlap")}
    assert busy and busy <= {"LANE_BUSY", "OWNERSHIP_CONFLICT"}


def test_a_lease_that_ran_out_is_the_reason(mission: OpenMission, monkeypatch: pytest.MonkeyPatch) -> None:
    name = str(next_step(mission, "ann").fields["wp_id"])
    held = explain(mission, name)
    assert (held.state, held.reasons) == ("in_progress", ()) and "ann" in held.summary and "lease until" in held.summary

    monkeypatch.setattr(leasing, "monotonic", lambda: monotonic() + 86_400)
    late = explain(mission, name)
    assert [reason.code for reason in late.reasons] == ["LEASE_EXPIRED"]
    assert late.next_command == "kitty-flow next --agent NAME -m sample"


def test_what_is_handed_in_blocked_or_canceled_is_explained(mission: OpenMission) -> None:
    step = next_step(mission, "ann").fields
    name, worktree = str(step["wp_id"]), Path(step["worktree"])
    (worktree / "one.txt").write_text("one\n", encoding="utf-8")
    git = mission.project.worktrees.at(worktree)
    assert git is not None
    git.git.text("add", "one.txt")
    git.git.text("commit", "-q", "-m", "Work")
    report(mission, "ann", "success")
    found = explain(mission, name)
    assert found.state == "for_review" and "a reviewer other than ann" in found.summary
    move(mission, name, "block", reason="the service is down", actor="ann")
    found = explain(mission, name)
    assert "the service is down" in found.summary
    assert found.next_command == f"kitty-flow wp unblock {name} --reason TEXT -m sample"
    move(mission, name, "cancel", reason="not wanted", actor="ann")
    assert "not wanted" in explain(mission, name).summary
    stopped = explain(mission, "WP02")
    assert ("declared", name, "prerequisite_not_canceled", "DEPENDENCY_CANCELED") in answers(stopped)
    assert [reason.code for reason in stopped.reasons] == ["DEPENDENCY_CANCELED"]
