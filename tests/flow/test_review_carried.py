"""An approval survives a rebase that leaves the patches unchanged and whose tests pass; anything else is looked at."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench

from kitty_flow.flow.approval import carry, last_review, patch_series
from kitty_flow.flow.mission import open_mission
from kitty_flow.flow.project import Project
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
