"""A merge that is killed at any moment is typed again and ends as if nothing had happened: landed once, and proved."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest
from workbench import Workbench, kept

pytestmark = pytest.mark.slow

Script = Callable[[str], str]


def merge(bench: Workbench, *, exit: int = 0, command: str = "test -f two.txt") -> None:
    bench.kitty("merge", "sample", "--test-command", command, exit=exit)


def expect_landed_once(bench: Workbench, base: str, recorded: list[str]) -> None:
    assert set(bench.states().values()) == {"done"}
    assert bench.kitty("status", "sample")["data"]["mission"]["state"] == "merged"
    assert bench.git("log", "--first-parent", "--format=%s", f"{base}..trunk").splitlines() == ["Land A sample"]
    assert bench.git("ls-tree", "--name-only", "trunk").split() == [".gitignore", "README.md", "one.txt", "two.txt"]
    assert sorted(p.name for p in bench.root.glob("*.txt")) == ["one.txt", "two.txt"]
    assert bench.git("status", "--porcelain") == ""
    assert bench.git("worktree", "list", "--porcelain").count("worktree ") == 1
    assert bench.kitty("verify", "sample")["data"]["holds"]
    events = bench.events()
    assert [e["event_id"] for e in events][: len(recorded)] == recorded
    assert [e["to_state"] for e in events if e["trigger"] == "prove"] == ["proved"]
    bench.expect_sound_ledger()


def test_killed_by_its_own_tests(bench: Workbench, script: Script) -> None:
    base = bench.git("rev-parse", "trunk")
    once = bench.root.parent / "once"
    command = script(f"[ -e '{once}' ] || {{ touch '{once}'; kill -9 $PPID; }}\ntest -f two.txt")
    merge(bench, command=command, exit=-signal.SIGKILL)
    assert bench.git("rev-parse", "trunk") == base
    recorded = [e["event_id"] for e in bench.events()]
    merge(bench, command=command)
    expect_landed_once(bench, base, recorded)


def points_of_a_merge(bench: Workbench) -> list[str]:
    """The failpoints of an undisturbed merge, which is undone again."""
    bring_back = kept(bench)
    points = bench.points("merge", "sample", "--test-command", "test -f two.txt")
    bring_back()
    assert points.count("ref.commit") == 6, "prepared, the result, tested, the target, landed, proved"
    return points


def move(points: list[str], number: int) -> int:
    """The number of the failpoint at which the ref moves for this time."""
    return [at for at, name in enumerate(points, 1) if name == "ref.commit"][number - 1]


@pytest.mark.parametrize("how", ["before", "after", "group"])
def test_killed_at_the_commit_point(bench: Workbench, how: str) -> None:
    """Around the move of the target itself; every failpoint of a merge is in `tests/crash`."""
    points = points_of_a_merge(bench)
    base = bench.git("rev-parse", "trunk")
    bench.stop(points, move(points, 4), how, "merge", "sample", "--test-command", "test -f two.txt")
    for lock in (bench.root / ".git").rglob("*.lock"):
        os.utime(lock, (time.time() - 60,) * 2)  # what the git that was killed left behind gets old
    recorded = [e["event_id"] for e in bench.events()]
    merge(bench)
    expect_landed_once(bench, base, recorded)


def test_a_tree_is_tested_again_when_another_test_is_asked_for(bench: Workbench) -> None:
    points = points_of_a_merge(bench)
    base = bench.git("rev-parse", "trunk")
    bench.stop(points, move(points, 3), "after", "merge", "sample", "--test-command", "test -f two.txt")
    error = bench.refusal("merge", "sample", "--test-command", "test -f three.txt", exit=4)
    assert error["code"] == "TARGET_RED"
    assert bench.git("rev-parse", "trunk") == base
    merge(bench)
    assert set(bench.states().values()) == {"done"}
