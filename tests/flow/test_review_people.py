"""People review: they see the changes, take no worktree, and their verdict is on what they have seen."""

from __future__ import annotations

import os
import pty
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench, files_of

TWO = {"WP01": {"owned_files": ["one.txt"]}, "WP02": {"owned_files": ["two.txt"], "dependencies": ["WP01"]}}


def take(bench: Workbench, name: str, *words: str) -> dict[str, Any]:
    data: dict[str, Any] = bench.kitty("next", "--agent", name, *words)["data"]
    return data


def submit(bench: Workbench, text: str, file: str = "one.txt") -> str:
    """Amy works on what is next and hands it in; returns the head."""
    step = take(bench, "amy")
    worktree = Path(step["worktree"])
    (worktree / file).write_text(text, encoding="utf-8")
    bench.git("add", "-A", cwd=worktree)
    bench.git("commit", "-q", "-m", "work", cwd=worktree)
    head = bench.git("rev-parse", "HEAD", cwd=worktree)
    take(bench, "amy", "--result", "success")
    return head


@pytest.fixture
def submitted(bench: Workbench) -> Workbench:
    bench.mission(TWO)
    submit(bench, "first\n")
    bench.env["KITTY_FLOW_ACTOR"] = "ann"
    return bench


@pytest.mark.slow
def test_a_person_looks_rejects_looks_again_and_approves(submitted: Workbench) -> None:
    bench = submitted
    before = bench.git("worktree", "list", "--porcelain")
    shown = bench.kitty("wp", "review", "WP01")["data"]
    assert bench.git("worktree", "list", "--porcelain") == before
    assert [(f["path"], f["added"], f["deleted"]) for f in shown["files"]] == [("one.txt", 1, 0)]
    for words in shown["commands"]:
        assert bench.git(*words.split()[1:])
    tip = bench.ledger_tip
    assert bench.kitty("wp", "review", "WP01")["data"]["invocation_id"] == shown["invocation_id"]
    assert bench.ledger_tip == tip
    # Nobody else judges meanwhile, and the person's own name gets no agent's step out of it.
    assert bench.refusal("wp", "approve", "WP01", "--actor", "eve", exit=5)["code"] == "ALREADY_UNDER_REVIEW"
    assert take(bench, "ann", "--role", "review")["kind"] == "wait"
    data = bench.kitty("wp", "reject", "WP01", "-m", "too quiet", "--finding", "one.txt:1:say: it louder")["data"]
    finding = {"path": "one.txt", "line": 1, "severity": "error", "message": "say: it louder"}
    assert data["feedback"] == {"summary": "too quiet", "findings": [finding]}
    tip = bench.ledger_tip
    again = bench.kitty("wp", "reject", "WP01", "-m", "too quiet", "--finding", "one.txt:1:say: it louder")["data"]
    assert (again["state"], again["recorded"], bench.ledger_tip) == ("planned", [], tip)
    head = submit(bench, "LOUD\n")
    # What came after the review was not looked at: not even the same person approves it by accident.
    error = bench.refusal("wp", "approve", "WP01", exit=5)
    assert (error["code"], error["details"]) == (
        "HEAD_MOVED",
        {"expected": shown["head_commit"], "head_commit": head, "mission": "sample"},
    )
    later = bench.kitty("wp", "review", "WP01")["data"]
    assert later["reviewed_before"] == shown["head_commit"]
    data = bench.kitty("wp", "approve", "WP01", "-m", "loud enough")["data"]
    assert (data["state"], data["reviewed_commit"]) == ("approved", head)
    tip = bench.ledger_tip
    assert bench.kitty("wp", "approve", "WP01", "-m", "loud enough")["data"]["state"] == "approved"
    assert bench.ledger_tip == tip
    assert bench.git("merge-base", "--is-ancestor", head, bench.mission_branch) == ""
    assert bench.kitty("status")["data"]["warnings"] == []
    bench.expect_sound_ledger()


def test_an_approval_without_a_begun_review_begins_and_approves_in_one_step(submitted: Workbench) -> None:
    bench = submitted
    head = bench.kitty("wp", "show", "WP01")["data"]["head_commit"]
    assert bench.refusal("wp", "approve", "WP01", "--commit", "0" * 40, exit=5)["code"] == "HEAD_MOVED"
    assert bench.refusal("wp", "approve", "WP01", "--commit", "HEAD", exit=2)["code"] == "INVALID_COMMIT"
    assert bench.states()["WP01"] == "for_review"
    data = bench.kitty("wp", "approve", "WP01", "--commit", head[:12])["data"]
    assert [(m["from_lane"], m["to_lane"]) for m in data["recorded"]] == [
        ("for_review", "in_review"),
        ("in_review", "approved"),
    ]
    assert len({m["ledger_commit"] for m in data["recorded"]}) == 1
    assert "hollow approval: WP01 was approved by ann without a word" in bench.kitty("status")["data"]["warnings"]
    for words in (("review",), ("reject", "-m", "after all")):
        error = bench.refusal("wp", words[0], "WP01", *words[1:], exit=4)
        assert (error["code"], error["hint"]) == ("NOTHING_TO_REVIEW", "kitty-flow wp reopen WP01 --reason TEXT")
    assert said(bench, "verify").endswith("\n0 of 2 are on trunk\n")
    assert "gate" not in said(bench, "why", "WP01"), "gates that are open explain nothing"
    assert take(bench, "amy")["wp_id"] == "WP02"


def test_a_rejection_says_what_has_to_change(submitted: Workbench) -> None:
    bench = submitted
    assert bench.refusal("wp", "reject", "WP01", "-m", " ", exit=4)["code"] == "FEEDBACK_MISSING"
    error = bench.refusal("wp", "reject", "WP01", "-m", "no", "--finding", "one.txt: louder", exit=2)
    assert error["code"] == "INVALID_FINDING"
    assert bench.states()["WP01"] == "for_review"
    bench.kitty("mission", "pause", "sample", "--reason", "lunch")
    assert bench.refusal("wp", "approve", "WP01", exit=4)["code"] == "MISSION_NOT_RUNNING"


def test_a_review_that_is_refused_leaves_no_prompt_behind(submitted: Workbench) -> None:
    bench = submitted
    invocations = bench.root.parent / "repo.kitty" / "invocations"
    before = files_of(invocations)
    assert before
    for words in (("review",), ("approve",), ("reject", "-m", "no")):
        assert bench.refusal("wp", words[0], "WP01", *words[1:], "--actor", "amy", exit=4)["code"] == "SELF_REVIEW"
    assert files_of(invocations) == before
    assert len(list(invocations.rglob("*"))) == len(before) + 3  # mission, work package, and what amy did


def test_what_a_review_says_to_type_names_who_has_begun_it(submitted: Workbench) -> None:
    bench = submitted
    words = (*bench.command, "wp", "review", "WP01", "--actor", "eve of ops")
    done = subprocess.run(words, cwd=bench.root, env=os.environ | bench.env, capture_output=True, text=True, timeout=60)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("approve")]
    assert line == "approve  kitty-flow wp approve WP01 -m TEXT --actor 'eve of ops'"
    bench.kitty(*shlex.split(line)[2:])
    assert bench.states()["WP01"] == "approved"


def test_the_diff_is_shown_in_the_users_pager(submitted: Workbench, tmp_path: Path) -> None:
    """On a terminal as git shows it, in the pager that git is told; into a file as plain text."""
    bench = submitted
    seen = tmp_path / "seen"
    bench.git("config", "core.pager", f"cat > {seen}")
    words = [*bench.command, "wp", "review", "WP01"]
    environment = {k: v for k, v in os.environ.items() if k not in ("GIT_PAGER", "PAGER")} | bench.env
    leader, follower = pty.openpty()
    try:
        done = subprocess.run(
            words, cwd=bench.root, env=environment | {"TERM": "dumb"}, stdout=follower, stderr=follower, timeout=60
        )
    finally:
        os.close(follower)
    told = os.read(leader, 65536).decode()
    os.close(leader)
    assert done.returncode == 0, told
    assert "+first" in seen.read_text(encoding="utf-8")
    assert "+first" not in told
    assert "kitty-flow wp approve WP01 -m TEXT" in told
    plain = subprocess.run(words, cwd=bench.root, env=environment, capture_output=True, text=True, timeout=60)
    assert "+first" in plain.stdout
    assert "\x1b" not in plain.stdout


def test_what_a_review_found_is_told_wherever_one_looks(submitted: Workbench) -> None:
    bench = submitted
    words = ("-m", "too \x1b[31mquiet", "--finding", "one.txt:1:say it louder")
    bench.kitty("wp", "reject", "WP01", *words)
    shown = said(bench, "wp", "show", "WP01")
    assert "\nfeedback: too \\x1b[31mquiet\n  one.txt:1: say it louder\n" in shown
    (reviewed,) = [line.split() for line in shown.splitlines() if line.startswith("  review ")]
    assert reviewed[1:4] == ["sent", "back", "ann"]
    assert "output.log" not in shown, "nobody watched these, so nothing kept what they printed"
    assert "sent back by review: too" in said(bench, "why", "WP01")
    report = bench.kitty("status", "--report", "-")["data"]
    told = {"reviewer": "ann", "summary": "too \x1b[31mquiet", "findings": ["one.txt:1: say it louder"]}
    assert report["report"]["work_packages"]["WP01"]["sent_back"] == [told]
    assert "## Sent back by review" in report["text"] and "one.txt:1: say it louder" in report["text"]


def said(bench: Workbench, *words: str) -> str:
    """What a command prints for people."""
    process = bench.start(*words)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    return stdout
