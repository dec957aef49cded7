"""The same question has the same answer in every directory of a repository and of its worktrees."""

from __future__ import annotations

import re
from pathlib import Path

from workbench import Workbench


def test_the_same_answer_everywhere(bench: Workbench) -> None:
    bench.mission()
    bench.kitty(*bench.run_words(), "--until", "2")
    linked = bench.root.parent / "linked"
    bench.git("worktree", "add", "-q", "-b", "other", linked)
    (bench.root / "deep" / "er").mkdir(parents=True)
    lanes = re.findall(r"^worktree (.*/lane-.*)$", bench.git("worktree", "list", "--porcelain"), re.MULTILINE)
    places = [bench.root / "deep" / "er", linked, Path(lanes[0]), bench.root / ".git"]
    questions = (["status"], ["plan", "sample"], ["why", "WP04"], ["next", "--agent", "me", "--peek"])
    for question in questions:
        expected = bench.kitty(*question)
        for place in places:
            assert bench.kitty(*question, cwd=place) == expected, (question, place)


def test_a_run_from_a_linked_worktree(bench: Workbench) -> None:
    bench.mission()
    linked = bench.root.parent / "linked"
    bench.git("worktree", "add", "-q", "-b", "other", linked)
    bench.kitty(*bench.run_words(), cwd=linked)
    assert set(bench.states().values()) == {"approved"}
    assert bench.git("status", "--porcelain", cwd=linked) == ""
    other = bench.git("rev-parse", "other")
    bench.kitty("merge", "--test-command", "true", cwd=linked)
    assert (bench.root / "core.txt").exists()
    assert not (linked / "core.txt").exists()
    assert bench.git("rev-parse", "other") == other
