"""Planning artifacts are made in the main checkout where that is safe, in a worktree otherwise, and taken back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench, files_of

PLAN: dict[str, dict[str, Any]] = {
    "WP01": {"owned_files": ["docs/**"], "execution_mode": "planning_artifact"},
    "WP02": {"owned_files": ["core.txt"], "dependencies": ["WP01"]},
}


@pytest.fixture
def planned(bench: Workbench) -> Workbench:
    """A mission that is committed, so that the checkout is clean."""
    bench.mission(PLAN, target_branch="trunk")
    bench.git("add", ".")
    bench.commit("the mission", __gitignore="*.log\n")
    return bench


def take(bench: Workbench, who: str = "amy", *words: str) -> dict[str, Any]:
    data: dict[str, Any] = bench.kitty("next", "--agent", who, *words)["data"]
    return data


def work(step: dict[str, Any], bench: Workbench, name: str = "docs/plan.md") -> str:
    path = Path(step["worktree"]) / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("planned\n", encoding="utf-8")
    bench.git("add", "-A", cwd=path.parent)
    bench.git("commit", "-q", "-m", "plan", cwd=path.parent)
    return bench.git("rev-parse", "HEAD", cwd=path.parent)


def started(bench: Workbench, name: str = "WP01") -> dict[str, Any]:
    found = [e["evidence"] for e in bench.events() if (e["entity_id"], e["trigger"]) == (name, "start")]
    evidence: dict[str, Any] = found[-1]
    return evidence


@pytest.mark.slow
def test_a_run_plans_in_the_checkout_codes_in_a_worktree_and_lands(planned: Workbench) -> None:
    base = planned.git("rev-parse", "trunk")
    assert planned.run(review="reject=WP01")["data"]["state"] == "accepted"
    events = [e for e in planned.events() if e["entity_id"] == "WP01"]
    starts = [e["evidence"] for e in events if e["trigger"] == "start"]
    submits = [e["evidence"] for e in events if e["trigger"] == "submit"]
    assert [(s["place"], s["worktree"], s["branch"]) for s in starts] == [
        ("checkout", str(planned.root), "refs/heads/trunk")
    ] * 2
    assert starts[0]["start_commit"] == base
    assert [s["base_commit"] for s in submits] == [base, base]
    assert starts[1]["start_commit"] == submits[0]["head_commit"]
    assert planned.git("rev-parse", "trunk") == submits[1]["head_commit"]
    assert planned.git("status", "--porcelain") == ""
    assert started(planned, "WP02")["place"] == "worktree"
    planned.git("merge-base", "--is-ancestor", submits[1]["head_commit"], planned.mission_branch)
    planned.kitty("merge", "sample", "--test-command", "test -f core.txt -a -d docs")
    assert set(planned.states().values()) == {"done"}
    assert planned.git("status", "--porcelain") == ""
    planned.expect_sound_ledger()


def users_side(bench: Workbench) -> tuple[object, ...]:
    tree = files_of(bench.root, without=lambda name: name.startswith(".git/"))
    return tree, bench.git("rev-parse", "trunk", "HEAD"), (bench.root / ".git/index").read_bytes()


def untracked(bench: Workbench) -> str:
    (bench.root / "new.txt").write_text("the user's\n")
    return "1 uncommitted or untracked path(s)"


def detached(bench: Workbench) -> str:
    bench.git("switch", "-q", "--detach")
    return "not on trunk"


def merging(bench: Workbench) -> str:
    bench.git("switch", "-q", "-c", "side")
    bench.commit("other")
    bench.git("switch", "-q", "trunk")
    bench.git("merge", "-q", "--no-ff", "--no-commit", "side")
    return "a merge is in progress"


def switched_off(bench: Workbench) -> str:
    bench.settings('[workspace]\nplanning_lane = "worktree"\n')
    return ""


@pytest.mark.parametrize("hinder", [untracked, detached, merging, switched_off])
def test_what_is_in_the_way_is_told_and_left_alone(planned: Workbench, hinder: Any) -> None:
    reason = hinder(planned)
    before = users_side(planned)
    peeked, step = take(planned, "amy", "--peek"), take(planned)
    assert peeked["worktree"] == step["worktree"] != str(planned.root)
    assert Path(step["worktree"]).name == "lane-planning"
    evidence = started(planned)
    assert evidence["place"] == "worktree"
    assert (reason in evidence["place_reason"]) if reason else evidence["place_reason"] is None
    work(step, planned)
    assert take(planned, "amy", "--result", "success")["reported"] == "WP01"
    assert users_side(planned) == before
    told = [d for d in planned.kitty("status")["diagnostics"] if d["diagnostic_code"] == "PLANNING_IN_WORKTREE"]
    assert bool(told) is bool(reason)


def test_the_note_comes_with_the_step_and_goes_with_the_attempt(planned: Workbench) -> None:
    def notes(*words: str) -> list[str]:
        told = planned.kitty(*words)["diagnostics"]
        return [d["message"] for d in told if d["diagnostic_code"] == "PLANNING_IN_WORKTREE"]

    reason = untracked(planned)
    (note,) = notes("next", "--agent", "amy")
    assert note.endswith(f"{reason}, such as new.txt")
    assert notes("status") == [note]
    planned.kitty("wp", "release", "WP01", "--reason", "again")
    assert notes("status") == []
    (planned.root / "new.txt").unlink()
    assert notes("next", "--agent", "amy") == []
    assert started(planned)["place"] == "checkout"


def test_prerequisites_have_to_be_on_the_target(bench: Workbench) -> None:
    bench.mission({"WP01": {"owned_files": ["a.txt"]}, "WP02": {**PLAN["WP01"], "dependencies": ["WP01"]}})
    bench.git("add", ".")
    bench.commit("the mission")
    bench.run()
    assert "does not contain the work of all prerequisites" in started(bench, "WP02")["place_reason"]


def test_a_failed_attempt_goes_from_the_target_and_stays_under_a_salvage_ref(planned: Workbench) -> None:
    before = planned.git("rev-parse", "trunk")
    step = take(planned)
    assert take(planned, "ben", "--peek")["kind"] == "wait"
    head = work(step, planned)
    (planned.root / "docs/draft.md").write_text("unsaved\n")
    take(planned, "amy", "--result", "failed")
    assert planned.git("rev-parse", "trunk") == before
    assert planned.git("status", "--porcelain") == "?? docs/"
    assert sorted(p.name for p in (planned.root / "docs").iterdir()) == ["draft.md"]
    refs = planned.git("for-each-ref", "--format=%(refname)", "refs/kitty/salvage").splitlines()
    assert [r for r in refs if planned.git("show", f"{r}:docs/draft.md", ok=(0, 128)) == "unsaved"]
    assert [r for r in refs if head in planned.git("rev-list", r).splitlines()]
    # What was left over keeps the next attempt out of the checkout.
    again = take(planned)
    assert Path(again["worktree"]).name == "lane-planning"
    assert "uncommitted or untracked" in started(planned)["place_reason"]


def test_commits_that_may_be_somebody_elses_stay_and_are_no_way_around_the_guards(planned: Workbench) -> None:
    step = take(planned)
    work(step, planned)
    users = planned.commit("the user's own", mine__txt="mine\n")
    planned.kitty("wp", "release", "WP01", "--reason", "again")
    assert planned.git("rev-parse", "trunk") == users
    again = take(planned)
    assert Path(again["worktree"]).name == "lane-planning"
    assert "still has commits of an earlier attempt" in started(planned)["place_reason"]


def test_an_attempt_that_leaves_the_target_branch_is_refused_and_nothing_is_switched(planned: Workbench) -> None:
    before = planned.git("rev-parse", "trunk")
    step = take(planned)
    planned.git("switch", "-q", "-c", "elsewhere")
    head = work(step, planned)
    assert planned.refusal("next", "--agent", "amy", "--result", "success", exit=4)["code"] == "CHECKOUT_MOVED"
    take(planned, "amy", "--result", "failed")
    assert planned.git("symbolic-ref", "HEAD") == "refs/heads/elsewhere"
    assert (planned.git("rev-parse", "trunk"), planned.git("rev-parse", "HEAD")) == (before, head)


def test_one_planning_work_package_at_a_time_over_all_missions(planned: Workbench) -> None:
    planned.slug = "other"
    planned.mission(PLAN, id="01JZ5N3C8RWE5P1YF0K6SHTAVE", target_branch="trunk")
    planned.git("add", ".")
    planned.commit("another mission")
    assert take(planned, "amy", "-m", "sample")["worktree"] == str(planned.root)
    other = take(planned, "ben", "-m", "other")
    assert Path(other["worktree"]).name == "lane-planning"
    assert "WP01 of sample works in the main checkout" in started(planned)["place_reason"]


@pytest.mark.slow
def test_a_run_that_was_killed_gives_the_checkout_back(planned: Workbench) -> None:
    before = planned.git("rev-parse", "trunk")
    planned.run("kill-committed=WP01", exit=-9)
    assert planned.git("rev-parse", "trunk") != before
    assert planned.run()["data"]["state"] == "accepted"
    events = [e for e in planned.events() if (e["entity_id"], e["trigger"]) == ("WP01", "start")]
    assert [e["evidence"]["place"] for e in events] == ["checkout", "checkout"]
    assert [e["evidence"]["start_commit"] for e in events] == [before, before]
    assert planned.git("rev-list", "--count", f"{before}..trunk") == "1"
    assert json.dumps(planned.git("status", "--porcelain")) == '""'
