"""`merge --plan` is the merge up to its commit point; `--abort` and `--resume` are about one that was interrupted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from workbench import Workbench, files_of

KilledMerge = Callable[[str], None]


def _is_ours(name: str) -> bool:
    """Objects that nothing refers to yet, and what kitty-flow derives from its ledger."""
    return name.startswith((".git/objects/", ".git/kitty-flow/"))


def test_what_is_planned_is_what_lands_and_planning_changes_nothing(bench: Workbench) -> None:
    moved = bench.commit("Meanwhile", three__txt="three\n")
    before = bench.tips, files_of(bench.root, without=_is_ours)
    plan = bench.kitty("merge", "--plan", "--test-command", "true")["data"]
    after = bench.tips, files_of(bench.root, without=_is_ours)
    assert after == before
    assert (plan["would_land"], plan["before"], list(plan["heads"])) == (True, moved, ["WP01", "WP02"])
    assert plan["changed_paths"] == ["one.txt", "two.txt"]
    assert plan["collisions"] == []
    later = [item["gate"] for item in plan["later"]]
    assert later == ["tests_pass", "mission_unmoved", "target_unmoved", "landing_recomputed", "landing_proved"]
    assert {item["step"] for item in plan["later"]} == {"land", "prove"}
    assert all(item["description"] for item in plan["later"])
    assert [layer["work_package_id"] for layer in plan["layers"]] == ["WP01", "WP02"]
    assert plan["layers"][-1]["tree"] == plan["candidate_tree"]
    report = bench.kitty("merge", "--test-command", "true")["data"]
    assert (report["landed_commit"], report["tested_tree"]) == (plan["candidate_commit"], plan["candidate_tree"])
    assert {gate["gate"] for gate in report["gates"]} == {gate["gate"] for gate in plan["gates"]} | set(later)


def test_the_hotfix_that_others_overwrite(bench: Workbench) -> None:
    """The target changed the same lines: both sides are named, and nothing is overwritten."""
    bench.commit("Hotfix", one__txt="the fix\n")
    envelope = bench.kitty("merge", "--plan", "--test-command", "true", exit=4)
    assert envelope["error"]["code"] == "MERGE_CONFLICT"
    assert envelope["data"]["would_land"] is False
    collisions = {(c["work_package"], c["other"], tuple(c["paths"])) for c in envelope["data"]["collisions"]}
    assert ("WP01", "trunk", ("one.txt",)) in collisions
    error = bench.refusal("merge", "--test-command", "true", exit=4)
    assert error["code"] == "MERGE_CONFLICT"
    assert "one.txt was changed by WP01, and on trunk by" in error["message"]
    assert "Hotfix" in error["message"]
    assert "git merge trunk" in error["hint"]
    assert (bench.root / "one.txt").read_text() == "the fix\n"


def test_a_plan_of_an_unfinished_mission_names_every_closed_gate(bench: Workbench) -> None:
    bench.kitty("wp", "reopen", "WP02", "--reason", "one more look")
    (bench.root / "README.md").write_text("mine\n")
    envelope = bench.kitty("merge", "--plan", exit=4)
    closed = {gate["diagnostic_code"] for gate in envelope["data"]["gates"] if gate["outcome"] != "pass"}
    assert closed == {"MISSION_NOT_ACCEPTED", "CHECKOUT_DIRTY"}


@pytest.mark.parametrize("after", ["prepared", "tested"])
def test_giving_up_before_the_target_has_moved(bench: Workbench, killed_merge: KilledMerge, after: str) -> None:
    trunk = bench.git("rev-parse", "trunk")
    killed_merge(after)
    data = bench.kitty("merge", "--abort", "--reason", "not today")["data"]
    assert data["state"] == "aborted"
    assert bench.git("rev-parse", "trunk") == trunk
    assert "gate" not in bench.git("worktree", "list", "--porcelain")
    assert bench.refusal("merge", "--abort", exit=2)["code"] == "NO_MERGE_IN_PROGRESS"
    assert bench.refusal("merge", "--resume", exit=2)["code"] == "NO_MERGE_IN_PROGRESS"
    assert bench.kitty("merge", "--test-command", "true")["data"]["resumed"] is False


@pytest.mark.parametrize("after", ["moved", "landed"])
def test_what_has_landed_is_not_given_up(bench: Workbench, killed_merge: KilledMerge, after: str) -> None:
    killed_merge(after)
    assert bench.refusal("merge", "--abort", exit=4)["code"] == "ALREADY_LANDED"
    assert bench.kitty("merge", "--resume", "--test-command", "true")["data"]["resumed"] is True


def test_giving_up_leaves_a_merge_of_the_user_alone(bench: Workbench, killed_merge: KilledMerge) -> None:
    killed_merge("prepared")
    bench.git("switch", "-q", "-c", "mine", "trunk~")
    bench.commit("Mine", README__md="mine\n")
    bench.git("merge", "-q", "trunk", ok=(0, 1))
    before = bench.git("status", "--porcelain=v2", "--branch")
    bench.kitty("merge", "--abort")
    assert bench.git("status", "--porcelain=v2", "--branch") == before


def test_options_that_exclude_each_other(bench: Workbench) -> None:
    for pair in (("--plan", "--abort"), ("--abort", "--pull-request"), ("--push", "--pr-branch")):
        assert bench.refusal("merge", *pair, exit=2)["code"] == "OPTIONS_EXCLUDE"
