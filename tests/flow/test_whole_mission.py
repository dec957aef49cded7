"""A mission from its file to the target branch, by the commands that people type."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from workbench import Workbench, agent

MISSION: dict[str, dict[str, Any]] = {
    "WP01": {"owned_files": ["core.txt"], "subtasks": ["T001 Begin", "T002 End"], "requirement_refs": ["FR-001"]},
    "WP02": {"owned_files": ["shared/*.txt"], "dependencies": ["WP01"], "title": "Left"},
    "WP03": {"owned_files": ["shared/right.txt"], "dependencies": ["WP01"], "title": "Right"},
    "WP04": {"owned_files": ["docs/**"], "dependencies": ["WP01"], "execution_mode": "planning_artifact"},
    "WP05": {"owned_files": ["join.txt"], "dependencies": ["WP02", "WP03"]},
    "WP06": {"owned_files": ["more.txt"], "dependencies": ["WP04"], "title": "With $(echo no) shell"},
}
WAVES = [["WP01"], ["WP02", "WP04"], ["WP03", "WP06"], ["WP05"]]


class Whole(NamedTuple):
    """What a run and a merge left behind; `told` are the codes of the run's remarks."""

    bench: Workbench
    base: str
    run: dict[str, Any]
    told: list[str]
    before_merge: dict[str, Any]
    merge: dict[str, Any]


@pytest.fixture
def whole(bench: Workbench) -> Whole:
    bench.mission(MISSION, target_branch="trunk")
    base = bench.git("rev-parse", "HEAD")
    ran = bench.run(review="reject=WP02", jobs=2)
    told = [each["diagnostic_code"] for each in ran["diagnostics"]]
    before = bench.kitty("status")["data"]
    check = "test -f join.txt -a -f shared/right.txt -a -f docs/wp04"
    merge = bench.kitty("merge", "sample", "--test-command", f"sh -c '{check}'")["data"]
    return Whole(bench, base, ran["data"], told, before, merge)


def test_the_whole_way(whole: Whole) -> None:
    bench, base, run, told, before, merge = whole
    assert "OWNED_FILES_ABSENT" not in told
    expect_run(bench, run)
    expect_status_before_merge(before)
    expect_events(bench, run["run_id"])
    expect_bases(bench)
    expect_landing(bench, base, merge)
    expect_commits(bench, base)
    expect_answers_after_merge(bench)
    assert bench.agents_alive() == []


def expect_run(bench: Workbench, run: dict[str, Any]) -> None:
    assert run["state"] == "accepted"
    assert run["ledger"] in bench.tips
    assert run["mission_head"] == bench.git("rev-parse", run["mission_branch"])
    assert set(run["work_packages"]) == set(MISSION)
    for name, outcome in run["work_packages"].items():
        rejected = name == "WP02"
        expected = {"state": "approved", "attempts": 1 + rejected, "rejections": int(rejected)}
        assert expected.items() <= outcome.items(), name


def expect_status_before_merge(status: dict[str, Any]) -> None:
    assert set(status) == {"mission", "work_packages", "counts", "progress", "ready", "usage", "warnings"}
    assert status["mission"]["state"] == "accepted"
    assert status["counts"] == {"approved": 6}
    assert status["ready"] == []
    assert 0 < status["progress"] < 1
    for card in status["work_packages"].values():
        assert set(card) >= {
            "title", "state", "wave", "execution_lane", "actor", "epoch", "lease_expires_at", "attempt",
            "force_count", "last_event_id", "head",
        }  # fmt: skip
        assert (card["actor"], card["lease_expires_at"], card["force_count"]) == (None, None, 0)
    waves = {name: card["wave"] for name, card in status["work_packages"].items()}
    assert [sorted(n for n in waves if waves[n] == number) for number in (1, 2, 3, 4)] == WAVES
    assert status["work_packages"]["WP04"]["execution_lane"] == "lane-planning"


def expect_events(bench: Workbench, run_id: str) -> None:
    events = bench.events()
    bench.expect_sound_ledger()
    clock = {(e["entity_id"], e["trigger"]): e["lamport"] for e in events if e["entity_type"] == "work_package"}
    for earlier, later in itertools.pairwise(WAVES):
        finished = max(clock[name, "integrate"] for name in earlier)
        assert finished < min(clock[name, "claim"] for name in later), "a wave began before the one before it ended"
    assert {e["correlation_id"] for e in events if e["trigger"] == "claim"} == {run_id}
    assert clock["WP02", "request_changes"] < clock["WP02", "approve"]
    for event in events:
        if event["trigger"] == "approve":
            assert event["evidence"]["verdict"] == "approved"
            assert event["evidence"]["reviewed_commit"] == event_head(events, event["entity_id"])
            assert event["actor"] == "reviewer-command"
    only = bench.kitty("log", "sample", "--wp", "WP02", "--type", "request_changes")["data"]["events"]
    assert [e["reason"] for e in only] == ["say it louder"]


def event_head(events: list[dict[str, Any]], name: str) -> str:
    heads = [e["evidence"]["head_commit"] for e in events if (e["entity_id"], e["trigger"]) == (name, "submit")]
    return str(heads[-1])


def expect_bases(bench: Workbench) -> None:
    """Every start of a work package was at a base that contains the heads of all its prerequisites."""
    events = bench.events()
    prerequisites = {w["id"]: list(w["dependencies"]) for w in bench.kitty("plan", "sample")["data"]["work_packages"]}
    prerequisites["WP03"].append("WP02")  # the overlap
    starts = [e for e in events if (e["entity_type"], e["trigger"]) == ("work_package", "start")]
    assert len(starts) == 7
    for start in starts:
        for name in prerequisites[start["entity_id"]]:
            bench.git("merge-base", "--is-ancestor", event_head(events, name), start["evidence"]["base_commit"])
    again = [e["evidence"] for e in starts if e["entity_id"] == "WP02"][1]
    assert again["start_commit"] != again["base_commit"], "rework goes on from the work that was sent back"
    shown = bench.kitty("wp", "show", "WP02")["data"]
    prompt = Path(shown["invocations"][2]["prompt_path"]).read_text()
    assert "say it louder" in prompt
    first = Path(shown["invocations"][0]["prompt_path"]).read_text()
    assert "say it louder" not in first
    assert bench.git("show", f"{event_head(events, 'WP02')}:shared/wp02.txt") == (
        "WP02 was here\nWP02 heard: say it louder"
    )


def expect_landing(bench: Workbench, base: str, merge: dict[str, Any]) -> None:
    assert merge["before"] == base
    assert merge["target_ref"] == "refs/heads/trunk"
    assert merge["landed_commit"] == bench.git("rev-parse", "trunk")
    assert merge["tested_tree"] == bench.tree("trunk") == bench.tree(bench.mission_branch)
    assert sorted(merge["landed_work_packages"]) == sorted(MISSION)
    assert {g["outcome"] for g in merge["gates"]} == {"pass"}
    assert not merge["resumed"] and merge["remarks"] == []
    assert (bench.root / "join.txt").read_text() == "WP05 was here\n"
    assert bench.git("status", "--porcelain", "--", ":!.kitty-flow") == ""
    assert bench.git("worktree", "list", "--porcelain").count("worktree ") == 1


def expect_commits(bench: Workbench, base: str) -> None:
    """On the target: work, integration merges and the landing; no bookkeeping, and no commit that changes nothing."""
    lines = bench.git("log", "--format=%H %s", f"{base}..trunk").splitlines()
    subjects = [line.split(" ", 1)[1] for line in lines]
    assert subjects[0] == "Land A sample"
    assert sum(s.startswith("WP") for s in subjects) == 7
    assert all(s.startswith(("WP", "Merge WP")) for s in subjects[1:])
    for line in lines:
        commit = line.split()[0]
        changed = bench.git("diff", "--name-only", f"{commit}^1", commit).splitlines()
        assert changed
        assert not [path for path in changed if path.startswith((".kitty", "kitty-specs"))]


def expect_answers_after_merge(bench: Workbench) -> None:
    status = bench.kitty("status", "sample")["data"]
    assert status["mission"]["state"] == "merged"
    assert (status["counts"], status["progress"]) == ({"done": 6}, 1.0)
    proof = bench.kitty("verify", "sample")["data"]
    assert proof["holds"] and all(w["on_target"] for w in proof["work_packages"].values())
    why = bench.kitty("why", "WP05", "--mission", "sample")["data"]
    assert why["state"] == "done" and "landed on refs/heads/trunk" in why["summary"]
    answer = bench.kitty("next", "--mission", "sample", "--agent", "me", "--peek")["data"]
    assert answer["kind"] == "terminal"
    assert [r["code"] for r in answer["reasons"]] == ["NOTHING_LEFT"]
    shown = bench.kitty("wp", "show", "WP01", "--mission", "sample")["data"]
    assert [i["state"] for i in shown["invocations"]] == ["done", "done"]
    assert shown["subtasks"] == [{"id": "T001", "title": "Begin"}, {"id": "T002", "title": "End"}]
    again = bench.kitty("merge", "sample", "--test-command", "true")["data"]
    assert again["remarks"] == ["already landed; nothing was left to do"]
    bench.refusal("run", "sample", *bench.run_words()[2:], exit=4)


def test_next_peek_and_why_along_the_way(bench: Workbench) -> None:
    bench.mission(MISSION)
    tips = bench.tips
    step = bench.kitty("next", "--agent", "me", "--peek")["data"]
    assert step["kind"] == "step"
    assert set(step) == {
        "kind", "action", "mission", "wp_id", "invocation_id", "epoch", "lease_expires_at", "worktree", "branch",
        "base_commit", "prompt_path", "result_path",
    }  # fmt: skip
    assert (step["action"], step["wp_id"], step["invocation_id"]) == ("implement", "WP01", None)
    assert {ref for ref in bench.tips if ref not in tips} == {"refs/kitty/m/01JZ5N3C8RWE5P1YF0K6SHTAVD"}
    why = bench.kitty("why", "WP05")["data"]
    assert why["chain"] == ["WP05", "WP02", "WP01"]
    assert {r["code"] for r in why["reasons"]} == {"DEPENDENCIES_NOT_SATISFIED"}
    assert why["next_command"] == "kitty-flow run sample"
    bench.run(jobs=1, review="silent=WP04", exit=7)
    blocked = bench.kitty("why", "WP06")["data"]
    assert blocked["chain"][-1] == "WP04"
    assert blocked["next_command"].startswith("kitty-flow wp unblock WP04")


def test_until_stops_after_a_wave_and_a_dry_run_changes_nothing(bench: Workbench) -> None:
    bench.mission(MISSION)
    bench.kitty("plan", "sample")
    tips = bench.tips
    preview = bench.kitty(*bench.run_words(), "--dry-run")["data"]
    assert preview["waves"] == WAVES
    assert bench.tips == tips
    assert not (bench.root.parent / "repo.kitty" / "worktrees").exists()
    run = bench.kitty(*bench.run_words(), "--until", "2")["data"]
    assert sorted(run["work_packages"]) == ["WP01", "WP02", "WP04"]
    assert (run["state"], bench.states()["WP03"]) == ("running", "planned")


def test_without_a_reviewer_work_waits(bench: Workbench) -> None:
    bench.mission()
    done = bench.kitty("run", "--command", agent("implementer"), exit=4)
    assert done["data"]["work_packages"]["WP01"]["code"] == "REVIEWER_MISSING"
    assert "--review-command" in done["error"]["hint"]
    assert bench.states()["WP01"] == "for_review"
    bench.run()
    assert set(bench.states().values()) == {"approved"}


def test_a_person_and_an_agent_take_turns(bench: Workbench) -> None:
    """`next` claims, a result is reported, somebody else reviews; a run finishes what is left."""
    bench.mission()
    step = bench.kitty("next", "--agent", "ann")["data"]
    assert [(move["work_package_id"], move["to_lane"]) for move in step["recorded"]] == [
        ("WP01", "claimed"),
        ("WP01", "in_progress"),
    ]
    again = bench.kitty("next", "--agent", "ann")["data"]
    assert again == step | {"recorded": []}, "who holds a step gets it again"
    waiting = bench.kitty("next", "--agent", "bob")["data"]
    assert waiting["kind"] == "wait" and waiting["retry_after_s"] > 0
    worktree = Path(step["worktree"])
    (worktree / "core.txt").write_text("by hand\n")
    early = bench.refusal("next", "--agent", "ann", "--result", "success", exit=4)
    assert early["code"] == "WORK_NOT_COMMITTED"
    bench.git("add", "core.txt", cwd=worktree)
    bench.git("commit", "-qm", "By hand", cwd=worktree)
    assert bench.kitty("next", "--agent", "ann", "--result", "success", "--role", "review")["data"]["kind"] == "wait"
    review = bench.kitty("next", "--agent", "bob", "--role", "review")["data"]
    assert (review["action"], review["wp_id"]) == ("review", "WP01")
    left = bench.kitty(*bench.run_words(), exit=4)["data"]["work_packages"]
    assert left["WP01"]["state"] == "in_review", "a run leaves alone what somebody else reviews"
    bench.kitty("wp", "block", "WP01", "--reason", "bob is gone")
    bench.kitty("wp", "unblock", "WP01", "--reason", "somebody else may look")
    bench.run()
    assert set(bench.states().values()) == {"approved"}
    bench.expect_sound_ledger()


def test_for_people_there_are_plain_lines_and_the_next_command(bench: Workbench) -> None:
    bench.mission({"WP01": {"owned_files": ["one.txt"]}})
    process = bench.start(*bench.run_words())
    stdout, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert stdout.splitlines()[-1] == "next: kitty-flow merge sample"
    process = bench.start("merge", "--test-command", "false")
    stdout, stderr = process.communicate(timeout=120)
    assert (process.returncode, stdout) == (4, "")
    assert stderr.startswith("error: ") and "hint: " in stderr
