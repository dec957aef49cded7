"""A run that is stopped, gently or by SIGKILL at any moment, is started again and ends as if nothing had happened."""

from __future__ import annotations

import itertools
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from workbench import Workbench

pytestmark = pytest.mark.slow

PAIR: dict[str, dict[str, Any]] = {
    "WP01": {"owned_files": ["one.txt"]},
    "WP02": {"owned_files": ["two.txt"], "dependencies": ["WP01"]},
}
REJECT = "reject=WP02"
TREE_OF_PAIR = {
    "README.md": "# Sample",
    "one.txt": "WP01 was here",
    "two.txt": "WP02 was here\nWP02 heard: say it louder",
}


def content(bench: Workbench, ref: str) -> dict[str, str]:
    names = bench.git("ls-tree", "-r", "--name-only", ref).splitlines()
    return {name: bench.git("show", f"{ref}:{name}") for name in names}


def expect_finished(bench: Workbench, recorded: list[str]) -> None:
    """The same end as an undisturbed run: same tree, everything recorded still there, nothing recorded twice."""
    assert set(bench.states().values()) == {"approved"}
    assert content(bench, bench.mission_branch) == TREE_OF_PAIR
    assert [e["event_id"] for e in bench.events()][: len(recorded)] == recorded
    bench.expect_sound_ledger()
    assert bench.agents_alive() == []


def recorded(bench: Workbench) -> list[str]:
    return [e["event_id"] for e in bench.events()] if bench.ledger_tip else []


def expect_nobody_left(bench: Workbench) -> None:
    """The agents of a run that was killed are ended by themselves, also what moved to a session of its own."""
    left = [psutil.Process(pid) for pid in bench.agents_alive() if psutil.pid_exists(pid)]
    assert psutil.wait_procs(left, timeout=60)[1] == []


@pytest.mark.skipif(sys.platform != "linux", reason="the agent finds the guardian by the kernel's files")
def test_killed_together_with_its_guardian(bench: Workbench) -> None:
    """Then the next run ends the agents that were left."""
    bench.mission(PAIR)
    bench.run("kill-unguarded=WP01", REJECT, exit=-signal.SIGKILL)
    assert bench.agents_alive()
    before = recorded(bench)
    assert bench.run(review=REJECT)["data"]["recovered"] == ["WP01"]
    expect_finished(bench, before)


@pytest.mark.parametrize("mode", ["kill-before=WP01", "kill-unsaved=WP02", "kill-committed=WP02", "kill-reported=WP01"])
def test_killed_while_an_implementer_works(bench: Workbench, mode: str) -> None:
    bench.mission(PAIR)
    bench.run(mode, REJECT, exit=-signal.SIGKILL)
    expect_nobody_left(bench)
    before = recorded(bench)
    outcome = bench.run(mode, REJECT)["data"]
    assert outcome["recovered"] == [mode.partition("=")[2]]
    expect_finished(bench, before)
    if mode.startswith("kill-reported"):
        assert outcome["work_packages"]["WP01"]["attempts"] == 1, "a result that was reported is not made again"
    bench.kitty("merge", "sample", "--test-command", "test -f two.txt")
    assert content(bench, "trunk") == TREE_OF_PAIR
    assert set(bench.states().values()) == {"done"}


@pytest.mark.parametrize("mode", ["kill-before=WP02", "kill-reported=WP01"])
def test_killed_while_a_reviewer_works(bench: Workbench, mode: str) -> None:
    bench.mission(PAIR)
    bench.run(review=mode, exit=-signal.SIGKILL)
    expect_nobody_left(bench)
    before = recorded(bench)
    bench.run(review=REJECT if mode.endswith("WP01") else mode)
    if mode.endswith("WP01"):
        assert [t for n, t in bench.steps() if n == "WP01"].count("begin_review") == 1
        expect_finished(bench, before)
    else:
        assert content(bench, bench.mission_branch)["two.txt"] == "WP02 was here"
        assert [e["event_id"] for e in bench.events()][: len(before)] == before
        bench.expect_sound_ledger()
    assert bench.agents_alive() == []


def test_unsaved_work_of_a_killed_attempt_is_kept(bench: Workbench) -> None:
    bench.mission(PAIR)
    bench.run("kill-unsaved=WP01", exit=-signal.SIGKILL)
    bench.run()
    kept = [ref for ref in bench.tips if ref.startswith("refs/kitty/salvage/")]
    texts = [bench.git("show", f"{ref}:one.txt", ok=(0, 128)) for ref in kept]
    assert "WP01 was here" in texts
    released = [e for e in bench.events() if e["trigger"] == "release"]
    assert [e["evidence"]["salvage_ref"] in kept for e in released] == [True]


@pytest.mark.parametrize("name", ["sigint", "sigterm"])
def test_stopped_by_a_signal(bench: Workbench, name: str) -> None:
    bench.mission(PAIR)
    envelope = bench.run(f"{name}=WP02", REJECT, exit=130)
    assert envelope["error"]["code"] == "INTERRUPTED"
    assert envelope["error"]["hint"] == "kitty-flow run sample"
    assert "was given back and its unsaved changes kept" in envelope["error"]["message"]
    assert bench.agents_alive() == []
    assert bench.states() == {"WP01": "approved", "WP02": "planned"}
    released = next(e for e in bench.events() if e["trigger"] == "release")
    assert bench.git("show", f"{released['evidence']['salvage_ref']}:two.txt") == "WP02 was here"
    before = recorded(bench)
    assert bench.run(review=REJECT)["data"]["recovered"] == []
    expect_finished(bench, before)


def test_a_first_ctrl_c_lets_what_runs_finish(bench: Workbench) -> None:
    bench.mission(PAIR)
    process = bench.start(*bench.run_words("one-sigint=WP01"))
    stderr = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert "WP01" in stderr and "Ctrl-C again" in stderr
    assert "the run was stopped; what was at work was finished, and 2 work packages are left" in stderr
    assert bench.states() == {"WP01": "for_review", "WP02": "planned"}
    assert "release" not in [trigger for _, trigger in bench.steps()]
    before = recorded(bench)
    done = bench.run(review=REJECT)["data"]
    assert (done["recovered"], done["work_packages"]["WP01"]["attempts"]) == ([], 1)
    expect_finished(bench, before)


@pytest.mark.parametrize("mode", ["sigint=WP01", "kill-unsaved=WP01"])
def test_an_interruption_costs_no_attempt(bench: Workbench, mode: str) -> None:
    bench.mission(PAIR)
    bench.settings("[run]\nmax_attempts = 1\n")
    bench.run(mode, exit=130 if mode.startswith("sigint") else -signal.SIGKILL)
    assert bench.run()["data"]["work_packages"]["WP01"]["state"] == "approved"


def test_nothing_incomplete_lands_after_a_kill_around_the_approval(bench: Workbench) -> None:
    """Stopped at each of the last moments at which a ref moves, and merged at once, without another run."""
    one = {"WP01": {"owned_files": ["one.txt"]}}
    test = ("--test-command", "git diff --quiet")
    undisturbed = Workbench(bench.root.parent / "undisturbed", bench.command)
    bench.git("clone", "-q", bench.root, undisturbed.root)
    undisturbed.mission(one, target_branch="trunk")
    points = undisturbed.points(*undisturbed.run_words())
    for at in commit_points(points)[-4:]:
        victim = Workbench(bench.root.parent / f"killed-{at}", bench.command)
        bench.git("clone", "-q", bench.root, victim.root)
        victim.mission(one, target_branch="trunk")
        victim.stop(points, at, "before", *victim.run_words())
        if victim.start("merge", "sample", *test).wait(timeout=120):
            assert "one.txt" not in content(victim, "trunk")
            victim.run()
            victim.kitty("merge", "sample", *test)
        assert victim.states() == {"WP01": "done"}
        assert content(victim, "trunk")["one.txt"] == "WP01 was here"


def test_ctrl_c_reaches_every_worker(bench: Workbench) -> None:
    """Two agents at once, one of which interrupts the run; both work packages are given back."""
    bench.mission({"WP01": {"owned_files": ["a"]}, "WP02": {"owned_files": ["b"]}})
    bench.run("sigint", exit=130, jobs=2)
    assert bench.states() == {"WP01": "planned", "WP02": "planned"}
    assert bench.agents_alive() == []
    bench.expect_sound_ledger()


def test_killed_with_two_agents_at_work(bench: Workbench) -> None:
    """Side by side and without a barrier; both agents of the dead run are ended before their work is done again."""
    bench.mission({"WP01": {"owned_files": ["a"]}, "WP02": {"owned_files": ["b"]}})
    words = bench.run_words("kill-before", jobs=2)
    bench.kitty(*words, "--schedule", "eager", exit=-signal.SIGKILL)
    bench.kitty(*words, "--schedule", "eager")
    assert content(bench, bench.mission_branch) == {"README.md": "# Sample", "a": "WP01 was here", "b": "WP02 was here"}
    bench.expect_sound_ledger()
    assert bench.agents_alive() == []


_STEPS = ("ref.prepare", "ref.commit", "git.worktree", "git.checkout", "git.clean", "git.merge-tree", "index.follow")


def commit_points(points: list[str]) -> list[int]:
    """The numbers of the failpoints at which a ref moves."""
    return [number for number, name in enumerate(points, 1) if name == "ref.commit"]


def points_of_a_run(bench: Workbench) -> list[str]:
    """The failpoints of an undisturbed run, made in a clone of the bench's repository."""
    copy = Workbench(bench.root.parent / "undisturbed", bench.command)
    bench.git("clone", "-q", bench.root, copy.root)
    copy.mission(PAIR, target_branch="trunk")
    points = copy.points(*copy.run_words(review=REJECT, jobs=1))
    assert content(copy, copy.mission_branch) == TREE_OF_PAIR
    return points


def kill_and_resume(bench: Workbench, points: list[str], at: int, how: str) -> None:
    bench.stop(points, at, how, *bench.run_words(review=REJECT, jobs=1))
    before = recorded(bench)
    bench.run(review=REJECT)
    expect_finished(bench, before)


@pytest.mark.parametrize(("share", "how"), [(0.1, "after"), (0.4, "group"), (0.65, "before"), (0.9, "after")])
def test_killed_at_a_commit_point(bench: Workbench, share: float, how: str) -> None:
    """The short form of the test below: four of the moments at which a ref moves."""
    points = points_of_a_run(bench)
    swaps = commit_points(points)
    bench.mission(PAIR, target_branch="trunk")
    kill_and_resume(bench, points, swaps[int(share * len(swaps))], how)


@pytest.mark.crash
@pytest.mark.parametrize("part", range(6))
def test_killed_around_every_step(bench: Workbench, part: int) -> None:
    """Stopped before, after or together with the git process of each step, in turn; every point: `tests/crash`."""
    points = points_of_a_run(bench)
    steps = [number for number, name in enumerate(points, 1) if name in _STEPS]
    assert len(steps) > 40
    chosen = list(zip(steps, itertools.cycle(("before", "after", "group"))))
    for number, (at, how) in enumerate(chosen[part::6]):
        root = bench.root.parent / f"killed-{number}"
        bench.git("clone", "-q", bench.root, root)
        victim = Workbench(root, bench.command)
        victim.mission(PAIR, target_branch="trunk")
        kill_and_resume(victim, points, at, how)


_PATIENT = """\
import os, pathlib, signal, subprocess, sys
place, wp = pathlib.Path(sys.argv[1]), os.environ["KITTY_FLOW_WP"]

def refs():
    return subprocess.run(["git", "for-each-ref", "refs/kitty/m"], capture_output=True, cwd=sys.argv[2]).stdout

def end(*_):
    if wp == "WP02":
        while refs() == before:  # until the other work package was given back
            pass
        for _ in range(50):
            refs()  # some work that takes longer than the run takes to go on
        (place / "in order").write_text("yes")
    os._exit(0)

signal.signal(signal.SIGTERM, end)
(place / wp).touch()
if wp == "WP02":
    while not (place / "WP01").exists():
        pass
    before = refs()
    os.kill(os.getppid(), signal.SIGTERM)
while True:
    signal.pause()
"""


def test_every_agent_has_its_time_to_end_in_order(bench: Workbench, tmp_path: Path) -> None:
    """The end of one agent of a stopped run must not cut short the grace of another."""
    bench.mission({"WP01": {"owned_files": ["a"]}, "WP02": {"owned_files": ["b"]}})
    script = tmp_path / "patient.py"
    script.write_text(_PATIENT, encoding="utf-8")
    command = shlex.join([sys.executable, str(script), str(tmp_path), str(bench.root)])
    bench.kitty("run", "sample", "-j", "2", "--command", command, exit=130)
    assert (tmp_path / "in order").exists()
