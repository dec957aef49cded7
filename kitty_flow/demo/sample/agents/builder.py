"""The implementer of the sample: a script where a coding agent would be. It obeys the public protocol and nothing else.

It "knows" its work from the folder `work`, and what to change after a review from the folder `rework`. Everything else
is real: it reads the prompt, edits the files of its worktree, runs the tests, commits, and writes its result.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Do the work package that the environment names."""
    name = os.environ["KITTY_FLOW_WP"]
    worktree = Path(os.environ["KITTY_FLOW_WORKTREE"])
    prompt = Path(os.environ["KITTY_FLOW_PROMPT"]).read_text(encoding="utf-8")
    findings = review_findings(prompt)
    source = HERE / ("rework" if findings else "work") / name
    edits = {path.relative_to(source).as_posix(): path for path in sorted(source.rglob("*")) if path.is_file()}
    unknown = [finding["path"] for finding in findings if finding["path"] not in edits]
    if not edits or unknown:
        return report("blocked", f"nothing is known about {', '.join(unknown) or name}")
    for path, content in edits.items():
        (worktree / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(content, worktree / path)
        print(f"wrote {path}", flush=True)
    tests = run(sys.executable, "-B", "-m", "unittest")
    if tests.returncode:
        return report("failed", f"the tests do not pass: {tests.stdout[-2000:]}")
    message = f"{name}: {correction(findings[0]) if findings else title(prompt)}"
    for command in (["add", "--", *edits], ["commit", "--quiet", f"--message={message}"]):
        done = run("git", *command)
        if done.returncode:
            return report("failed", f"git {command[0]} did not work: {done.stdout[-2000:]}")
    changed = f"{'reworked' if findings else 'wrote'} {', '.join(edits)}; all tests pass"
    return report("success", changed, dict.fromkeys(subtasks(prompt), "done"))


def review_findings(prompt: str) -> list[dict[str, str]]:
    """What the last review found; nothing on the first attempt."""
    parts = re.findall(
        r"^## Feedback on the last attempt$.*?^(`{3,})json\n(.*?)\n\1$", prompt, re.DOTALL | re.MULTILINE
    )
    found: list[dict[str, str]] = json.loads(parts[-1][1])["findings"] if parts else []
    return found


def correction(finding: dict[str, str]) -> str:
    """What a commit after a review says."""
    return f"correct {finding['path']}, {finding['message'].partition(': ')[0]}"


def title(prompt: str) -> str:
    """The first line of the first block after the heading: what the work package is called."""
    found = re.search(r"^# Implement .*?^`{3,}text\n(.*?)\n", prompt, re.DOTALL | re.MULTILINE)
    return found[1] if found else "done"


def subtasks(prompt: str) -> list[str]:
    """The ids of the subtasks, such as T003."""
    return re.findall(r"^(T\d{3})\b", prompt, re.MULTILINE)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program in the worktree; what it prints also goes to our own output, which kitty-flow keeps."""
    done = subprocess.run(
        command, cwd=os.environ["KITTY_FLOW_WORKTREE"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    print(done.stdout, end="", flush=True)
    return done


def report(outcome: str, summary: str, tasks: dict[str, str] | None = None) -> int:
    """Write the result file."""
    result = {"outcome": outcome, "summary": summary, "subtasks": tasks or {}, "reason": None}
    if outcome != "success":
        result["reason"] = summary
    Path(os.environ["KITTY_FLOW_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
    print(f"{outcome}: {summary}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
