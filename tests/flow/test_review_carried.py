"""An approval survives a rebase that leaves the patches unchanged and whose tests pass; anything else is looked at."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench, is_running, until

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.local_executor import LocalExecutor
from kitty_flow.flow import review as reviews
from kitty_flow.flow.approval import carry, last_review, patch_series
from kitty_flow.flow.mission import open_mission
from kitty_flow.flow.policies import Policies
from kitty_flow.flow.project import Project
from kitty_flow.flow.run import RunOptions, run_mission
from kitty_flow.flow.run_context import RunContext
from kitty_flow.flow.stopping import Stop
from kitty_flow.git.process import Git

ONE = {"WP01": {"owned_files": ["**"]}}
TESTS = (
    "[merge]\ntest_command = "
    f'[{sys.executable!r}, "-c", "import pathlib; assert pathlib.Path(\'other.txt\').exists()"]\n'
)


def take(bench: Workbench, name: str, *words: str) -> dict[str, Any]:
    data: dict[str, Any] = bench.kitty("next", "--agent", name, *words)["data"]
    return data


def commit_in(bench: Workbench, worktree: Path, name: str, text: str) -> str:
    (worktree / name).write_text(text, encoding="utf-8")
    bench.git("add", "-A", cwd=worktree)
    bench.git("commit", "-q", "-m", f"{name} {text[:9]!r}", cwd=worktree)
    return bench.git("rev-parse", "HEAD", cwd=worktree)


def on_mission_branch(bench: Workbench, name: str, text: str) -> str:
    """Put a commit on the mission branch as the approval of other work would."""
    place = bench.root.parent / "aside"
    bench.git("worktree", "add", "-q", "--detach", place, bench.mission_branch)
    commit = commit_in(bench, place, name, text)
    bench.git("worktree", "remove", "--force", place)
    bench.git("update-ref", f"refs/heads/{bench.mission_branch}", commit)
    return commit


def approved_in_conflict(bench: Workbench) -> tuple[str, str]:
    """Amy's work is approved by bob, but other work was there first; returns its base and head.

    Then that other work is taken back, and something harmless comes in its place.
    """
    bench.mission(ONE)
    step = take(bench, "amy")
    worktree = Path(step["worktree"])
    commit_in(bench, worktree, "one.txt", "first\n")
    head = commit_in(bench, worktree, "one.txt", "first\nsecond\n")
    take(bench, "amy", "--result", "success")
    on_mission_branch(bench, "one.txt", "in the way\n")
    data = bench.kitty("wp", "approve", "WP01", "--actor", "bob", "-m", "read it")["data"]
    assert data["state"] == "planned"
    assert "conflicts with work that was approved in the meantime" in data["feedback"]["summary"]
    bench.git("update-ref", f"refs/heads/{bench.mission_branch}", step["base_commit"])
    on_mission_branch(bench, "other.txt", "harmless\n")
    return step["base_commit"], head


def rebased(bench: Workbench, base: str, head: str, more: str = "") -> str:
    """Amy puts her commits on the new base, as her prompt says, and hands them in."""
    step = take(bench, "amy")
    assert f"git cherry-pick {base}..{head}\n" in Path(step["prompt_path"]).read_text(encoding="utf-8")
    worktree = Path(step["worktree"])
    assert (worktree / "other.txt").exists()
    bench.git("cherry-pick", f"{base}..{head}", cwd=worktree)
    if more:
        commit_in(bench, worktree, "one.txt", more)
    new = bench.git("rev-parse", "HEAD", cwd=worktree)
    assert new != head
    take(bench, "amy", "--result", "success")
    return new


def carried(bench: Workbench) -> bool:
    """Whether the approval would be carried to the head that is handed in now."""
    with open_mission(Project.discover(bench.root), None) as mission:
        return carry(mission, mission.work_package("WP01")) is not None


@pytest.mark.slow
def test_the_same_patches_with_green_tests_need_no_second_review(bench: Workbench) -> None:
    base, head = approved_in_conflict(bench)
    new = rebased(bench, base, head)
    assert not carried(bench)  # nothing tests it
    bench.settings(TESTS.replace("assert", "assert not"))
    assert not carried(bench)
    bench.settings(TESTS.replace("python", "no-such-python"))
    assert not carried(bench)
    bench.settings(TESTS)
    assert take(bench, "cid", "--role", "review")["kind"] == "terminal"
    shown = bench.kitty("wp", "show", "WP01")["data"]
    assert (shown["state"], shown["head_commit"], shown["carried_from"]) == ("approved", new, head)
    assert (shown["reviewer"], shown["hollow"]) == ("bob", [])
    assert bench.git("merge-base", "--is-ancestor", new, bench.mission_branch) == ""
    approval = next(e for e in bench.events() if e["trigger"] == "approve")
    assert (approval["evidence"]["reviewed_commit"], approval["evidence"]["carried_from"]) == (new, head)
    assert "gate-" not in bench.git("worktree", "list")
    # What a person withdraws is not carried anywhere: the whole is looked at again.
    bench.kitty("wp", "reopen", "WP01", "--reason", "wrong after all")
    with open_mission(Project.discover(bench.root), None) as mission:
        assert last_review(mission, mission.work_package("WP01")) is None


@pytest.mark.slow
def test_another_patch_is_reviewed_but_only_what_is_new(bench: Workbench) -> None:
    bench.settings(TESTS)
    base, head = approved_in_conflict(bench)
    new = rebased(bench, base, head, "first\nsecond\nthird\n")
    step = take(bench, "cid", "--role", "review")
    assert (step["action"], step["wp_id"]) == ("review", "WP01")
    text = Path(step["prompt_path"]).read_text(encoding="utf-8")
    assert f"git range-diff {base}..{head} {step['base_commit']}..{new}\n" in text


def waiting_tests(bench: Workbench) -> tuple[Path, Path]:
    """Tests that say that they have begun, and wait for a word; returns the files for both."""
    begun, go = bench.root.parent / "begun", bench.root.parent / "go"
    command = f"echo $$ >> {begun}; until [ -e {go} ]; do sleep 0.02; done; test -e other.txt"
    bench.settings(f"[merge]\ntest_command = {json.dumps(['/bin/sh', '-c', command])}\n")
    return begun, go


@pytest.mark.slow
def test_one_test_at_a_time_uses_the_worktree_of_a_carry(bench: Workbench) -> None:
    base, head = approved_in_conflict(bench)
    rebased(bench, base, head)
    begun, go = waiting_tests(bench)
    words = ("next", "--role", "review", "--agent")
    killed = bench.start(*words, "cid")
    until(begun.exists)
    killed.kill()
    killed.communicate(timeout=60)
    go.touch()  # nobody waits for that test any more
    left_over = next(w for w in bench.git("worktree", "list").splitlines() if "gate-WP01" in w)
    begun.unlink()
    go.unlink()
    first = bench.start(*words, "cid", "--json")
    until(begun.exists)
    assert bench.refusal(*words, "dan", exit=5)["code"] == "CLAIM_LOST"
    assert "running" in next(f["message"] for f in doctor(bench) if f["subject"].endswith("gate-WP01"))
    assert "gate-WP01" in bench.git("worktree", "list")
    go.touch()
    first.communicate(timeout=60)
    assert first.returncode == 0
    assert len(begun.read_text().splitlines()) == 1
    assert bench.states() == {"WP01": "approved"}
    place = left_over.split()[0]
    assert not Path(place).exists()
    bench.git("worktree", "add", "-q", "--detach", place, head)  # as if the killed one had been the last
    assert "left over" in next(f["message"] for f in doctor(bench) if f["subject"].endswith("gate-WP01"))
    bench.kitty("doctor", "worktrees", "--fix")
    assert not Path(place).exists()


def doctor(bench: Workbench) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = bench.kitty("doctor", "worktrees")["data"]["findings"]
    return found


@pytest.mark.slow
def test_an_approval_that_lands_in_between_sends_carried_work_back(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.settings(TESTS)
    base, head = approved_in_conflict(bench)
    rebased(bench, base, head)
    recorded = reviews.record_carried
    spec = AgentSpec("eve", ("/bin/false",))
    with open_mission(Project.discover(bench.root), None) as mission, LocalExecutor() as executor:
        run = RunContext("01RUN", executor, Stop())

        def late(*words: Any) -> None:
            assert run.integrating.locked()  # nobody else of this run comes in between
            on_mission_branch(bench, "one.txt", "in the way again\n")  # but another clone or process may
            recorded(*words)

        monkeypatch.setattr(reviews, "record_carried", late)
        failure = reviews.review(mission, "WP01", spec, run, Policies(()))
        assert failure is not None
        assert (failure.code, failure.by_agent) == ("INTEGRATION_CONFLICT", False)
        assert mission.work_package("WP01").state == "approved"
        run_mission(mission, RunOptions(AgentSpec("amy", ("/bin/false",)), spec))
    assert ("WP01", "reopen") in bench.steps()
    assert bench.states() != {"WP01": "approved"}


@pytest.mark.slow
def test_ctrl_c_ends_the_tests_of_a_carry(bench: Workbench) -> None:
    base, head = approved_in_conflict(bench)
    rebased(bench, base, head)
    begun, _ = waiting_tests(bench)
    process = bench.start(*bench.run_words(), "--json")
    until(begun.exists)

    def is_over() -> bool:
        os.kill(process.pid, signal.SIGINT)
        return process.poll() is not None

    until(is_over)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert bench.states() == {"WP01": "for_review"}
    assert "gate-" not in bench.git("worktree", "list")
    assert not is_running(int(begun.read_text()))


def test_patches_are_compared_strictly(repo: Path) -> None:
    """Other line numbers and object names do not matter; a blank, a mode, a binary byte, a merge do."""
    bench = Workbench(repo, ())
    git = Git(repo)

    def series(*steps: tuple[str, str | bytes, int]) -> tuple[str, ...] | None:
        """The series of these commits on top of the branch."""
        bench.git("checkout", "-q", "--detach", "trunk")
        for name, content, mode in steps:
            path = repo / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            path.chmod(mode)
            bench.git("add", "-A")
            bench.git("commit", "-q", "-m", "step")
        return patch_series(git, "trunk", bench.git("rev-parse", "HEAD"))

    lines = [f"line {n}\n" for n in range(30)]
    bench.git("checkout", "-q", "-B", "trunk")
    bench.commit(a__py="".join(lines))
    first = series(("a.py", "".join([*lines, "  x\n"]), 0o644), ("b", b"\0one", 0o644))
    assert first is not None
    assert len(first) == 2
    assert series(("a.py", "".join([*lines, "    x\n"]), 0o644), ("b", b"\0one", 0o644)) != first
    assert series(("a.py", "".join([*lines, "  x\n"]), 0o755), ("b", b"\0one", 0o644)) != first
    assert series(("a.py", "".join([*lines, "  x\n"]), 0o644), ("b", b"\0two", 0o644)) != first
    bench.git("checkout", "-q", "trunk")
    bench.commit(a__py="".join(["new\n", *lines]))
    assert series(("a.py", "".join(["new\n", *lines, "  x\n"]), 0o644), ("b", b"\0one", 0o644)) == first
    bench.git("checkout", "-q", "-B", "side", "trunk~1")
    bench.commit(c="side")
    bench.git("checkout", "-q", "--detach", "trunk")
    bench.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    assert patch_series(git, "trunk", bench.git("rev-parse", "HEAD")) is None
