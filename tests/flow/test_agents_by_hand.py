"""Agents and people who use `next` and `wp`: one holder at a time, nothing stranded, nothing taken from another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from workbench import DIAMOND, Workbench

SIX = {f"WP0{n}": {"owned_files": [f"{n}.txt"]} for n in range(1, 7)}


@pytest.fixture
def diamond(bench: Workbench) -> Workbench:
    bench.mission(DIAMOND)
    return bench


def take(bench: Workbench, agent: str, *words: str) -> dict[str, Any]:
    data: dict[str, Any] = bench.kitty("next", "--agent", agent, *words)["data"]
    return data


def work(bench: Workbench, step: dict[str, Any], name: str = "core.txt") -> str:
    worktree = Path(step["worktree"])
    (worktree / name).write_text("done\n", encoding="utf-8")
    bench.git("add", "-A", cwd=worktree)
    bench.git("commit", "-q", "-m", "work", cwd=worktree)
    return bench.git("rev-parse", "HEAD", cwd=worktree)


def verdict(step: dict[str, Any], head: str, word: str = "approved") -> str:
    path = Path(step["result_path"])
    path.write_text(json.dumps({"verdict": word, "reviewed_commit": head, "summary": "seen"}), encoding="utf-8")
    return str(path)


def test_the_loop_from_claim_to_approval(diamond: Workbench) -> None:
    step = take(diamond, "amy")
    assert (step["kind"], step["action"], step["wp_id"], step["epoch"]) == ("step", "implement", "WP01", 1)
    assert take(diamond, "amy")["invocation_id"] == step["invocation_id"]
    assert take(diamond, "ben")["kind"] == "wait"
    head = work(diamond, step)
    assert take(diamond, "amy", "--result", "success")["reported"] == "WP01"
    assert take(diamond, "amy", "--role", "review")["kind"] == "wait"
    review = take(diamond, "ben", "--role", "review")
    assert (review["action"], review["wp_id"]) == ("review", "WP01")
    after = take(diamond, "ben", "--role", "any", "--result", verdict(review, head))
    assert (after["reported"], after["action"], after["wp_id"]) == ("WP01", "implement", "WP02")
    assert diamond.states()["WP01"] == "approved"


def test_a_report_that_is_typed_again_is_no_news(diamond: Workbench) -> None:
    """Whoever was killed before the answer types the command again: it must not be taken for the next step's report."""
    step = take(diamond, "amy")
    head = work(diamond, step)
    result = Path(step["result_path"])
    result.write_text(json.dumps({"outcome": "success", "summary": "made"}))
    for _ in range(2):
        assert take(diamond, "amy", "--result", str(result))["reported"] == "WP01"
        assert diamond.states()["WP01"] == "for_review"
    review = take(diamond, "ben", "--role", "review")
    seen = verdict(review, head)
    first = take(diamond, "ben", "--role", "any", "--result", seen)
    again = take(diamond, "ben", "--role", "any", "--result", seen)
    assert (first["reported"], first["wp_id"], again["invocation_id"]) == ("WP01", "WP02", first["invocation_id"])
    assert diamond.states()["WP02"] == "in_progress"
    assert take(diamond, "cleo", "--role", "implement")["wp_id"] == "WP03"
    assert diamond.refusal("next", "--agent", "dora", "--result", str(result), exit=2)["code"] == "NOTHING_HELD"


def test_a_move_that_is_typed_again_is_made_once(diamond: Workbench) -> None:
    diamond.kitty("plan", "sample")
    words = ("wp", "block", "WP01", "--reason", "waits")
    first, again = (diamond.kitty(*words)["data"] for _ in range(2))
    assert first["event_id"] == again["event_id"]
    assert (again["from_lane"], again["to_lane"], again["path"]) == ("planned", "blocked", first["path"])
    assert diamond.refusal(*words[:-1], "another reason", exit=4)["code"] == "ILLEGAL_TRANSITION"


def test_what_cannot_be_done_is_told_without_words_of_machines(diamond: Workbench) -> None:
    take(diamond, "amy")
    error = diamond.refusal("wp", "unblock", "WP01", "--reason", "why not", exit=4)
    assert error["code"] == "ILLEGAL_TRANSITION"
    told = "WP01 is in progress, so it cannot be unblocked; it can be blocked, released or canceled"
    assert (error["message"], error["hint"]) == (told, "kitty-flow why WP01 -m sample")
    diamond.kitty("mission", "abort", "sample", "--reason", "overtaken")
    error = diamond.refusal("mission", "pause", "sample", "--reason", "late", exit=4)
    told = "sample is aborted, so it cannot be paused; nothing follows on that"
    assert (error["message"], error["hint"]) == (told, "kitty-flow mission show sample")


def test_a_refused_report_leaves_the_step_in_hand(diamond: Workbench) -> None:
    step = take(diamond, "amy")
    error = diamond.refusal("next", "--agent", "amy", "--result", "success", exit=4)
    assert error["code"] == "WORK_NOT_COMMITTED"
    assert error["hint"].endswith("kitty-flow next --agent amy --result success")
    work(diamond, step)
    assert take(diamond, "amy", "--result", "success")["reported"] == "WP01"


def test_what_is_no_result_is_refused_with_where_it_belongs(diamond: Workbench) -> None:
    step = take(diamond, "amy")
    error = diamond.refusal("next", "--agent", "amy", "--result", "done", exit=4)
    assert error["code"] == "RESULT_MISSING"
    assert error["message"] == "'done' is neither success, failed, blocked nor a file that exists"
    command = f"kitty-flow next --agent amy --result {step['result_path']}"
    assert error["hint"] == f"write {step['result_path']}, then: {command}"
    process = diamond.start("next", "--agent", "amy")
    assert f"\nthen: {command}\n" in process.communicate(timeout=120)[0]


@pytest.mark.slow
def test_a_reviewer_that_names_no_role_goes_on_reviewing(bench: Workbench) -> None:
    bench.mission(SIX)
    head = work(bench, take(bench, "amy"), "1.txt")
    take(bench, "amy", "--result", "success")
    review = take(bench, "cleo", "--role", "review")
    error = bench.refusal("next", "--agent", "cleo", "--result", "success", exit=2)
    assert error["code"] == "RESULT_FILE_NEEDED"
    assert error["hint"].endswith(f"kitty-flow next --agent cleo --role review --result {review['result_path']}")
    seen = verdict(review, head)
    for _ in range(2):
        after = take(bench, "cleo", "--result", seen)
        assert (after["reported"], after["kind"]) == ("WP01", "wait")
    assert "cleo" not in {e["actor"] for e in bench.events() if e["trigger"] == "claim"}


def test_nobody_acts_without_a_name(diamond: Workbench) -> None:
    take(diamond, "amy")
    for words in (
        ("next", "--agent", ""),
        ("wp", "heartbeat", "WP01", "--agent", " "),
        ("wp", "block", "WP01", "--reason", "x", "--actor", ""),
        ("mission", "amend", "sample", "--drop-wp", "WP04", "--reason", "x", "--actor", ""),
    ):
        assert diamond.refusal(*words, exit=2)["code"] == "INVALID_ACTOR"
    assert diamond.refusal("run", "--agent", "", exit=2)["code"] == "UNKNOWN_AGENT"


def test_who_may_review_is_said_where_a_review_is_all_there_is(diamond: Workbench) -> None:
    work(diamond, take(diamond, "amy"))
    answer = take(diamond, "amy", "--result", "success")
    waiting = answer["reasons"][0]
    assert waiting["message"] == "WP01 waits for a reviewer; amy implemented it, so somebody else"
    assert waiting["hint"] == "kitty-flow next --agent NAME --role review, or kitty-flow wp review WP01"
    assert {r["wp_id"] for r in answer["reasons"]} == set(DIAMOND), "JSON has everything"
    told = diamond.start("next", "--agent", "amy").communicate(timeout=120)[0].splitlines()
    assert told[-1] == "- and 3 that wait for other work: WP02, WP03, WP04"
    assert len(told) == 3


def test_agents_that_ask_at_the_same_time_all_get_a_step(bench: Workbench) -> None:
    bench.mission(SIX)
    asking = [bench.start("next", "--agent", f"agent-{n}", "--json") for n in range(6)]
    answers = [json.loads(process.communicate(timeout=120)[0]) for process in asking]
    assert [a["error"] for a in answers] == [None] * 6
    assert sorted(a["data"]["wp_id"] for a in answers) == sorted(SIX)


def test_only_one_reviewer_at_a_time(diamond: Workbench) -> None:
    work(diamond, take(diamond, "amy"))
    take(diamond, "amy", "--result", "success")
    assert take(diamond, "ben", "--role", "review")["kind"] == "step"
    assert take(diamond, "cleo", "--role", "review")["kind"] == "wait"


def test_a_review_that_was_blocked_can_be_taken_by_another(diamond: Workbench) -> None:
    head = work(diamond, take(diamond, "amy"))
    take(diamond, "amy", "--result", "success")
    take(diamond, "ben", "--role", "review")
    diamond.kitty("wp", "block", "WP01", "--reason", "ben is gone")
    diamond.kitty("wp", "unblock", "WP01", "--reason", "cleo takes it")
    review = take(diamond, "cleo", "--role", "review")
    take(diamond, "cleo", "--role", "review", "--result", verdict(review, head))
    assert diamond.states()["WP01"] == "approved"


def test_a_released_step_belongs_to_the_next_holder_alone(diamond: Workbench) -> None:
    first = take(diamond, "amy")
    diamond.kitty("wp", "release", "WP01", "--reason", "amy is gone")
    second = take(diamond, "ben")
    assert (second["wp_id"], second["epoch"]) == ("WP01", first["epoch"] + 1)
    assert diamond.refusal("next", "--agent", "amy", "--result", "failed", exit=2)["code"] == "NOTHING_HELD"
    assert diamond.states()["WP01"] == "in_progress"


def test_a_blocked_holder_gives_its_claim_back_with_its_work_kept(diamond: Workbench) -> None:
    step = take(diamond, "amy")
    (Path(step["worktree"]) / "core.txt").write_text("half\n", encoding="utf-8")
    diamond.kitty("wp", "block", "WP01", "--reason", "wait")
    salvage = diamond.git("for-each-ref", "--format=%(refname)", "refs/kitty/salvage")
    assert diamond.git("show", f"{salvage}:core.txt") == "half"
    diamond.kitty("wp", "unblock", "WP01", "--reason", "go on")
    assert diamond.states()["WP01"] == "planned"


def test_a_held_step_whose_worktree_is_gone_is_said_to_be(diamond: Workbench) -> None:
    step = take(diamond, "amy")
    diamond.git("worktree", "remove", "--force", step["worktree"])
    error = diamond.refusal("next", "--agent", "amy", exit=4)
    assert error["code"] == "WORKTREE_MISSING"
    diamond.kitty("wp", "release", "WP01", "--reason", "worktree gone")
    assert take(diamond, "amy")["wp_id"] == "WP01"


def test_a_paused_mission_hands_out_nothing(diamond: Workbench) -> None:
    work(diamond, take(diamond, "amy"))
    take(diamond, "amy", "--result", "success")
    diamond.kitty("mission", "pause", "sample", "--reason", "wait")
    assert take(diamond, "ben", "--role", "any")["kind"] == "blocked"
    diamond.kitty("mission", "resume", "sample")
    assert take(diamond, "ben", "--role", "any")["action"] == "review"


def test_peeking_changes_nothing(diamond: Workbench) -> None:
    diamond.kitty("plan", "sample")
    before = diamond.git("for-each-ref"), diamond.events()
    assert take(diamond, "amy", "--peek")["wp_id"] == "WP01"
    assert (diamond.git("for-each-ref"), diamond.events()) == before


def test_integrated_work_is_not_canceled_away(diamond: Workbench) -> None:
    diamond.run()
    error = diamond.refusal("wp", "cancel", "WP02", "--reason", "no", exit=4)
    assert error["code"] == "WORK_INTEGRATED"


def test_a_mission_branch_that_is_checked_out_does_not_move(diamond: Workbench) -> None:
    diamond.kitty(*diamond.run_words(), "--until", "1")
    branch = diamond.kitty("mission", "show", "sample")["data"]["mission_branch"]
    diamond.git("switch", "-q", branch)
    assert diamond.refusal(*diamond.run_words(), exit=4)["code"] == "MISSION_BRANCH_CHECKED_OUT"
    assert diamond.git("status", "--porcelain", "--untracked-files=no") == ""


def test_an_aborted_mission_frees_its_name(bench: Workbench) -> None:
    bench.mission(SIX)
    path = bench.root / ".kitty-flow" / "missions" / "sample.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('id = "01JZ5N3C8RWE5P1YF0K6SHTAVD"\n', "", 1), "utf-8")
    bench.kitty("plan", "sample")
    assert bench.refusal("mission", "import", path, exit=4)["code"] == "MISSION_EXISTS"
    bench.kitty("mission", "abort", "sample", "--reason", "wrong files")
    assert bench.kitty("mission", "import", path)["data"]["imported"] is True
    assert bench.kitty("mission", "show", "sample")["data"]["state"] == "planned"


def test_another_spelling_of_a_name_is_not_another_reviewer(bench: Workbench) -> None:
    bench.mission(
        {"WP01": {"owned_files": ["core.txt"]}, "WP02": {"owned_files": ["b"]}, "WP03": {"owned_files": ["c"]}}
    )
    work(bench, take(bench, "claude"))
    take(bench, "claude", "--result", "success")
    assert take(bench, "CLAUDE", "--role", "any", "--peek")["wp_id"] == "WP03"
