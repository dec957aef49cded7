"""Work packages that change no files: no worktree, no commit, and all the same a claim, a review and a landing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench

MISSION: dict[str, dict[str, Any]] = {
    "WP01": {"owned_files": ["core.txt"]},
    "WP02": {"changes": False, "dependencies": ["WP01"], "subtasks": ["T001 Look"]},
    "WP03": {"owned_files": ["more.txt"], "dependencies": ["WP02"]},
}


@pytest.mark.slow
def test_it_is_run_reviewed_and_landed_without_a_worktree(bench: Workbench) -> None:
    bench.mission(MISSION)
    run = bench.run("look=WP02", "look=WP02")["data"]
    assert run["state"] == "accepted"
    events = [e for e in bench.events() if e["entity_id"] == "WP02"]
    start = next(e["evidence"] for e in events if e["trigger"] == "start")
    submit = next(e["evidence"] for e in events if e["trigger"] == "submit")
    assert start["place"] == "scratch"
    assert (Path(start["worktree"]) / "notes.txt").read_text() == "seen\n"
    assert not (Path(start["worktree"]) / ".git").exists()
    assert submit["head_commit"] == submit["base_commit"] == start["base_commit"]
    assert submit["changed_files"] == []
    assert start["base_commit"] in submit["summary"]
    one = next(e["evidence"] for e in bench.events() if (e["entity_id"], e["trigger"]) == ("WP01", "submit"))
    bench.git("merge-base", "--is-ancestor", one["head_commit"], start["base_commit"])
    bench.kitty("merge", "sample", "--test-command", "test -f more.txt")
    assert set(bench.states().values()) == {"done"}
    doctor = bench.kitty("doctor", "worktrees")["data"]
    assert not [f for f in doctor["findings"] if "scratch" in json.dumps(f)], doctor
    bench.expect_sound_ledger()


def test_the_plan_knows_it_and_peek_says_where_it_will_be(bench: Workbench) -> None:
    bench.mission({"WP01": {"changes": False}})
    (shown,) = bench.kitty("plan", "sample")["data"]["work_packages"]
    assert shown["changes"] is False
    assert not bench.kitty("plan", "sample")["diagnostics"]
    peeked = bench.kitty("next", "--agent", "amy", "--peek")["data"]
    step = bench.kitty("next", "--agent", "amy")["data"]
    assert (peeked["worktree"], peeked["epoch"], peeked["branch"]) == (step["worktree"], step["epoch"], step["branch"])
    assert list(Path(step["worktree"]).iterdir()) == []
    assert bench.kitty("next", "--agent", "amy", "--result", "failed")["data"]["reported"] == "WP01"
    again = bench.kitty("next", "--agent", "amy")["data"]
    assert again["worktree"] != step["worktree"]
    assert not list(bench.root.parent.glob("*.kitty/worktrees/*/*"))


def test_files_of_its_own_are_refused_with_their_line(bench: Workbench) -> None:
    path = bench.mission({"WP01": {"owned_files": ["a.txt"], "changes": False}})
    (problem,) = bench.refusal("plan", "sample", exit=3)["details"]["problems"]
    assert problem["code"] == "INVALID_CHANGES"
    assert problem["where"].endswith(f"{path.name}:8")


def test_its_agent_finds_the_project_from_its_folder_and_everything_to_read(bench: Workbench) -> None:
    bench.mission({"WP01": {"changes": False}})
    step = bench.kitty("next", "--agent", "amy")["data"]
    inside = Path(step["worktree"])
    assert bench.kitty("next", "--agent", "amy", "--peek", cwd=inside)["data"]["wp_id"] == "WP01"
    assert bench.kitty("status", cwd=inside)["data"] == bench.kitty("status")["data"]
    checked = bench.kitty("guard", "check", "--head", cwd=inside)["data"]
    assert (checked["result"], checked["reason"]) == ("nothing_to_check", "work in this folder changes no files")
    assert f"- Repository, to read: `{bench.root}`\n" in Path(step["prompt_path"]).read_text()


def test_a_folder_that_another_repository_did_not_make_is_no_way_into_it(bench: Workbench, tmp_path: Path) -> None:
    bench.mission({"WP01": {"changes": False}})
    bench.kitty("next", "--agent", "amy")
    forged = tmp_path / "elsewhere" / "scratch" / "x"
    forged.mkdir(parents=True)
    (forged.parent / "repository").write_text(str(bench.root))
    assert bench.refusal("status", exit=2, cwd=forged)["code"] == "NO_REPOSITORY"
    (forged.parent / "repository").write_bytes(b"\0no path\n")
    assert bench.refusal("status", exit=2, cwd=forged)["code"] == "NO_REPOSITORY"


@pytest.mark.slow
def test_what_has_no_files_is_not_handed_in_without_a_summary(bench: Workbench) -> None:
    bench.mission({"WP01": {"changes": False}})
    step = bench.kitty("next", "--agent", "amy")["data"]
    result = Path(step["result_path"])
    for told in ("success", str(result)):
        result.write_text('{"outcome": "success", "summary": " "}')
        error = bench.refusal("next", "--agent", "amy", "--result", told, exit=4)
        assert error["code"] == "SUMMARY_MISSING"
        assert f"--result {result}" in error["hint"]
    assert bench.states() == {"WP01": "in_progress"}
    result.write_text('{"outcome": "success", "summary": "all is well"}')
    bench.kitty("next", "--agent", "amy", "--result", result)
    review = bench.kitty("next", "--agent", "bob", "--role", "review")["data"]
    prompt = Path(review["prompt_path"]).read_text()
    assert "all is well" in prompt and "Judge whether the summary" in prompt
    assert "owned files" not in prompt and "what you find out" not in prompt
