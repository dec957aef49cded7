"""A merge that is killed at any moment is typed again and ends as if nothing had happened: landed once, and proved."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from workbench import GitSpy, Workbench

Script = Callable[[str], str]

PARTS = 8
"""How many tests share the exhaustive suite."""


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


def kill_and_repeat(bench: Workbench, spy: GitSpy, at: int, how: str) -> None:
    base = bench.git("rev-parse", "trunk")
    spy.install(bench, at, how)
    merge(bench, exit=-signal.SIGKILL)
    spy.remove(bench)
    recorded = [e["event_id"] for e in bench.events()]
    merge(bench)
    expect_landed_once(bench, base, recorded)


def test_killed_by_its_own_tests(bench: Workbench, script: Script) -> None:
    base = bench.git("rev-parse", "trunk")
    once = bench.root.parent / "once"
    command = script(f"[ -e '{once}' ] || {{ touch '{once}'; kill -9 $PPID; }}\ntest -f two.txt")
    merge(bench, command=command, exit=-signal.SIGKILL)
    assert bench.git("rev-parse", "trunk") == base
    recorded = [e["event_id"] for e in bench.events()]
    merge(bench, command=command)
    expect_landed_once(bench, base, recorded)


def kept(bench: Workbench) -> Callable[[], None]:
    """Keep a copy of the repository and of the folder beside it; returns what brings both back to where they were."""
    places = (bench.root, Path(f"{bench.root}.kitty"))
    copies = bench.root.parent / "kept"
    for place in places:
        shutil.copytree(place, copies / place.name, symlinks=True)

    def bring_back() -> None:
        for place in places:
            shutil.rmtree(place)
            shutil.copytree(copies / place.name, place, symlinks=True)

    return bring_back


def calls_of_a_merge(bench: Workbench, spy: GitSpy, bring_back: Callable[[], None]) -> list[str]:
    """The git processes of an undisturbed merge, which is undone again."""
    spy.install(bench)
    merge(bench)
    spy.remove(bench)
    bring_back()
    return spy.calls


@pytest.mark.parametrize("how", ["before", "after", "group"])
def test_killed_at_the_commit_point(bench: Workbench, spy: GitSpy, how: str) -> None:
    """The short form of the test below: around the swap of the target itself."""
    calls = calls_of_a_merge(bench, spy, kept(bench))
    swaps = [number for number, call in enumerate(calls, 1) if " update-ref " in call]
    assert len(swaps) == 5, "prepared, tested, the target, landed, proved"
    kill_and_repeat(bench, spy, swaps[2], how)


def test_a_tree_is_tested_again_when_another_test_is_asked_for(bench: Workbench, spy: GitSpy) -> None:
    calls = calls_of_a_merge(bench, spy, kept(bench))
    swaps = [number for number, call in enumerate(calls, 1) if " update-ref " in call]
    base = bench.git("rev-parse", "trunk")
    spy.install(bench, swaps[1], "after")
    merge(bench, exit=-signal.SIGKILL)
    spy.remove(bench)
    error = bench.refusal("merge", "sample", "--test-command", "test -f three.txt", exit=4)
    assert error["code"] == "TESTS_FAILED"
    assert bench.git("rev-parse", "trunk") == base
    merge(bench)
    assert set(bench.states().values()) == {"done"}


@pytest.mark.crash
@pytest.mark.parametrize("part", range(PARTS))
def test_killed_around_every_step(bench: Workbench, spy: GitSpy, part: int) -> None:
    """Killed before, after and together with each git process of the merge that writes anything, or looks at files."""
    bring_back = kept(bench)
    calls = calls_of_a_merge(bench, spy, bring_back)
    words = ("update-ref", "worktree", "read-tree", "update-index", "hash-object", "mktree", "merge-tree", "status")
    chosen = [n for n, call in enumerate(calls, 1) if any(f" {word} " in call for word in words)]
    points = [(at, how) for at in chosen for how in ("before", "after", "group")]
    for at, how in points[part::PARTS]:
        bring_back()
        kill_and_repeat(bench, spy, at, how)
