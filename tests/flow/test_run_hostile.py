"""Agents that harm the run in every way they can: each case ends with its own code, and the run goes on."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench, agent

_CORPUS = Path(os.environ.get("KITTY_FLOW_CORPUS", "/nowhere")) / "014-comprehensive-end-user-documentation"

# What each does, and what becomes of it: the code of a failure, or None for work that counts.
CASES: dict[str, str | None] = {
    "daemon": None,
    "closed-output": None,
    "flood": None,
    "switch-branch": None,
    "index-lock": None,
    "no-link": None,
    "ignore-term": "AGENT_TIMEOUT",
    "silent": "AGENT_STALLED",
    "garbage": "RESULT_INVALID",
    "huge-result": "RESULT_INVALID",
    "linked-result": "RESULT_INVALID",
    "no-folder": "RESULT_MISSING",
    "no-result": "RESULT_MISSING",
    "colours": "AGENT_FAILED",
    "rewrite-history": "HISTORY_REWRITTEN",
    "outside": "OWNERSHIP_VIOLATED",
    "dirty": "WORKTREE_DIRTY",
}

_SETTINGS = """\
[agents.hostile]
command = {command}
timeout_s = {timeout}
stall_s = {stall}
[agents.critic]
command = {review}
[run]
agent = "hostile"
reviewer = "critic"
max_attempts = {attempts}
"""


def settings(bench: Workbench, modes: dict[str, str], *more: str, attempts: int, timeout: float, stall: float) -> None:
    pairs = ",".join(f"{name}={mode}" for name, mode in modes.items())
    script = Path(shlex.split(agent("implementer"))[-1]).with_name("hostile.py")
    command = json.dumps([sys.executable, "-I", "-S", str(script), pairs, *more])
    review = json.dumps(shlex.split(agent("reviewer")))
    values = {"command": command, "review": review, "attempts": attempts, "timeout": timeout, "stall": stall}
    bench.settings(_SETTINGS.format(**values))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
def test_each_does_its_worst_and_the_others_go_on(bench: Workbench) -> None:
    names = {f"WP{number:02}": mode for number, mode in enumerate(CASES, 1)}
    bench.mission({name: {"owned_files": [f"{name}.txt"]} for name in (*names, "WP99")})
    settings(bench, names, attempts=1, timeout=8.0, stall=4.0)
    branches = bench.git("for-each-ref", "refs/heads/trunk")
    done = bench.kitty("run", "-j", "4", exit=7)
    outcomes: dict[str, Any] = done["data"]["work_packages"]
    assert {mode: outcomes[name]["code"] for name, mode in names.items()} == CASES
    expected = {name: "blocked" if CASES[mode] else "approved" for name, mode in names.items()} | {"WP99": "approved"}
    assert bench.states() == expected
    assert bench.git("for-each-ref", "refs/heads/trunk") == branches
    assert bench.agents_alive() == []
    files = bench.git("ls-tree", "-r", "--name-only", bench.mission_branch).split()
    assert files == ["README.md", *(f"{name}.txt" for name, state in expected.items() if state == "approved")]
    coloured = next(outcomes[name]["message"] for name, mode in names.items() if mode == "colours")
    assert "all is lost" in coloured and coloured.isprintable()
    bench.expect_sound_ledger()


@pytest.mark.chaos
@pytest.mark.skipif(not _CORPUS.exists(), reason="KITTY_FLOW_CORPUS does not name a folder of missions")
def test_a_real_mission_gets_through_all_the_same(bench: Workbench) -> None:
    """The first attempt at each work package of a real mission is hostile, in one way after the other."""
    bench.slug = _CORPUS.name
    shutil.copytree(_CORPUS, bench.root / "kitty-specs" / bench.slug)
    bench.git("branch", "-m", "trunk", "main")
    bench.git("add", "kitty-specs")
    bench.git("commit", "-qm", "The plan")
    work_packages = [w["id"] for w in bench.kitty("plan", bench.slug)["data"]["work_packages"]]
    modes = [mode for mode, code in CASES.items() if code is not None and mode != "dirty"]
    names = {name: modes[number % len(modes)] for number, name in enumerate(work_packages)}
    settings(bench, names, "once", attempts=3, timeout=6.0, stall=3.0)
    done = bench.kitty("run", "-j", "3")["data"]["work_packages"]
    assert {o["state"] for o in done.values()} == {"approved"}
    assert {o["attempts"] for o in done.values()} == {2}
    assert bench.agents_alive() == []
    bench.expect_sound_ledger()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
def test_an_agent_that_kills_the_group_of_its_run(bench: Workbench) -> None:
    bench.mission({"WP01": {"owned_files": ["one.txt"]}})
    bench.run("kill-group", exit=-signal.SIGKILL)
    done = bench.run("kill-group")["data"]
    assert (done["recovered"], done["mission_head"] is not None) == (["WP01"], True)
    assert bench.states() == {"WP01": "approved"}
    bench.expect_sound_ledger()
