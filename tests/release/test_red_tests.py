"""Tests that fail: who is to blame is found with few runs, goes back to work, and the rest lands; never red."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench, is_running, kept, until

Script = Callable[[str], str]

CHAIN: dict[str, dict[str, Any]] = {
    "WP01": {"owned_files": ["one.txt"]},
    "WP02": {"owned_files": ["two.txt"]},
    "WP03": {"owned_files": ["three.txt"], "dependencies": ["WP01"]},
    "WP04": {"owned_files": ["four.txt"], "dependencies": ["WP03"]},
}
BROKEN = "if [ -e three.txt ] && ! grep -q heard three.txt; then echo three is broken; exit 3; fi"


@pytest.fixture
def chain(empty_bench: Workbench) -> Workbench:
    """A mission that is run to its end: WP03 makes the tests fail, and WP04 builds on it."""
    empty_bench.slug = "chain"
    empty_bench.mission(CHAIN, target_branch="trunk")
    empty_bench.run(jobs=1)
    return empty_bench


@pytest.fixture
def count(tmp_path: Path) -> Callable[[], int]:
    """How often the tests ran since it was asked last; they append to a file outside of every tree."""
    path = tmp_path / "runs"

    def runs() -> int:
        number = len(path.read_text().splitlines()) if path.exists() else 0
        path.unlink(missing_ok=True)
        return number

    return runs


@pytest.mark.slow
def test_a_culprit_goes_back_to_work_and_the_rest_lands(
    chain: Workbench, script: Script, count: Callable[[], int], tmp_path: Path
) -> None:
    tests = script(f"echo run >> {tmp_path}/runs\n{BROKEN}")
    before = chain.git("rev-parse", "trunk")

    # Only named, on request.
    error = chain.refusal("merge", "chain", "--no-eject", "--test-command", tests, exit=4)
    assert (error["code"], "WP03" in error["message"]) == ("TESTS_FAILED", True)
    assert "three is broken" in error["details"]["test_output"]
    assert count() <= 1 + 1 + 2 + 1, "what would land, the target, two of four prefixes, and one of them again"
    assert chain.git("rev-parse", "trunk") == before
    assert set(chain.states().values()) == {"approved"}

    # Sent back with the output, the rest landed: green prefixes are known by now.
    told = chain.kitty("merge", "chain", "--test-command", tests, exit=4)
    error, (remark, _) = told["error"], told["data"]["remarks"]
    assert "three is broken" in Path(remark.rpartition(" ")[2]).read_text()
    assert (error["code"], error["details"]["ejected"]) == ("WORK_EJECTED", ["WP03", "WP04"])
    assert count() <= 1 + 2 + 1 + 1
    assert chain.states() == {"WP01": "done", "WP02": "done", "WP03": "planned", "WP04": "planned"}
    names = chain.git("ls-tree", "--name-only", "trunk").split()
    assert ("one.txt" in names, "two.txt" in names, "three.txt" in names) == (True, True, False)
    assert chain.kitty("status", "chain")["data"]["mission"]["state"] == "running"
    assert chain.refusal("merge", "chain", "--test-command", tests, exit=4)["code"] == "MISSION_NOT_ACCEPTED"

    # The next attempt hears why, starts where it failed, and the second merge takes what is left.
    chain.run(jobs=1)
    started = [e for e in chain.events() if (e["entity_id"], e["trigger"]) == ("WP03", "start")][-1]["evidence"]
    assert chain.git("ls-tree", "--name-only", started["start_commit"], "three.txt") == "three.txt"
    assert chain.git("ls-tree", "--name-only", started["base_commit"], "three.txt") == ""
    data = chain.kitty("merge", "chain", "--test-command", tests)["data"]
    assert "three is broken" in chain.git("show", "trunk:three.txt")
    assert sorted(data["landed_work_packages"]) == ["WP03", "WP04"]
    assert set(chain.states().values()) == {"done"}
    assert chain.kitty("verify", "chain")["data"]["holds"]


@pytest.mark.slow
def test_results_are_remembered_and_each_commit_is_tested(
    chain: Workbench, script: Script, count: Callable[[], int], tmp_path: Path
) -> None:
    once = f"if [ ! -e {tmp_path}/flaked ]; then touch {tmp_path}/flaked; exit 1; fi"
    tests = script(f"echo run >> {tmp_path}/runs\n{once}")
    bring_back = kept(chain)
    data = chain.kitty("merge", "chain", "--test-command", tests)["data"]
    assert any("unsteady" in remark for remark in data["remarks"])
    results = [e["evidence"] for e in chain.events() if e["trigger"] == "test_tree"]
    assert {True, False} == {value["passed"] for fact in results for value in fact.values()}
    bring_back()

    count()
    words = ("merge", "chain", "--every-commit", "--test-command", tests)
    before = chain.git("rev-parse", "trunk")
    chain.kitty(*words)
    assert count() == 4, "one for each work package; the last one is what lands"
    line = chain.git("rev-list", "--first-parent", "--reverse", f"{before}..trunk").split()
    tested = {v["tree"] for e in chain.events() if e["trigger"] == "test_tree" for v in e["evidence"].values()}
    assert len(line) == 4
    assert {chain.tree(commit) for commit in line} <= tested


@pytest.mark.slow
def test_tests_that_were_killed_with_the_merge_leave_nothing(chain: Workbench, script: Script, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    tests = script(f"[ -e {tmp_path}/go ] && exit 0\nsetsid sleep 1000 & echo $! > {pid}.new; mv {pid}.new {pid}; wait")
    process = chain.start("merge", "chain", "--test-command", tests)
    until(pid.exists)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    until(lambda: not is_running(int(pid.read_text())))
    (tmp_path / "go").touch()
    assert chain.kitty("merge", "chain", "--test-command", tests)["data"]["resumed"] is True


def test_the_worktree_of_the_tests_is_sound_again_after_tests_that_spoil_it(
    bench: Workbench, script: Script, tmp_path: Path
) -> None:
    """A link in the place of `.git`, files left over, and a daemon: found or taken away; a pass is not repeated."""
    daemon = tmp_path / "daemon"
    spoil = script(f"rm -rf .git; ln -s {shlex.quote(str(bench.root / '.git'))} .git; touch left.tmp")
    assert bench.refusal("merge", "--test-command", spoil, exit=4)["code"] == "TESTS_CHANGED_TREE"
    tests = script(f"echo run >> {tmp_path}/runs\n[ ! -e left.tmp ]\nsetsid sleep 1000 &\necho $! > {daemon}")
    data = bench.kitty("merge", "--test-command", tests)["data"]
    told = [gate["message"] for gate in data["gates"] if gate["gate"] == "tests_pass"]
    assert "left processes behind" in told[-1]
    assert not is_running(int(daemon.read_text()))
    assert bench.git("rev-parse", "--verify", "HEAD^{tree}") == data["tested_tree"]
    assert "gate" not in bench.git("worktree", "list")
