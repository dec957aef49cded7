"""Merge, squash and rebase land the same tree by different commits; `verify` finds it again, and sees it taken back."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from workbench import Workbench

pytestmark = pytest.mark.slow


def prepared(bench: Workbench) -> str:
    return bench.commit("Meanwhile", three__txt="three\n")


def standings(bench: Workbench, *, exit: int = 0) -> dict[str, str]:
    envelope = bench.kitty("verify", "sample", exit=exit)
    return {name: proof["standing"] for name, proof in envelope["data"]["work_packages"].items()}


@pytest.mark.parametrize("strategy", ["merge", "rebase"])
def test_what_is_planned_lands_and_is_found_again_after_it_was_reverted_and_brought_back(
    bench: Workbench, strategy: str
) -> None:
    base = prepared(bench)
    plan = bench.kitty("merge", "--plan", "--test-command", "true", "--strategy", strategy)["data"]
    data = bench.kitty("merge", "--test-command", "true", "--strategy", strategy)["data"]
    landed = bench.git("rev-parse", "trunk")
    assert (data["landed_commit"], data["strategy"], landed) == (plan["candidate_commit"], strategy, landed)
    assert data["landed_work_packages"] == ["WP01", "WP02"]
    assert bench.tree("trunk") == plan["layers"][-1]["tree"], "the tree is that of the merge"
    assert bench.git("status", "--porcelain") == ""
    assert bench.git("worktree", "list", "--porcelain").count("worktree ") == 1
    parents = [line.split() for line in bench.git("log", "--format=%P", f"{base}..trunk").splitlines()]
    assert max(map(len, parents)) == {"merge": 2, "rebase": 1}[strategy]
    assert standings(bench) == {"WP01": "on_target", "WP02": "on_target"}
    bench.git("revert", "--no-edit", bench.git("log", "-1", "--format=%H", "trunk", "--", "two.txt"))
    envelope = bench.kitty("verify", "sample", exit=4)
    assert (envelope["error"]["code"], "WP02" in envelope["error"]["message"]) == ("LANDING_REGRESSED", True)
    found = {name: proof["standing"] for name, proof in envelope["data"]["work_packages"].items()}
    assert found == {"WP01": "on_target", "WP02": "regressed"}
    bench.git("revert", "--no-edit", "HEAD")
    bench.commit("Goes on", two__txt="more\n")
    assert standings(bench) == {"WP01": "on_target", "WP02": "on_target"}, "a later change takes nothing back"
    bench.git("reset", "-q", "--hard", base)
    assert standings(bench, exit=4) == {"WP01": "not_on_target", "WP02": "not_on_target"}


def test_a_clone_proves_a_squash_after_sync(bench: Workbench) -> None:
    base = prepared(bench)
    bench.settings('[merge]\nstrategy = "squash"\ntest_command = ["true"]\n[run]\nretry_backoff_s = 0\n')
    bench.kitty("merge", "sample")
    assert bench.git("log", "--format=%P", f"{base}..trunk") == base
    assert "- WP02: WP02" in bench.git("log", "-1", "--format=%B", "trunk")
    hub = bench.root.parent / "hub.git"
    bench.git("init", "-q", "--bare", "--template=", hub)
    bench.git("remote", "add", "origin", hub)
    bench.git("push", "-q", "origin", "trunk")
    bench.kitty("sync")
    found = [finding for finding in bench.kitty("doctor")["data"]["findings"] if finding["check"] == "branch"]
    assert [finding["status"] for finding in found] == ["ok"], "the heads themselves are not on the target"
    other = Workbench(bench.root.parent / "other", bench.command)
    bench.git("clone", "-q", "-b", "trunk", hub, other.root)
    other.kitty("sync")
    assert standings(other) == {"WP01": "on_target", "WP02": "on_target"}
    bench.commit("Notes", CHANGELOG__md="## 1.0.0\n\n- Two files.\n")
    bench.kitty("ship", "sample", "--version", "1.0.0", "--push")
    assert bench.kitty("verify", "sample")["data"]["release"]["holds"]
    other.git("rm", "-q", "one.txt", "two.txt")
    other.commit("Away with it")
    assert standings(other, exit=4) == {"WP01": "regressed", "WP02": "regressed"}, "no revert says so"


def test_the_strategy_is_remembered_and_another_one_starts_afresh(bench: Workbench) -> None:
    prepared(bench)
    dies = ("merge", "sample", "--test-command", "sh -c 'kill -9 $PPID'", "--strategy", "squash")
    bench.kitty(*dies, exit=-signal.SIGKILL)
    error = bench.refusal("merge", "sample", "--test-command", "false", "--strategy", "rebase", exit=4)
    assert error["code"] == "TARGET_RED"
    closed = [event["reason"] for event in bench.events() if event["trigger"] == "refuse"]
    assert closed[0] == "it was prepared for the strategy squash, and rebase was asked for"
    bench.kitty(*dies, exit=-signal.SIGKILL)
    data = bench.kitty("merge", "sample", "--test-command", "true")["data"]
    assert (data["resumed"], data["strategy"]) == (True, "squash")
    assert bench.git("log", "-1", "--format=%P", "trunk").count(" ") == 0


def test_stale_lanes_need_nobody(repo: Path) -> None:
    """MERGE G11: the target moves under four lanes, again and again; nothing is asked of a person."""
    bench = Workbench(repo, (sys.executable, "-P", "-m", "kitty_flow"))
    bench.commit("Ignore", __gitignore="*.log\n.kitty-flow/\n", shared__txt="".join(f"{n}\n" for n in range(9)))
    bench.mission({f"WP{n:02}": {"owned_files": [f"{n}.txt"]} for n in range(1, 5)}, target_branch="trunk")
    bench.kitty("mission", "import", ".kitty-flow/missions/sample.toml")
    bench.commit("Moves before", shared__txt="first\n")
    bench.run(jobs=2)
    for number in range(3):
        bench.commit(f"Moves after {number}", shared__txt=f"then {number}\n")
    moved = bench.git("rev-parse", "trunk")
    plan = bench.kitty("merge", "--plan", "--test-command", "true")["data"]
    assert (plan["would_land"], plan["collisions"], plan["before"]) == (True, [], moved)
    assert len({layer["tree"] for layer in plan["layers"]}) == 4
    data = bench.kitty("merge", "--test-command", "true")["data"]
    assert data["landed_work_packages"] == ["WP01", "WP02", "WP03", "WP04"]
    assert (bench.root / "shared.txt").read_text() == "then 2\n"
    assert bench.git("rev-parse", "trunk^1") == moved
