"""`wp start`, `submit`, `heartbeat` and `force`: one transition each, refused for exact reasons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench

from kitty_flow.errors import ConflictError, KittyFlowError, RefusedError, UsageError
from kitty_flow.flow.board import make_board
from kitty_flow.flow.hand_in import hand_in
from kitty_flow.flow.mission import OpenMission, open_mission
from kitty_flow.flow.next_step import next_step, report, take
from kitty_flow.flow.person import force
from kitty_flow.flow.project import Project

WORK_PACKAGES: dict[str, dict[str, Any]] = {
    "WP01": {"owned_files": ["one.txt"]},
    "WP02": {"owned_files": ["two.txt"], "dependencies": ["WP01"]},
    "WP03": {"owned_files": ["three.txt"]},
}


@pytest.fixture
def mission(bench: Workbench) -> Iterator[OpenMission]:
    """WP02 depends on WP01, WP03 on nothing."""
    bench.mission(WORK_PACKAGES, target_branch="trunk")
    with open_mission(Project.discover(bench.root), bench.slug) as opened:
        yield opened


def commit(bench: Workbench, step: dict[str, Any], name: str = "one.txt") -> None:
    worktree = Path(step["worktree"])
    (worktree / name).write_text("done\n", encoding="utf-8")
    bench.git("add", "-A", cwd=worktree)
    bench.git("commit", "-q", "-m", "work", cwd=worktree)


def refused(use: Any) -> KittyFlowError:
    with pytest.raises(KittyFlowError) as caught:
        use()
    assert caught.value.hint
    return caught.value


def test_exactly_the_asked_for_work_package_is_begun(bench: Workbench, mission: OpenMission) -> None:
    error = refused(lambda: take(mission, "ann", "WP02"))
    assert (error.code, error.exit_status) == ("DEPENDENCIES_NOT_SATISFIED", 4)
    assert "WP02 depends on WP01, which is planned" in error.message
    assert [r["code"] for r in error.details["reasons"]] == ["DEPENDENCIES_NOT_SATISFIED"]
    step = take(mission, "ann", "WP03").fields
    assert (step["wp_id"], step["epoch"]) == ("WP03", 1)
    assert take(mission, "ann", "WP03").fields == step, "typed again, it is the same step"
    assert "WP03 is in_progress by ann" in refused(lambda: take(mission, "ben", "WP03")).message
    assert refused(lambda: take(mission, "ann", "WP01")).code == "STEP_HELD"
    assert isinstance(refused(lambda: take(mission, "ben", "WP09")), UsageError)


def test_the_commands_do_one_step_each(bench: Workbench) -> None:
    bench.mission(WORK_PACKAGES, target_branch="trunk")
    step = bench.kitty("wp", "start", "WP03", "--agent", "ann")["data"]
    assert [move["to_lane"] for move in step["recorded"]] == ["claimed", "in_progress"]
    told = bench.kitty("wp", "heartbeat", "WP03", "--agent", "ann", "--epoch", "1")["data"]
    assert (told["wp_id"], told["lease_s"], told["lease_expires_at"] > step["lease_expires_at"]) == (
        "WP03",
        14400,
        True,
    )
    assert bench.refusal("wp", "submit", "WP03", "--agent", "ann", exit=4)["code"] == "WORK_NOT_COMMITTED"
    commit(bench, step, "three.txt")
    done = bench.kitty("wp", "submit", "WP03", "--agent", "ann")["data"]
    assert (done["state"], [move["to_lane"] for move in done["recorded"]]) == ("for_review", ["for_review"])
    words = ("wp", "force", "WP03", "--to", "planned", "--reason", "again", "--actor", "ada")
    forced = bench.kitty(*words)["data"]
    assert (forced["from_lane"], forced["to_lane"], forced["force_count"]) == ("for_review", "planned", 1)
    assert bench.kitty(*words)["data"]["event_id"] == forced["event_id"]
    assert bench.refusal("wp", "force", "WP03", "--to", "planned", "--reason", "x", exit=2)["code"] == "INVALID_USAGE"


def test_a_result_that_the_prompt_named_is_found(bench: Workbench, mission: OpenMission) -> None:
    step = take(mission, "ann", "WP01").fields
    commit(bench, step)
    Path(step["result_path"]).write_text('{"outcome": "failed", "reason": "no key"}', encoding="utf-8")
    assert hand_in(mission, "WP01", "ann") == "planned"
    assert mission.work_package("WP01").last_event.reason == "no key"


def test_only_the_holder_hands_in(bench: Workbench, mission: OpenMission) -> None:
    step = take(mission, "ann", "WP01").fields
    commit(bench, step)
    assert refused(lambda: hand_in(mission, "WP01", "ben")).code == "NOTHING_HELD"
    assert refused(lambda: hand_in(mission, "WP03", "ann")).code == "STALE_EPOCH"
    assert refused(lambda: hand_in(mission, "WP01", "ann", epoch=2)).code == "STALE_EPOCH"
    assert hand_in(mission, "WP01", "ann", epoch=1) == "for_review"
    next_step(mission, "ben", role="review")
    assert refused(lambda: hand_in(mission, "WP01", "ben")).code == "REVIEW_HELD"


def test_a_force_is_seen_and_fences_the_holder(bench: Workbench, mission: OpenMission) -> None:
    step = take(mission, "ann", "WP01").fields
    (Path(step["worktree"]) / "one.txt").write_text("half\n", encoding="utf-8")
    for reason, actor, code in (("", "ada", "REASON_MISSING"), ("because", "", "ACTOR_MISSING")):
        with pytest.raises(RefusedError) as caught:
            force(mission, "WP01", "approved", reason=reason, actor=actor)
        assert caught.value.code == code
    assert refused(lambda: force(mission, "WP01", "nowhere", reason="r", actor="ada")).code == "UNKNOWN_STATE"
    assert refused(lambda: force(mission, "WP01", "in_progress", reason="r", actor="ada")).code == "ALREADY_THERE"
    assert mission.work_package("WP01").forced == 0
    receipt = force(mission, "WP01", "blocked", reason="stop", actor="ada")
    assert [(e.trigger, e.force, e.actor, e.reason) for e in receipt.events] == [
        ("force", True, "ada", "stop"),
        ("abandon", False, "ada", "stop"),
    ]
    entity = mission.work_package("WP01")
    assert (entity.state, entity.forced, entity.epoch) == ("blocked", 1, 2)
    assert bench.git("show", f"{entity.facts['salvage_ref']}:one.txt") == "half"
    assert "WP01 was forced 1 time(s)" in make_board(mission).warnings
    with pytest.raises((UsageError, ConflictError)) as late:
        report(mission, "ann", "success")
    assert late.value.code == "NOTHING_HELD"


def test_what_was_forced_into_a_hand_can_be_given_back(bench: Workbench, mission: OpenMission) -> None:
    force(mission, "WP01", "claimed", reason="mine", actor="ada")
    step = next_step(mission, "ada").fields
    assert (step["wp_id"], step["epoch"]) == ("WP01", 1)
    commit(bench, step)
    assert report(mission, "ada", "success") == "WP01"
