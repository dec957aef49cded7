"""`mission amend` from outside: a mission is changed while it goes on, and what has started stays as it is."""

from __future__ import annotations

import shlex
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from workbench import DIAMOND, Workbench, agent

from kitty_flow.agents.command import AgentSpec
from kitty_flow.errors import KittyFlowError
from kitty_flow.flow.amend import amend
from kitty_flow.flow.amend_request import AmendRequest
from kitty_flow.flow.claim import claim
from kitty_flow.flow.drive import Driver
from kitty_flow.flow.life import retarget
from kitty_flow.flow.mission import OpenMission, open_mission
from kitty_flow.flow.outcome import AttemptFailure
from kitty_flow.flow.peek import claimed
from kitty_flow.flow.person import move
from kitty_flow.flow.project import Project
from kitty_flow.flow.run import RunOptions, run_mission
from kitty_flow.flow.steps import Step

WHY = ("--reason", "the client changed her mind")


def amended(bench: Workbench, *words: str | Path, exit: int = 0) -> dict[str, Any]:
    """The envelope of an amendment."""
    return bench.kitty("mission", "amend", "sample", *words, *WHY, exit=exit)


def tables(bench: Workbench, text: str) -> Path:
    """A file with work packages: ``WP05 owned.txt < WP01 WP02`` a line, without ``<`` silent about dependencies."""
    lines = []
    for line in text.strip().splitlines():
        (name, owned), (_, stated, dependencies) = line.partition("<")[0].split(), line.partition("<")
        lines += ["[[work_package]]", f'id = "{name}"', f'owned_files = ["{owned}"]']
        lines += [f"dependencies = {dependencies.split()}"] if stated else []
    path = bench.root.parent / "more.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def plan(bench: Workbench) -> dict[str, Any]:
    data: dict[str, Any] = bench.kitty("plan", "sample")["data"]
    return data


def after(bench: Workbench) -> dict[str, list[str]]:
    """The declared dependencies of each work package."""
    return {w["id"]: w["dependencies"] for w in plan(bench)["work_packages"]}


def problems(envelope: dict[str, Any]) -> dict[str, str]:
    """Where and with what code an amendment was refused."""
    return {problem["where"]: problem["code"] for problem in envelope["error"]["details"]["problems"]}


@pytest.mark.slow
def test_the_way_out_for_the_dependent_of_a_canceled_prerequisite(bench: Workbench) -> None:
    bench.mission({"WP01": {"owned_files": ["a"]}, "WP02": {"owned_files": ["b"], "dependencies": ["WP01"]}})
    bench.kitty("plan")
    bench.kitty("wp", "cancel", "WP01", "--reason", "not needed")
    told = bench.kitty("why", "WP02")["data"]
    words = "kitty-flow mission amend sample --drop-dependency WP01:WP02 --reason TEXT"
    assert [r["hint"] for r in told["reasons"]] == [words] == [told["next_command"]]
    assert bench.kitty("next", "--agent", "ann", "--peek")["data"]["reasons"][0]["hint"] == words
    bench.kitty(*shlex.split(words)[1:])
    assert after(bench)["WP02"] == []
    bench.run()
    assert bench.states() == {"WP01": "canceled", "WP02": "approved"}
    bench.expect_sound_ledger()


@pytest.mark.parametrize("gate", [False, True])
def test_without_the_last_open_work_package_the_mission_is_accepted(bench: Workbench, gate: bool) -> None:
    bench.mission({"WP01": {"owned_files": ["a"]}, "WP02": {"owned_files": ["b"], "dependencies": ["WP01"]}})
    bench.kitty(*bench.run_words(), "--until", "1")
    assert bench.states() == {"WP01": "approved", "WP02": "planned"}
    if gate:
        bench.settings('[run]\nwave_gate = ["false"]\n')
    data = amended(bench, "--drop-wp", "WP02")["data"]
    assert data["state"] == ("running" if gate else "accepted"), "a wave gate is asked by a run, and not passed over"


def test_one_commit_holds_reason_actor_definition_and_the_work_packages(bench: Workbench) -> None:
    bench.mission()
    bench.kitty("plan")
    seen = len(bench.events())
    before = bench.ledger_tip
    added = tables(bench, "WP05 late.txt < WP01\nWP06 later.txt")
    words = ("--add-wp", added, "--add-dependency", "WP05:WP06", "--drop-wp", "WP04", "--actor", "ann")
    data = amended(bench, *words)["data"]
    assert bench.git("rev-list", "--count", f"{before}..{bench.ledger_tip}") == "1"
    new = bench.events()[seen:]
    assert [(e["entity_id"], e["trigger"]) for e in new[1:]] == [("WP04", "cancel"), ("WP05", "plan"), ("WP06", "plan")]
    assert (new[0]["trigger"], new[0]["event_id"]) == ("amend", data["event_id"])
    assert {e["actor"] for e in new} == {"ann"}
    assert {e["reason"] for e in new[:2]} == {WHY[1]}
    (shown,) = bench.kitty("mission", "show", "sample")["data"]["amendments"]
    assert (shown["actor"], shown["reason"], shown["superseded"]) == ("ann", WHY[1], False)
    assert shown["definition_digest"] == new[0]["evidence"]["definition_digest"] == data["definition_digest"]
    assert shown["changes"] == {
        "added_work_packages": ["WP05", "WP06"],
        "dropped_work_packages": ["WP04"],
        "split": {},
        "added_dependencies": [["WP05", "WP06"]],
        "dropped_dependencies": [],
    }
    assert list(bench.states()) == ["WP01", "WP02", "WP03", "WP05", "WP06"]
    assert plan(bench)["waves"] == [["WP01"], ["WP02", "WP03", "WP05"], ["WP06"]]
    error = bench.refusal("wp", "show", "WP04", exit=4)
    assert error["code"] == "WORK_PACKAGE_DROPPED"
    assert WHY[1] in error["message"]


def test_parts_inherit_what_they_do_not_state(bench: Workbench) -> None:
    bench.mission({**DIAMOND, "WP05": {"owned_files": ["e"], "dependencies": ["WP01", "WP04"]}})
    bench.kitty("plan")
    parts = tables(bench, "WP04a one\nWP04b two < WP04a\nWP04c three < WP01")
    data = amended(bench, "--split", "WP04", "--into", parts)["data"]
    assert data["canceled"] == ["WP04"]
    found = after(bench)
    assert found["WP04a"] == ["WP02", "WP03"]
    assert found["WP04b"] == ["WP04a"]
    assert found["WP04c"] == ["WP01"]
    assert found["WP05"] == ["WP01", "WP04b", "WP04c"]


def test_a_dry_run_shows_the_difference_and_writes_nothing(bench: Workbench) -> None:
    bench.mission()
    bench.kitty("plan")
    tips = bench.tips
    data = amended(bench, "--drop-dependency", "WP01:WP02", "--dry-run")["data"]
    assert bench.tips == tips
    assert data["dry_run"] is True
    assert data["event_id"] is None
    found = data["difference"]
    assert found["waves"]["before"] == [["WP01"], ["WP02", "WP03"], ["WP04"]] == plan(bench)["waves"]
    assert found["waves"]["after"] == [["WP01", "WP02"], ["WP03"], ["WP04"]]
    (row,) = [row for row in found["work_packages"] if row["id"] == "WP02"]
    assert (row["wave"], row["prerequisites"]) == ([2, 1], [["WP01"], []])
    assert amended(bench, "--drop-dependency", "WP01:WP02")["data"]["difference"] == found
    assert plan(bench)["waves"] == found["waves"]["after"]


def test_all_problems_are_told_at_once(bench: Workbench) -> None:
    bench.mission()
    bench.kitty("plan")
    tips = bench.tips
    added = tables(bench, "WP02 taken\nWP07 ../out\nWP08 fine < WP77")
    envelope = amended(
        bench, "--add-wp", added, *("--add-dependency", "WP01:WP02"), *("--add-dependency", "WP9:WP3"),
        *("--add-dependency", "WP01"), *("--drop-dependency", "WP01:WP04"), *("--drop-wp", "WP01"),
        *("--add-dependency", "WP03:WP03"), exit=3,
    )  # fmt: skip
    assert envelope["error"]["code"] == "INVALID_AMENDMENT"
    assert problems(envelope) == {
        "more.toml:6": "INVALID_OWNED_FILES",
        "--add-dependency WP01": "INVALID_DEPENDENCY",
        "--drop-dependency WP01:WP04": "NO_SUCH_DEPENDENCY",
        "--add-dependency WP01:WP02": "DUPLICATE_DEPENDENCY",
        "--add-dependency WP9:WP3": "UNKNOWN_WORK_PACKAGE",
        "--add-dependency WP03:WP03": "SELF_DEPENDENCY",
        "--drop-wp WP01": "WORK_PACKAGE_NEEDED",
    }
    (needed,) = [p for p in envelope["error"]["details"]["problems"] if p["code"] == "WORK_PACKAGE_NEEDED"]
    assert "--drop-dependency WP01:WP02 --drop-dependency WP01:WP03" in needed["message"]
    envelope = amended(bench, "--add-wp", tables(bench, "WP02 taken\nWP08 fine < WP77"), exit=3)
    assert sorted(p["code"] for p in envelope["error"]["details"]["problems"]) == [
        "DUPLICATE_WORK_PACKAGE_ID",
        "UNKNOWN_DEPENDENCY",
    ]
    envelope = amended(bench, "--add-dependency", "WP04:WP01", exit=3)
    (problem,) = envelope["error"]["details"]["problems"]
    assert problem["code"] == "DEPENDENCY_CYCLE"
    assert "WP01 -> WP02 -> WP04 -> WP01" in problem["message"]
    assert bench.refusal("mission", "amend", "sample", *WHY, exit=2)["code"] == "NOTHING_TO_AMEND"
    assert bench.refusal("mission", "amend", "--split", "WP04", *WHY, exit=2)["code"] == "SPLIT_INCOMPLETE"
    assert bench.refusal("mission", "amend", "--drop-wp", "WP04", "--reason", " ", exit=4)["code"] == "REASON_MISSING"
    assert bench.tips == tips


@pytest.mark.slow
def test_what_has_started_is_not_replanned(bench: Workbench) -> None:
    bench.mission()
    step = bench.kitty("next", "--agent", "ann")["data"]
    place = plan(bench)["work_packages"][0]
    parts = tables(bench, "WP01a one")
    for words in (
        ("--add-dependency", "WP03:WP01", "--drop-dependency", "WP01:WP03"),
        ("--drop-wp", "WP01", "--drop-dependency", "WP01:WP02", "--drop-dependency", "WP01:WP03"),
        ("--split", "WP01", "--into", parts),
    ):
        envelope = amended(bench, *words, exit=4)
        assert envelope["error"]["code"] == "AMENDMENT_REFUSED"
        assert set(problems(envelope).values()) == {"WORK_PACKAGE_STARTED"}
    # Everything around it changes, and an owned file that is shared may not put anything before it.
    added = tables(bench, "WP00 core.txt\nWP05 five.txt")
    amended(bench, "--add-wp", added, "--drop-dependency", "WP01:WP02", "--drop-dependency", "WP01:WP03")
    found = {w["id"]: w for w in plan(bench)["work_packages"]}
    assert found["WP01"]["execution_lane"] == place["execution_lane"]
    assert [c["ordered"] for c in plan(bench)["conflicts"]] == ["WP01 before WP00"]
    held = bench.kitty("next", "--agent", "ann")["data"]
    assert held == {**step, "recorded": held["recorded"]}
    # Given back, it waits again: it may come to need less, but not more, and it stays in its lane.
    bench.kitty("wp", "release", "WP01", "--reason", "a pause")
    assert set(problems(amended(bench, "--add-dependency", "WP03:WP01", exit=4)).values()) == {"WORK_PACKAGE_STARTED"}
    again = bench.kitty("next", "--agent", "ben")["data"]
    assert (again["wp_id"], again["worktree"], again["branch"]) == ("WP01", step["worktree"], step["branch"])


@pytest.mark.slow
def test_nothing_may_come_to_depend_on_what_was_canceled(bench: Workbench) -> None:
    bench.mission()
    bench.kitty("plan")
    bench.kitty("wp", "cancel", "WP03", "--reason", "not needed")
    envelope = amended(bench, "--add-dependency", "WP03:WP02", "--add-wp", tables(bench, "WP05 e < WP03"), exit=4)
    assert set(problems(envelope).values()) == {"DEPENDENCY_CANCELED"}
    amended(bench, "--drop-wp", "WP03", "--drop-dependency", "WP03:WP04")
    envelope = amended(bench, "--add-wp", tables(bench, "WP03 e"), exit=4)
    assert set(problems(envelope).values()) == {"WORK_PACKAGE_ID_USED"}


@pytest.mark.slow
def test_an_amended_mission_no_longer_follows_its_source(bench: Workbench) -> None:
    bench.mission()
    bench.kitty("plan")
    amended(bench, "--drop-dependency", "WP01:WP02")
    assert bench.kitty("plan", "sample")["diagnostics"] == []
    assert after(bench)["WP02"] == []
    bench.mission({**DIAMOND, "WP05": {"owned_files": ["late.txt"]}})
    (told,) = bench.kitty("plan", "sample")["diagnostics"]
    assert told["diagnostic_code"] == "DEFINITION_DIFFERS"
    assert "kitty-flow mission amend sample" in told["message"]
    assert "WP05" not in after(bench)


def test_a_command_that_is_typed_again_is_recorded_once(bench: Workbench) -> None:
    bench.mission()
    bench.kitty("plan")
    first = amended(bench, "--drop-wp", "WP04")["data"]
    tips = bench.tips
    second = amended(bench, "--drop-wp", "WP04")["data"]
    assert bench.tips == tips
    assert (second["event_id"], second["changes"]) == (first["event_id"], first["changes"])
    assert set(
        problems(bench.kitty("mission", "amend", "--drop-wp", "WP04", "--reason", "again", exit=3)).values()
    ) == {"UNKNOWN_WORK_PACKAGE"}


@pytest.mark.slow
def test_a_run_takes_an_amendment_up_with_its_next_decision(bench: Workbench, tmp_path: Path) -> None:
    """The agent of WP01 amends the mission while the run goes on: WP04 is dropped, WP05 comes in, WP03 waits for it."""
    bench.mission()
    bench.kitty("plan")
    added = tables(bench, "WP05 late.txt < WP01")
    changes = ("--drop-wp", "WP04", "--add-wp", str(added), "--add-dependency", "WP05:WP03")
    words = [*bench.command, "mission", "amend", "sample", *changes, *WHY]
    script = tmp_path / "agent.py"
    script.write_text(
        "import os, subprocess, sys\n"
        "if os.environ['KITTY_FLOW_WP'] == 'WP01':\n"
        f"    subprocess.run({words!r}, check=True, cwd={str(bench.root)!r})\n"
        f"sys.exit(subprocess.run({shlex.split(agent('implementer'))!r}).returncode)\n",
        encoding="utf-8",
    )
    command = shlex.join([sys.executable, str(script)])
    done = bench.kitty("run", "sample", "-j", "2", "--command", command, "--review-command", agent("reviewer"))["data"]
    assert set(done["work_packages"]) == {"WP01", "WP02", "WP03", "WP05"}
    assert set(bench.states().values()) == {"approved"}
    assert done["state"] == "accepted"
    steps = bench.steps()
    assert steps.index(("WP05", "approve")) < steps.index(("WP03", "claim"))
    assert [trigger for name, trigger in steps if name == "WP04"] == ["plan", "cancel"]
    bench.expect_sound_ledger()


def test_a_claim_is_decided_on_the_definition_that_counts_then(bench: Workbench) -> None:
    """Three processes have the mission open; what one amends, the others' claims obey without being opened again."""
    bench.mission({"WP01": {"owned_files": ["a"]}, "WP02": {"owned_files": ["b"]}, "WP03": {"owned_files": ["c"]}})
    bench.kitty("plan")
    project = Project.discover(bench.root)
    with open_mission(project, "sample") as stale, open_mission(project, "sample") as other:
        request = AmendRequest(add_dependencies=("WP01:WP02",), drop_work_packages=("WP03",))
        amend(other, request, reason="for a reason", actor="ann")
        for name, code in (("WP02", "DEPENDENCIES_NOT_SATISFIED"), ("WP03", "WORK_PACKAGE_DROPPED")):
            with pytest.raises(KittyFlowError) as refused:
                claim(stale, name, actor="ben", lease_s=60)
            assert refused.value.code == code
        held = claim(stale, "WP01", actor="ben", lease_s=60)
        # And the other way round: what was claimed meanwhile has started for an amendment.
        with pytest.raises(KittyFlowError) as refused:
            amend(other, AmendRequest(add_dependencies=("WP02:WP01",)), reason="for a reason", actor="ann")
        assert {p["code"] for p in refused.value.details["problems"]} == {"WORK_PACKAGE_STARTED"}
        assert held.work_package_id == "WP01"


@pytest.mark.slow
def test_an_accepted_mission_runs_again_and_an_aborted_one_is_over(bench: Workbench) -> None:
    bench.mission({"WP01": {"owned_files": ["one.txt"]}})
    bench.run()
    assert bench.kitty("status")["data"]["mission"]["state"] == "accepted"
    assert amended(bench, "--add-wp", tables(bench, "WP02 two.txt < WP01"))["data"]["state"] == "running"
    bench.kitty("mission", "abort", "sample", "--reason", "overtaken")
    error = amended(bench, "--add-wp", tables(bench, "WP03 three.txt"), exit=4)["error"]
    assert error["code"] == "ILLEGAL_TRANSITION"


@pytest.mark.slow
def test_an_amendment_between_the_choice_and_the_claim(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run has chosen WP02 and WP03 when one comes to need WP01 and the other is dropped: it looks again."""
    bench.mission({name: {"owned_files": [f"{name}.txt"]} for name in ("WP01", "WP02", "WP03")})
    bench.kitty("plan")
    project = Project.discover(bench.root)
    perform = Driver.perform
    asked: list[str] = []

    def amend_once() -> None:
        request = AmendRequest(add_dependencies=("WP01:WP02",), drop_work_packages=("WP03",))
        with open_mission(project, "sample") as other:
            amend(other, request, reason="for a reason", actor="ann")

    all_chosen = threading.Barrier(3, action=amend_once, timeout=60)

    def amend_first(
        self: Driver, mission: OpenMission, step: Step, agent: AgentSpec | None, failure: AttemptFailure | None
    ) -> AttemptFailure | None:
        if step.kind == "implement":
            is_first = step.work_package_id not in asked
            asked.append(step.work_package_id)
            if is_first:
                all_chosen.wait()
        return perform(self, mission, step, agent, failure)

    monkeypatch.setattr(Driver, "perform", amend_first)
    agents = [AgentSpec(role, tuple(shlex.split(agent(role)))) for role in ("implementer", "reviewer")]
    with open_mission(project, "sample") as mission:
        report = run_mission(mission, RunOptions(*agents, jobs=3))
    assert sorted(asked) == ["WP01", "WP02", "WP02", "WP03"]
    assert {name: outcome.state for name, outcome in report.outcomes.items()} == {
        "WP01": "approved",
        "WP02": "approved",
    }
    assert (report.exit_status, report.mission_state) == (0, "accepted")
    assert [trigger for name, trigger in bench.steps() if name == "WP03"] == ["plan", "cancel"]


def test_the_plan_that_counts_is_the_recorded_one_also_when_the_definition_is_the_old_one(bench: Workbench) -> None:
    """An edge is added and dropped again while WP02 has begun in the lane of the plan in between."""
    bench.mission({"WP01": {"owned_files": ["a"]}, "WP02": {"owned_files": ["b"]}})
    bench.kitty("plan")
    project = Project.discover(bench.root)
    with open_mission(project, "sample") as stale, open_mission(project, "sample") as other:
        amend(other, AmendRequest(add_dependencies=("WP02:WP01",)), reason="for a reason", actor="ann")
        step = bench.kitty("next", "--agent", "amy")["data"]
        assert step["wp_id"] == "WP02"
        amend(other, AmendRequest(drop_dependencies=("WP02:WP01",)), reason="for no reason", actor="ann")
        now = stale.at(stale.view())
        assert now.definition == stale.definition
        lanes = {name: placement.execution_lane for name, placement in now.plan.placements.items()}
        assert step["branch"].endswith(lanes["WP02"])
        assert lanes["WP01"] != lanes["WP02"], "one worktree for two"


def test_what_lost_its_place_in_the_mission_can_be_given_back(bench: Workbench) -> None:
    bench.mission({"WP01": {"owned_files": ["a"]}, "WP02": {"owned_files": ["b"]}})
    bench.kitty("plan")
    with open_mission(Project.discover(bench.root), "sample") as mission:
        claim(mission, "WP02", actor="amy", lease_s=60)
        left = tuple(w for w in mission.definition.work_packages if w.id != "WP02")
        without = replace(mission, definition=replace(mission.definition, work_packages=left))
        assert claimed(without, "amy", without.view()) is None
        move(without, "WP02", "release", reason="its amendment was superseded", actor="ben")
    assert bench.states()["WP02"] == "planned"


def test_what_only_canceled_work_needs_may_go(bench: Workbench) -> None:
    bench.mission(
        {"WP01": {"owned_files": ["a"]}, "WP02": {"owned_files": ["b"], "dependencies": ["WP01"]}, "WP03": {}}
    )
    bench.kitty("plan")
    bench.kitty("wp", "cancel", "WP02", "--reason", "no need")
    assert amended(bench, "--drop-wp", "WP01")["data"]["canceled"] == ["WP01"]
    assert after(bench) == {"WP02": [], "WP03": []}


def test_an_edited_source_does_not_take_the_chosen_target_back(bench: Workbench) -> None:
    bench.git("branch", "dev")
    bench.mission(target_branch="trunk")
    bench.kitty("plan")
    with open_mission(Project.discover(bench.root), "sample") as mission:
        retarget(mission, "dev")
    bench.mission(target_branch="trunk", title="Another title")
    bench.kitty("plan")
    shown = bench.kitty("mission", "show")["data"]
    assert (shown["title"], shown["target_branch"]) == ("Another title", "dev")
    bench.mission(target_branch="other")
    bench.kitty("plan")
    assert bench.kitty("mission", "show")["data"]["target_branch"] == "other"
