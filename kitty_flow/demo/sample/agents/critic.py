"""The reviewer of the sample: a script where a reviewing agent would be. It obeys the public protocol and nothing else.

It judges the commit by running it: first all tests of the project, then its own checks of the work package, which the
implementer does not have. It counts nothing and remembers nothing; bad work is rejected however often it comes.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Review the commit that the prompt names."""
    worktree = Path(os.environ["KITTY_FLOW_WORKTREE"])
    prompt = Path(os.environ["KITTY_FLOW_PROMPT"]).read_text(encoding="utf-8")
    asked = re.findall(r"^The commit under review is `([0-9a-f]{40,64})`", prompt, re.MULTILINE)
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=worktree, capture_output=True, text=True, check=True)
    commit = done.stdout.strip()
    if asked[:1] != [commit]:
        print(f"asked for {asked}, but the worktree is at {commit}", file=sys.stderr)
        return 1
    findings = failed_tests(worktree) or failed_checks(worktree, os.environ["KITTY_FLOW_WP"])
    summary = "; ".join(f"{f['path']}: {f['message']}" for f in findings) or "all tests and all checks pass"
    verdict = {
        "verdict": "changes_requested" if findings else "approved",
        "reviewed_commit": commit,
        "summary": summary,
        "findings": findings,
    }
    Path(os.environ["KITTY_FLOW_RESULT"]).write_text(json.dumps(verdict), encoding="utf-8")
    print(f"{verdict['verdict']}: {summary}")
    return 0


def failed_tests(worktree: Path) -> list[dict[str, Any]]:
    """Whether the project's own tests pass on this commit."""
    done = subprocess.run(
        [sys.executable, "-B", "-m", "unittest"],
        cwd=worktree,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    print(done.stdout, end="", flush=True)
    return [finding("tests", None, done.stdout[-500:])] if done.returncode else []


def failed_checks(worktree: Path, name: str) -> list[dict[str, Any]]:
    """Run the checks of one work package against the code of the worktree."""
    sys.path.insert(0, str(worktree))
    os.chdir(worktree)
    specification = importlib.util.spec_from_file_location(f"checks_{name}", HERE / "checks" / f"{name}.py")
    assert specification is not None and specification.loader is not None
    checks = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(checks)
    except (ImportError, AttributeError, SyntaxError) as error:
        return [finding("pantry", None, f"what {name} is to bring cannot be imported: {error}")]
    judge = Judge()
    unittest.defaultTestLoader.loadTestsFromModule(checks).run(judge)
    print(f"{judge.testsRun} checks of {name}, {len(judge.found)} failed", flush=True)
    path, line = place(checks.SUBJECT, worktree)
    return [finding(path, line, words) for words in judge.found]


class Judge(unittest.TestResult):
    """Keeps what was expected and what came instead, in words."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        """Note a check that failed."""
        super().addFailure(test, err)
        said = str(err[1]).strip().splitlines() or [type(err[1]).__name__]
        self.found.append(f"{test.shortDescription()}: {said[0]}")

    addError = addFailure


def place(subject: str | Callable[..., Any], worktree: Path) -> tuple[str, int | None]:
    """Where the checked thing is: a file by its name, or a function by its source."""
    if isinstance(subject, str):
        return subject, None
    source = Path(inspect.getsourcefile(subject) or "").resolve()
    return source.relative_to(worktree.resolve()).as_posix(), inspect.getsourcelines(subject)[1]


def finding(path: str, line: int | None, message: str) -> dict[str, Any]:
    """One finding as the protocol wants it."""
    return {"severity": "error", "path": path, "line": line, "message": message}


if __name__ == "__main__":
    sys.exit(main())
