"""A merge that is killed at any moment is typed again and ends as if nothing had happened: landed once, and proved."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
from workbench import GitSpy, Workbench

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


def kill_and_repeat(bench: Workbench, spy: GitSpy, at: int, how: str) -> None:
    base = bench.git("rev-parse", "trunk")
    spy.install(bench, at, how)
    merge(bench, exit=-signal.SIGKILL)
    spy.remove(bench)
    recorded = [e["event_id"] for e in bench.events()]
    if bench.kitty("status", "sample")["data"]["mission"]["state"] == "merged":
        # Only the tidying up was left: the merge itself was complete.
        assert bench.git("rev-parse", "trunk") != base
        assert set(bench.states().values()) == {"done"}
        assert bench.git("status", "--porcelain") == ""
    else:
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


def calls_of_a_merge(bench: Workbench, spy: GitSpy) -> list[str]:
    """The git processes of an undisturbed merge, made in a copy that is run by itself."""
    copy = fresh(bench, "undisturbed")
    spy.install(copy)
    merge(copy)
    return spy.calls


def fresh(bench: Workbench, name: str) -> Workbench:
    """Another repository in the state of the bench's."""
    root = bench.root.parent / name
    bench.git("clone", "-q", "-b", "trunk", bench.root, root)
    made = Workbench(root, bench.command)
    text = (bench.root / ".kitty-flow" / "missions" / "sample.toml").read_text()
    path = root / ".kitty-flow" / "missions" / "sample.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    made.run(jobs=1)
    return made


@pytest.mark.parametrize("how", ["before", "after", "group"])
def test_killed_at_the_commit_point(bench: Workbench, spy: GitSpy, how: str) -> None:
    """The short form of the test below: around the swap of the target itself."""
    calls = calls_of_a_merge(bench, spy)
    swaps = [number for number, call in enumerate(calls, 1) if " update-ref " in call]
    assert len(swaps) == 5, "prepared, tested, the target, landed, proved"
    kill_and_repeat(bench, spy, swaps[2], how)


def test_a_tree_is_tested_again_when_another_test_is_asked_for(bench: Workbench, spy: GitSpy) -> None:
    swaps = [number for number, call in enumerate(calls_of_a_merge(bench, spy), 1) if " update-ref " in call]
    base = bench.git("rev-parse", "trunk")
    spy.install(bench, swaps[1], "after")
    merge(bench, exit=-signal.SIGKILL)
    spy.remove(bench)
    error = bench.refusal("merge", "sample", "--test-command", "test -f three.txt", exit=4)
    assert error["code"] == "TESTS_FAILED"
    assert bench.git("rev-parse", "trunk") == base
    merge(bench)
    assert set(bench.states().values()) == {"done"}


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_killed_around_every_step(bench: Workbench, spy: GitSpy, part: int) -> None:
    """Killed before, after and together with each git process of the merge that writes anything, or looks at files."""
    calls = calls_of_a_merge(bench, spy)
    words = ("update-ref", "worktree", "read-tree", "update-index", "hash-object", "mktree", "merge-tree", "status")
    chosen = [n for n, call in enumerate(calls, 1) if any(f" {word} " in call for word in words)]
    points = [(at, how) for at in chosen for how in ("before", "after", "group")]
    for number, (at, how) in enumerate(points[part::4]):
        kill_and_repeat(fresh(bench, f"killed-{number}"), spy, at, how)
