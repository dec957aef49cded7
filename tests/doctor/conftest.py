"""Repositories for the doctor: missions that real processes have worked on."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_AGENT = """\
import json, os, subprocess
from pathlib import Path

head = ["git", "rev-parse", "HEAD"]
if os.environ["KITTY_FLOW_ACTION"] == "review":
    commit = subprocess.run(head, capture_output=True, text=True, check=True).stdout.strip()
    result = {"verdict": "approved", "reviewed_commit": commit, "summary": "fine"}
else:
    work_package = os.environ["KITTY_FLOW_WP"]
    Path(work_package + ".txt").write_text(work_package)
    subprocess.run(["git", "add", "-A"], check=True)
    subprocess.run(["git", "commit", "-q", "-m", work_package], check=True)
    result = {"outcome": "success", "summary": "done"}
Path(os.environ["KITTY_FLOW_RESULT"]).write_text(json.dumps(result))
"""

_MISSION = """\
[mission]
title = "{slug}"
target_branch = "trunk"

[[work_package]]
id = "WP01"
title = "First"
owned_files = ["WP01.txt"]

[[work_package]]
id = "WP02"
title = "Second"
dependencies = ["WP01"]
owned_files = ["WP02.txt"]
"""


@dataclass(frozen=True)
class Ward:
    """A repository, and what a test does to it and asks about it."""

    root: Path
    kitty: Callable[..., Any]

    def git(self, *arguments: str, stdin: bytes | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, input=stdin, capture_output=True, check=True, timeout=60
        )
        return done.stdout.decode().strip()

    def add_mission(self, slug: str) -> str:
        """Import a mission; returns its id."""
        path = self.root.parent / f"{slug}.toml"
        path.write_text(_MISSION.format(slug=slug))
        done = self.kitty("mission", "import", path, "--json", cwd=self.root)
        assert done.exit == 0, done.stdout
        return str(done.json["data"]["mission"]["id"])

    def run(self, slug: str) -> None:
        """Drive a mission until everything is approved."""
        script = self.root.parent / "agent.py"
        script.write_text(_AGENT)
        command = shlex.join([sys.executable, str(script)])
        done = self.kitty("run", slug, "--command", command, "--review-command", command, cwd=self.root)
        assert done.exit == 0, done.stderr

    def merge(self, slug: str, *overridden: str) -> None:
        """Land a mission, whatever these gates say."""
        words = [word for gate in overridden for word in ("--override", gate, "--reason", "a test")]
        done = self.kitty("merge", slug, "--test-command", "true", *words, cwd=self.root)
        assert done.exit == 0, done.stderr

    def examine(self, *part: str) -> list[dict[str, str]]:
        """The findings of the doctor, with the exit status checked against them."""
        done = self.kitty("doctor", *part, "--json", cwd=self.root)
        findings: list[dict[str, str]] = done.json["data"]["findings"]
        assert done.exit == (4 if any(f["status"] == "problem" for f in findings) else 0)
        return findings

    def rewrite(self, mission_id: str, path: str, change: Callable[[bytes], bytes]) -> None:
        """Change one file of a ledger behind kitty-flow's back."""
        ref = f"refs/kitty/m/{mission_id}"
        full = self.git("ls-tree", "-r", "--name-only", ref, path).splitlines()[0]
        content = subprocess.run(
            ["git", "cat-file", "blob", f"{ref}:{full}"], cwd=self.root, capture_output=True, check=True, timeout=60
        ).stdout
        blob = self.git("hash-object", "-w", "--stdin", stdin=change(content))
        index = {**os.environ, "GIT_INDEX_FILE": str(self.root.parent / f"index-{mission_id}")}
        for words in (["read-tree", ref], ["update-index", "--cacheinfo", f"100644,{blob},{full}"]):
            subprocess.run(["git", *words], cwd=self.root, env=index, check=True, timeout=60)
        done = subprocess.run(
            ["git", "write-tree"], cwd=self.root, env=index, capture_output=True, text=True, check=True, timeout=60
        )
        message = self.git("log", "-1", "--format=%B", ref)
        commit = self.git("commit-tree", done.stdout.strip(), "-p", ref, "-m", message)
        self.git("update-ref", ref, commit)

    def rewrite_events(self, mission_id: str, change: Callable[[list[dict[str, Any]]], None]) -> None:
        """Change the decoded events of the first segment of a ledger."""

        def on_bytes(content: bytes) -> bytes:
            events = [json.loads(line) for line in content.splitlines()]
            change(events)
            return b"".join(json.dumps(event, sort_keys=True).encode() + b"\n" for event in events)

        self.rewrite(mission_id, "log/", on_bytes)

    def obey(self, remedy: str) -> None:
        """Do what a remedy says."""
        for words in remedy.split(" && "):
            subprocess.run(shlex.split(words), cwd=self.root, check=True, timeout=60, capture_output=True)


@pytest.fixture
def ward(repo: Path, kitty: Callable[..., Any]) -> Ward:
    """A repository without missions."""
    return Ward(repo, kitty)
