"""Agents that break the protocol: the exact code, nothing taken over, and the work package waits for a person."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench, agent

ONE: dict[str, dict[str, Any]] = {"WP01": {"owned_files": ["one.txt"], "subtasks": ["T001 Do it"]}}

_SETTINGS = """\
[agents.slow]
command = {command}
timeout_s = 0.4
stall_s = {stall}
[agents.critic]
command = {review}
[run]
max_attempts = {attempts}
"""


def settings(bench: Workbench, implement: str = "", review: str = "", *, stall: float = 0, attempts: int = 1) -> None:
    agents = (agent("implementer", implement), agent("reviewer", review))
    words = [json.dumps(shlex.split(line)) for line in agents]
    bench.settings(_SETTINGS.format(command=words[0], review=words[1], stall=stall, attempts=attempts))


def run_once(bench: Workbench, implement: str = "", review: str = "", *, exit: int) -> dict[str, Any]:
    """A run that tries only once; what it says about the one work package."""
    bench.mission(ONE)
    settings(bench)
    branches = bench.git("for-each-ref", "refs/heads/trunk")
    done = bench.run(implement, review, exit=exit)
    assert done["error"]["code"] == "RUN_INCOMPLETE"
    assert done["error"]["hint"] == "kitty-flow why WP01 -m sample"
    assert bench.git("for-each-ref", "refs/heads/trunk") == branches
    assert bench.tree(bench.mission_branch) == bench.tree("trunk"), "nothing of it was taken over"
    outcome: dict[str, Any] = done["data"]["work_packages"]["WP01"]
    return outcome


@pytest.mark.parametrize(
    ("mode", "exit", "code"),
    [
        ("no-result", 7, "RESULT_MISSING"),
        ("invalid-result", 7, "RESULT_INVALID"),
        ("exit-1", 7, "AGENT_FAILED"),
        ("failed", 7, "AGENT_REPORTED_FAILURE"),
        ("blocked", 4, "AGENT_BLOCKED"),
        ("dirty", 4, "WORKTREE_DIRTY"),
        ("nothing-committed", 4, "WORK_NOT_COMMITTED"),
        ("outside", 4, "OWNERSHIP_VIOLATED"),
        ("open-subtask", 4, "SUBTASKS_OPEN"),
        ("rewrite-history", 4, "HISTORY_REWRITTEN"),
        ("detach", 4, "WORK_NOT_COMMITTED"),
    ],
)
def test_an_implementer_that_breaks_the_protocol(bench: Workbench, mode: str, exit: int, code: str) -> None:
    outcome = run_once(bench, mode, exit=exit)
    assert (outcome["state"], outcome["code"]) == ("blocked", code)
    assert outcome["by_agent"] is (exit == 7)
    assert ("WP01", "submit") not in bench.steps()
    bench.expect_sound_ledger()
    bench.kitty("wp", "unblock", "WP01", "--reason", "the agent was mended")
    bench.run()
    assert bench.states() == {"WP01": "approved"}
    assert bench.git("ls-tree", "--name-only", bench.mission_branch).split() == ["README.md", "one.txt"]


def test_what_went_wrong_is_told_to_the_next_attempt(bench: Workbench) -> None:
    bench.mission(ONE)
    settings(bench, attempts=2)
    done = bench.run("outside", exit=4)["data"]["work_packages"]["WP01"]
    assert (done["attempts"], done["state"]) == (2, "blocked")
    prompts = [i["prompt_path"] for i in bench.kitty("wp", "show", "WP01")["data"]["invocations"]]
    texts = [Path(path).read_text(encoding="utf-8") for path in prompts]
    assert ["not-mine.txt" in text for text in texts] == [False, True]
    assert bench.git("for-each-ref", "refs/kitty/salvage"), "the refused commits are kept"


@pytest.mark.parametrize(("stall", "code"), [(0, "AGENT_TIMEOUT"), (0.2, "AGENT_STALLED")])
def test_an_implementer_that_hangs(bench: Workbench, stall: float, code: str) -> None:
    bench.mission(ONE)
    settings(bench, "hang", stall=stall)
    done = bench.kitty("run", "--agent", "slow", "--reviewer", "critic", exit=7)
    outcome = done["data"]["work_packages"]["WP01"]
    assert (outcome["state"], outcome["code"]) == ("blocked", code), "its result file does not count"
    assert bench.agents_alive() == []


def test_an_implementer_that_leaves_its_branch_does_no_harm(bench: Workbench) -> None:
    bench.mission(ONE)
    bench.run("switch-branch")
    assert bench.states() == {"WP01": "approved"}
    assert bench.git("show", f"{bench.mission_branch}:one.txt") == "WP01 was here"


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("silent", "RESULT_MISSING"),
        ("other-commit", "VERDICT_NOT_BOUND"),
        ("exit-1", "AGENT_FAILED"),
        ("no-feedback", "FEEDBACK_MISSING"),
    ],
)
def test_a_reviewer_that_breaks_the_protocol_never_approves(bench: Workbench, mode: str, code: str) -> None:
    outcome = run_once(bench, review=mode, exit=7)
    assert (outcome["state"], outcome["code"], outcome["by_agent"]) == ("blocked", code, True)
    triggers = [trigger for _, trigger in bench.steps()]
    assert "approve" not in triggers
    bench.kitty("wp", "unblock", "WP01", "--reason", "another reviewer")
    bench.run()
    assert bench.states() == {"WP01": "approved"}


def test_work_that_is_rejected_for_ever_is_blocked(bench: Workbench) -> None:
    outcome = run_once(bench, review="reject-always", exit=4)
    assert (outcome["state"], outcome["rejections"], outcome["attempts"]) == ("blocked", 1, 1)
    assert "say it louder" in bench.kitty("why", "WP01")["data"]["summary"]


def test_others_go_on_when_one_fails(bench: Workbench) -> None:
    bench.mission({"WP01": {"owned_files": ["a"]}, "WP02": {"owned_files": ["b"]}})
    settings(bench)
    done = bench.run("no-result=WP01", exit=7)["data"]["work_packages"]
    assert {name: o["state"] for name, o in done.items()} == {"WP01": "blocked", "WP02": "approved"}


def test_planning_artifacts_of_one_wave_share_one_worktree(bench: Workbench) -> None:
    """However many may work at once, `lane-planning` does one thing at a time; nothing is left out for it."""
    mode = {"execution_mode": "planning_artifact"}
    bench.mission({f"WP0{n}": {"owned_files": [f"docs/{n}.md"], **mode} for n in (1, 2, 3)})
    done = bench.run(jobs=3)["data"]["work_packages"]
    assert {name: o["state"] for name, o in done.items()} == dict.fromkeys(("WP01", "WP02", "WP03"), "approved")


def test_a_conflict_without_owned_files_is_worked_again_on_top(bench: Workbench) -> None:
    """Nothing declares an overlap, so both run at once and write the same file; the second one to come is done anew."""
    bench.mission({"WP01": {}, "WP02": {}})
    done = bench.run(jobs=2)["data"]["work_packages"]
    assert sorted(o["attempts"] for o in done.values()) == [1, 2]
    lines = bench.git("show", f"{bench.mission_branch}:shared.txt").splitlines()
    assert sorted(line for line in lines if "was here" in line) == ["WP01 was here", "WP02 was here"]
    bench.expect_sound_ledger()
