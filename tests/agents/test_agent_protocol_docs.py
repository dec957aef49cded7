"""The sample agents and results of the protocol's reference page work as printed."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kitty_flow.agents.environment import complete_environment, job_variables
from kitty_flow.agents.process import ProcessSpec, run_process
from kitty_flow.agents.prompt import IDENTITY_FIELDS
from kitty_flow.agents.result import read_implement_result, read_review_result
from kitty_flow.model.result import ImplementResult, ReviewResult

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "agent-protocol.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True).stdout.strip()


def test_the_printed_results_are_valid(tmp_path: Path) -> None:
    implement, review = blocks("json")
    (tmp_path / "i").write_text(implement, encoding="utf-8")
    (tmp_path / "r").write_text(review, encoding="utf-8")
    assert read_implement_result(tmp_path / "i").outcome == "success"
    assert read_review_result(tmp_path / "r").findings[0].line == 12
    for field in {*ImplementResult.model_fields, *ReviewResult.model_fields, *IDENTITY_FIELDS}:
        assert f"`{field}`" in PAGE


@pytest.mark.skipif(sys.platform == "win32", reason="the sample is a shell script")
def test_the_printed_agents_do_a_whole_step(tmp_path: Path) -> None:
    worktree = tmp_path / "worktree"
    git(tmp_path, "init", "-q", str(worktree))
    base_env = {
        **os.environ,
        "HOME": str(tmp_path),
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "base"], cwd=worktree, env=base_env, check=True)
    base = git(worktree, "rev-parse", "HEAD")
    (tmp_path / "agent.sh").write_text(blocks("sh")[0], encoding="utf-8")
    (tmp_path / "reviewer.py").write_text(blocks("python")[0], encoding="utf-8")
    steps = {"implement": ("sh", str(tmp_path / "agent.sh")), "review": (sys.executable, str(tmp_path / "reviewer.py"))}
    for action, argv in steps.items():
        variables = job_variables(
            mission="demo",
            wp="WP01",
            action=action,
            invocation=f"01J{action}",
            epoch=1,
            prompt=tmp_path / "prompt.md",
            result=tmp_path / f"{action}.json",
            worktree=worktree,
            base_commit=base,
            extra={},
        )
        env = complete_environment(base_env, variables)
        outcome = asyncio.run(run_process(ProcessSpec(argv, worktree, env, tmp_path / f"{action}.log", 60.0)))
        assert outcome.exit_code == 0, outcome.tail
    assert read_implement_result(tmp_path / "implement.json").outcome == "success"
    verdict = read_review_result(tmp_path / "review.json")
    assert verdict.verdict == "approved"
    assert verdict.reviewed_commit == git(worktree, "rev-parse", "HEAD") != base
    assert git(worktree, "status", "--porcelain") == ""
