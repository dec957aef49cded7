"""The demo as its users see it: a real process, an empty home, and everything checked from outside."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

_LIMIT_S = 300
_COMMIT_OF_THE_USER = re.compile(r"Start |WP0[1-8]: |Merge WP0[1-8]: |Land ")
_SVG = "{http://www.w3.org/2000/svg}svg"


@dataclass(frozen=True)
class Played:
    """A demo that has been played: where, with which home, and what it printed."""

    cwd: Path
    home: Path
    exit: int
    stdout: str
    stderr: str

    @property
    def data(self) -> Any:
        """The data of the one JSON document."""
        return json.loads(self.stdout)["data"]

    @property
    def project(self) -> Path:
        """The repository."""
        return self.cwd / "kitty-flow-demo" / "project"

    def git(self, *arguments: str) -> str:
        """What git says in the project, without any configuration but the repository's own."""
        done = _run(["git", *arguments], self.project, self.home)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def _command() -> list[str]:
    """The installed console script where the built package is tested, else the package on the path."""
    if os.environ.get("KITTY_FLOW_TESTED") == "installed":
        return [str(Path(sys.executable).with_name("kitty-flow"))]
    return [sys.executable, "-P", "-m", "kitty_flow"]


def _run(
    command: Sequence[str], cwd: Path, home: Path, extra: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a process whose git finds nothing but what is in `home`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "XDG_"))}
    environment = {**kept, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command,
        cwd=cwd,
        env={**environment, **(extra or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=_LIMIT_S,
        check=False,
    )


def _play(folder: Path, *arguments: str) -> Played:
    home, cwd = folder / "home", folder / "work"
    home.mkdir(exist_ok=True)
    cwd.mkdir(exist_ok=True)
    done = _run([*_command(), "demo", *arguments], cwd, home)
    return Played(cwd, home, done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A demo for people."""
    played = _play(tmp_path_factory.mktemp("told"))
    assert played.exit == 0, played.stderr
    return played


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A demo for machines."""
    played = _play(tmp_path_factory.mktemp("played"), "--json")
    assert played.exit == 0, played.stderr + played.stdout
    return played


def test_json_is_one_document_and_nothing_else(played: Played) -> None:
    document = json.loads(played.stdout)
    assert document["schema"] == "kitty-flow/demo/1"
    assert document["ok"] is True
    assert document["error"] is None
    assert played.stderr == ""


def test_eight_work_packages_run_in_four_waves(played: Played) -> None:
    waves = played.data["waves"]
    assert [wave["number"] for wave in waves] == [1, 2, 3, 4]
    steps = [step for wave in waves for step in wave["work_packages"]]
    assert sorted(step["id"] for step in steps) == [f"WP0{n}" for n in range(1, 9)]
    assert {step["state"] for step in steps} == {"done"}
    assert [step["id"] for step in steps if step["execution_lane"] == "lane-planning"] == ["WP01"]
    assert all(step["seconds"] > 0 for step in steps)


def test_shared_files_put_two_work_packages_in_order(played: Played) -> None:
    (conflict,) = played.data["conflicts"]
    assert conflict["ordered"] == "WP05 before WP06"
    assert set(conflict["patterns"]) == {"pantry/__main__.py"}
    wave_of = {step["id"]: w["number"] for w in played.data["waves"] for step in w["work_packages"]}
    assert wave_of["WP05"] < wave_of["WP06"]


def test_one_review_rejects_and_the_rework_is_approved(played: Played) -> None:
    (rejection,) = played.data["rejections"]
    assert rejection["work_package_id"] == "WP05"
    assert rejection["reviewer"] != rejection["implementer"]
    places = {(found["path"], found["line"] > 0) for found in rejection["findings"]}
    assert places == {("pantry/scale.py", True)}
    assert played.git("merge-base", "--is-ancestor", rejection["rejected_commit"], rejection["approved_commit"]) == ""
    assert rejection["approved_commit"] != rejection["rejected_commit"]
    tries = {step["id"]: step["attempts"] for w in played.data["waves"] for step in w["work_packages"]}
    assert tries.pop("WP05") == 2
    assert set(tries.values()) == {1}


@pytest.mark.parametrize(
    ("commit", "verdict"), [("rejected_commit", "changes_requested"), ("approved_commit", "approved")]
)
def test_the_reviewer_judges_the_commit_and_not_the_attempt(
    played: Played, tmp_path: Path, commit: str, verdict: str
) -> None:
    reviewed = played.data["rejections"][0][commit]
    worktree, prompt, result = tmp_path / "worktree", tmp_path / "prompt.md", tmp_path / "result.json"
    played.git("worktree", "add", "--quiet", "--detach", str(worktree), reviewed)
    prompt.write_text(f"The commit under review is `{reviewed}`.\n")
    protocol = {"WP": "WP05", "WORKTREE": str(worktree), "PROMPT": str(prompt), "RESULT": str(result)}
    script = Path(played.data["agents"]) / "critic.py"
    done = _run(
        [sys.executable, "-B", str(script)],
        worktree,
        played.home,
        {f"KITTY_FLOW_{name}": value for name, value in protocol.items()},
    )
    played.git("worktree", "remove", "--force", str(worktree))
    assert done.returncode == 0, done.stderr
    written = json.loads(result.read_text())
    assert (written["verdict"], written["reviewed_commit"]) == (verdict, reviewed)


def test_what_landed_is_on_main_tested_and_proved(played: Played) -> None:
    landed = played.data["landed"]
    assert landed["holds"] is True
    assert len(landed["proved"]) == 8
    assert played.git("rev-parse", "main") == landed["commit"]
    assert played.git("rev-parse", "main^{tree}") == landed["tree"]
    assert played.git("status", "--porcelain") == ""
    done = _run([sys.executable, "-m", "unittest"], played.project, played.home)
    assert done.returncode == 0, done.stderr
    assert f"Ran {landed['tests_run']} tests" in done.stderr
    assert landed["tests_run"] > 10


def test_main_has_work_and_landing_commits_only(played: Played) -> None:
    subjects = played.git("log", "--format=%s", "main").splitlines()
    assert [s for s in subjects if not _COMMIT_OF_THE_USER.match(s)] == []
    assert sum(s.startswith("WP05: ") for s in subjects) == 2
    files = played.git("ls-tree", "-r", "--name-only", "main").splitlines()
    assert {"pantry/scale.py", "pantry/shopping.py", "docs/plan.md", "docs/guide.md"} <= set(files)


def test_the_ledger_is_where_the_summary_says(played: Played) -> None:
    ledger = played.data["ledger"]
    assert played.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/kitty/m") == (
        f"{ledger['ref']} {ledger['commit']}"
    )
    assert "WP05 in_review → planned (critic)" in played.git("log", "--format=%B", ledger["ref"])


def test_pictures_show_every_work_package(played: Played) -> None:
    pictures = {name: Path(path).read_text("utf-8") for name, path in played.data["pictures"].items()}
    for name in ("plan", "final"):
        assert ElementTree.fromstring(pictures[name]).tag == _SVG
    for text in pictures.values():
        assert all(f"WP0{number}" in text for number in range(1, 9))
    assert ">done<" not in pictures["plan"]
    assert pictures["final"].count(">done<") == 8


def test_home_and_everything_beside_the_demo_are_untouched(played: Played, told: Played) -> None:
    for one in (played, told):
        assert list(one.home.iterdir()) == []
        assert [path.name for path in one.cwd.iterdir()] == ["kitty-flow-demo"]


def test_every_command_of_the_summary_works_when_it_is_typed(played: Played) -> None:
    step_in, *commands = played.data["next_commands"]
    assert shlex.split(step_in) == ["cd", str(played.project)]
    assert len(commands) >= 5
    printed = {}
    for command in commands:
        done = _run(["sh", "-c", f"{step_in} && {command}"], played.cwd, played.home)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        printed[command.partition(" ")[2] if command.startswith("git") else command] = done.stdout
    everything = "\n".join(printed.values())
    assert "8 done" in everything
    assert "WP05 is done" in everything


def test_the_summary_fits_the_screen_and_names_what_matters(told: Played) -> None:
    lines = told.stdout.splitlines()
    typed = lines.index("Try")
    assert [line for line in lines[:typed] if len(line) > 80] == []
    text = told.stdout
    for words in (
        "8 work packages in 4 waves",
        "Sent back by review",
        "pantry/scale.py:",
        "WP05 before WP06: both may write pantry/__main__.py",
        told.git("rev-parse", "main"),
        "8 of 8 work packages on main",
        "kitty-flow-demo/mission.html",
        told.git("for-each-ref", "--format=%(refname)", "refs/kitty/m"),
        "cd kitty-flow-demo/project",
        "kitty-flow why WP05",
    ):
        assert words in text
    assert "\x1b" not in text


def test_progress_is_told_line_by_line_while_it_runs(told: Played) -> None:
    assert "1. a fresh repository" in told.stderr
    assert "WP05 in_review -> planned (critic): pantry/scale.py" in told.stderr
    assert told.stderr.index("4. the landing") > told.stderr.rindex("-> approved")


def test_inside_another_repository_with_a_hostile_configuration(tmp_path: Path) -> None:
    home, outer = tmp_path / "home", tmp_path / "work"
    hooks = home / "hooks"
    hooks.mkdir(parents=True)
    outer.mkdir()
    for name in ("pre-commit", "commit-msg", "reference-transaction", "post-checkout"):
        (hooks / name).write_text("#!/bin/sh\nexit 1\n")
        (hooks / name).chmod(0o755)
    (home / ".gitconfig").write_text(
        f"[core]\n\thooksPath = {hooks}\n\texcludesFile = {home / 'ignored'}\n[commit]\n\tgpgSign = true\n"
        "[gpg]\n\tprogram = false\n[init]\n\ttemplateDir = /nowhere\n[merge]\n\tff = only\n"
    )
    (home / "ignored").write_text("recipes\ndocs\n")
    before = {path.name: path.read_bytes() for path in home.iterdir() if path.is_file()}
    assert _run(["git", "init", "--quiet", "--template="], outer, tmp_path).returncode == 0
    played = _play(tmp_path, "--json")
    assert played.exit == 0, played.stdout
    assert {path.name: path.read_bytes() for path in home.iterdir() if path.is_file()} == before
    assert _run(["git", "status", "--porcelain"], outer, tmp_path).stdout == ""
    assert _run(["git", "for-each-ref"], outer, tmp_path).stdout == ""
    assert _run(["git", "worktree", "list"], outer, tmp_path).stdout.count("\n") == 1
