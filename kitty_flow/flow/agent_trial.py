"""One work package in a scratch repository, done by an agent exactly as a run would have it done.

Same worktree, prompt, process, result file and guards as in the user's repository, so what works here works there. For
an agent that only reviews, a small script does the work that is to be reviewed.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import Final, NamedTuple

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.usage import Usage, read_usage
from kitty_flow.flow.mission import open_mission
from kitty_flow.flow.project import Project
from kitty_flow.flow.run import RunOptions, run_mission
from kitty_flow.git.process import Git

__all__ = ["Trial", "try_agent"]

_MISSION: Final = """\
[mission]
title = "Is the agent usable?"
slug = "trial"
target_branch = "main"

[[work_package]]
id = "WP01"
title = "Say hello"
owned_files = ["hello.txt"]
prompt = '''
Create the file `hello.txt` with the one line `hello`. Nothing else is needed: no tests, no other files.
'''
"""

_IMPLEMENTER: Final = """\
import json, os, pathlib, subprocess
pathlib.Path("hello.txt").write_text("hello\\n")
subprocess.run(["git", "add", "hello.txt"], check=True)
subprocess.run(["git", "commit", "--quiet", "--no-verify", "--message=Say hello"], check=True)
pathlib.Path(os.environ["KITTY_FLOW_RESULT"]).write_text(json.dumps({"outcome": "success", "summary": "said hello"}))
"""


class Trial(NamedTuple):
    """How it ended: `code` and `message` when the agent failed, what it used, and the folder that was kept then."""

    code: str | None
    message: str | None
    usage: Usage
    kept: Path | None


def try_agent(spec: AgentSpec, *, timeout_s: float) -> Trial:
    """Let the agent do the one work package; this starts its model and costs what that costs.

    The scratch folder is removed when the agent did its part, and kept for a look when it did not.

    Raises:
        ExternalToolError: git failed.
        InterruptedRunError: stopped by the user.
    """
    folder = Path(mkdtemp(prefix="kitty-flow-trial-", dir=gettempdir())).resolve()
    spec = replace(spec, timeout_s=min(spec.timeout_s, timeout_s))
    reviews = spec.role == "review"
    worker = AgentSpec("trial-implementer", (sys.executable, "-c", _IMPLEMENTER)) if reviews else spec
    project = _repository(folder / "project")
    with open_mission(project, "trial") as mission:
        report = run_mission(mission, RunOptions(worker, spec if reviews else None, 1, max_attempts=1))
        outcome = report.outcomes["WP01"]
        entity = mission.work_package("WP01")
        done = entity.counts.get("approve", 0) + entity.counts.get("request_changes", 0) if reviews else 0
        passed = bool(done) if reviews else outcome.state in ("for_review", "approved")
        logs = sorted(project.workspace_root.rglob("output.log"), key=lambda log: log.stat().st_mtime)
    usage = read_usage(spec.preset, logs[-1]) if logs else Usage()
    if passed:
        shutil.rmtree(folder, ignore_errors=True)
        return Trial(None, None, usage, None)
    message = outcome.message or f"the work package ended as {outcome.state}"
    return Trial(outcome.code or "TRIAL_FAILED", message, usage, logs[-1].parent if logs else folder)


def _repository(root: Path) -> Project:
    """A repository with one commit and the mission, with the user's own git configuration."""
    (root / ".kitty-flow" / "missions").mkdir(parents=True)
    (root / ".kitty-flow" / "missions" / "trial.toml").write_text(_MISSION, encoding="utf-8")
    (root / "README.md").write_text("# A trial\n", encoding="utf-8")
    git = Git(root)
    git.call("init", "--quiet", "--template=", "--initial-branch=main")
    for name, value in (("user.name", "kitty-flow trial"), ("user.email", "trial@localhost")):
        git.call("config", "--local", name, value)
    git.call("add", "--all")
    git.call("commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message=Start")
    return Project.discover(root)
