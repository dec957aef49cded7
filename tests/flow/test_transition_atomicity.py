"""Seed 004, status-transition-atomicity: its fixtures, and STA-001 to STA-004 as a user sees them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench

from kitty_flow.effects import EXIT_STATUS

pytestmark = pytest.mark.slow

ONE = {"WP01": {"owned_files": ["one.txt"]}}


def worked(bench: Workbench, step: dict[str, Any]) -> Path:
    """Commit the work of a step from inside its worktree, and write the result; returns the result file."""
    place = Path(step["worktree"])
    (place / "one.txt").write_text("made\n", encoding="utf-8")
    bench.git("add", "one.txt", cwd=place)
    bench.git("commit", "-q", "-m", "Work", cwd=place)
    result = Path(step["result_path"])
    result.write_text(json.dumps({"outcome": "success", "summary": "made"}), encoding="utf-8")
    return result


def judged(bench: Workbench, step: dict[str, Any]) -> Path:
    head = bench.git("rev-parse", "HEAD", cwd=Path(step["worktree"]))
    verdict = {"verdict": "approved", "reviewed_commit": head, "summary": "good", "findings": []}
    result = Path(step["result_path"])
    result.write_text(json.dumps(verdict), encoding="utf-8")
    return result


def test_subagent_worktree_move_task_approval_event(bench: Workbench) -> None:
    """An approval that is typed inside an agent's worktree is in the one ledger, where the answer says it is."""
    bench.mission(ONE)
    step = bench.kitty("next", "--agent", "ann")["data"]
    place = Path(step["worktree"])
    bench.kitty("next", "--agent", "ann", "--result", worked(bench, step), cwd=place)
    review = bench.kitty("next", "--agent", "bob", "--role", "review", cwd=place)["data"]
    told = bench.kitty("next", "--agent", "bob", "--role", "review", "--result", judged(bench, review), cwd=place)
    (approval,) = told["data"]["recorded"]
    assert (approval["work_package_id"], approval["to_lane"]) == ("WP01", "approved")
    (segment,) = approval["path"]
    lines = bench.git("show", f"{approval['ledger']}:{segment}").splitlines()
    (event,) = [row for row in map(json.loads, lines) if row["event_id"] == approval["event_id"]]
    assert (event["to_state"], event["actor"]) == ("approved", "bob")
    assert bench.states() == {"WP01": "approved"}


@pytest.mark.parametrize(("acknowledged", "state"), [(1, "planned"), (2, "claimed"), (3, "in_progress")])
def test_interrupted_action_claimed_recovery(bench: Workbench, acknowledged: int, state: str) -> None:
    """Killed right after each thing that `next` records: the same command goes on, and a person can give it back."""
    bench.mission(ONE)
    bench.kitty("status", "sample")
    bench.env["KITTY_FLOW_FAILPOINT"] = f"ledger.acknowledge#{acknowledged}:exit"
    assert bench.start("next", "--agent", "ann", "-m", "sample").wait(timeout=120) == EXIT_STATUS
    bench.env.clear()
    assert bench.states() == {"WP01": state}
    if state != "planned":
        waits = bench.kitty("next", "--agent", "eve", "-m", "sample")["data"]
        assert waits["kind"] == "wait"
        bench.kitty("wp", "release", "WP01", "--reason", "nobody works on it", "-m", "sample")
        assert bench.states() == {"WP01": "planned"}
    step = bench.kitty("next", "--agent", "ann", "-m", "sample")["data"]
    assert (step["wp_id"], bench.states()) == ("WP01", {"WP01": "in_progress"})
    bench.kitty("next", "--agent", "ann", "-m", "sample", "--result", worked(bench, step))
    assert bench.states() == {"WP01": "for_review"}


def test_interrupted_review_is_taken_up_again(bench: Workbench) -> None:
    bench.mission(ONE)
    step = bench.kitty("next", "--agent", "ann")["data"]
    bench.kitty("next", "--agent", "ann", "--result", worked(bench, step))
    bench.env["KITTY_FLOW_FAILPOINT"] = "ledger.acknowledge#1:exit"
    assert bench.start("next", "--agent", "bob", "--role", "review").wait(timeout=120) == EXIT_STATUS
    bench.env.clear()
    assert bench.states() == {"WP01": "in_review"}
    review = bench.kitty("next", "--agent", "bob", "--role", "review")["data"]
    bench.kitty("next", "--agent", "bob", "--role", "review", "--result", judged(bench, review))
    assert bench.states() == {"WP01": "approved"}


@pytest.mark.parametrize(
    "failpoint", ["object.write:ENOSPC", "object.sync:EIO", "ref.commit:kill", "ref.prepare:EROFS"]
)
def test_missing_event_readback_failure(bench: Workbench, failpoint: str) -> None:
    """No event, no success: the failure names everything that the contract wants, and the former state stands."""
    bench.mission(ONE)
    bench.kitty("status", "sample")
    before = bench.events()
    bench.env["KITTY_FLOW_FAILPOINT"] = failpoint
    error = bench.refusal("wp", "block", "WP01", "--reason", "wait", "-m", "sample", exit=6)
    bench.env.clear()
    assert error["code"] == "STATUS_EVENT_PERSISTENCE_FAILED"
    details = error["details"]
    assert (details["mission_slug"], details["work_package_id"]) == ("sample", "WP01")
    assert (details["requested_lane"], details["violated_invariant"]) == ("blocked", "STA-001")
    assert details["path"].startswith("refs/kitty/m/") and details["diagnostic_code"] and details["remediation"]
    assert bench.events() == before
    assert bench.states() == {"WP01": "planned"}
    bench.kitty("wp", "block", "WP01", "--reason", "wait", "-m", "sample")
    assert bench.states() == {"WP01": "blocked"}
