"""Hooks: told after the commit, in order, beside the command; whatever they do, the command's outcome is its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from workbench import Workbench

ONE = {"WP01": {"owned_files": ["core.txt"]}}

RECORDER = """\
import json, os, sys
with open(sys.argv[1], "a", encoding="utf-8") as stream:
    told = json.load(sys.stdin)
    told["in_hook"] = os.environ.get("KITTY_FLOW_HOOK")
    stream.write(json.dumps(told) + "\\n")
"""


def hook(bench: Workbench, events: list[str], program: str, *words: str, timeout_s: float = 10, more: str = "") -> None:
    """Settings with one hook that runs a Python program."""
    path = bench.root.parent / "hook.py"
    path.write_text(program, encoding="utf-8")
    command = [sys.executable, "-I", "-S", str(path), *words]
    bench.settings(
        f"[[hooks]]\nevents = {json.dumps(events)}\ncommand = {json.dumps(command)}\ntimeout_s = {timeout_s}\n{more}"
    )


def told(path: Path) -> list[dict[str, Any]]:
    """The documents that the recording hook got."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def notes(bench: Workbench) -> Path:
    """Where the recording hook writes; it hears of every work package."""
    bench.mission(ONE)
    path = bench.root.parent / "notes.jsonl"
    hook(bench, ["work_package.*", "mission.accepted", "run.*"], RECORDER, str(path))
    return path


def test_transitions_by_next_and_wp_reach_the_hook_with_their_states(bench: Workbench, notes: Path) -> None:
    envelope = bench.kitty("next", "--agent", "ann", "-m", bench.slug)
    assert envelope["diagnostics"] == []
    bench.kitty("wp", "block", "WP01", "--reason", "no key", "-m", bench.slug)
    documents = told(notes)
    names = [event["name"] for document in documents for event in document["events"]]
    assert names == [f"work_package.{event}" for event in ("claimed", "started", "released", "blocked")]
    last = documents[-1]
    assert last["schema"] == "kitty-flow/hook/1"
    assert last["mission"]["slug"] == bench.slug
    assert last["events"][-1]["reason"] == "no key"
    assert last["work_packages"]["WP01"]["state"] == "blocked"
    assert last["work_packages"]["WP01"]["holder"] == "ann"
    assert {document["in_hook"] for document in documents} == {"1"}


def test_a_run_tells_its_end_once_everything_is_durable(bench: Workbench, notes: Path) -> None:
    bench.kitty(*bench.run_words())
    names = [event["name"] for document in told(notes) for event in document["events"]]
    assert names.count("work_package.approved") == 1
    assert names[-1] == "mission.accepted"
    assert [name for name in names if name.startswith("run.")] == ["run.started", "run.ended"]
    assert not [name for name in names if name.startswith("invocation.")], "not asked for"


def test_reading_commands_and_adoption_run_no_hook(bench: Workbench, notes: Path) -> None:
    for words in (("plan", bench.slug), ("status", bench.slug), ("why", "WP01", "-m", bench.slug)):
        bench.kitty(*words)
    bench.kitty("next", "--agent", "ann", "--peek", "-m", bench.slug)
    assert not notes.exists()


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import sys; print('broken \\x1b[31m'); sys.exit(3)", "ended with status 3"),
        ("import time; time.sleep(600)", "took longer than 0.5 s and was killed|could not wait any longer"),
        (
            "import subprocess, sys, time\n"
            "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', 'straggler-of-hook'])\n"
            "sys.exit(3)",
            "ended with status 3",
        ),
    ],
    ids=["fails", "hangs", "leaves a child"],
)
def test_a_failing_hook_is_a_warning_and_leaves_nothing_behind(bench: Workbench, program: str, words: str) -> None:
    bench.mission(ONE)
    hook(bench, ["work_package.claimed"], program, timeout_s=0.5)
    envelope = bench.kitty("next", "--agent", "ann", "-m", bench.slug)
    assert envelope["data"]["kind"] == "step"
    (remark,) = envelope["diagnostics"]
    assert (remark["diagnostic_code"], remark["severity"], remark["phase"]) == ("HOOK_FAILED", "warning", "hooks")
    assert any(word in remark["message"] for word in words.split("|"))
    log = (bench.root / ".git" / "kitty-flow" / "hooks.log").read_text(encoding="utf-8")
    assert "work_package.claimed" in log
    assert "\x1b" not in log
    left = [p for p in psutil.process_iter(["cmdline"]) if "straggler-of-hook" in (p.info["cmdline"] or [])]
    assert [p for p in left if p.status() != psutil.STATUS_ZOMBIE] == []


def test_a_missing_program_is_a_warning(bench: Workbench) -> None:
    bench.mission(ONE)
    bench.settings('[[hooks]]\nevents = ["*"]\ncommand = ["no-such-program-here"]\n')
    (remark,) = bench.kitty("next", "--agent", "ann", "-m", bench.slug)["diagnostics"]
    assert "could not be started" in remark["message"]


def test_a_hook_that_moves_something_tells_no_hooks(bench: Workbench) -> None:
    bench.mission(ONE)
    notes = bench.root.parent / "notes.jsonl"
    words = [*bench.command, "wp", "block", "WP01", "--reason", "by a hook", "-m", bench.slug]
    program = f"{RECORDER}\nimport subprocess\nif told['events'][-1]['name'] == 'work_package.started':\n"
    program += f"    subprocess.run({words!r}, check=True)\n"
    hook(bench, ["work_package.*"], program, str(notes), timeout_s=60)
    bench.kitty("next", "--agent", "ann", "-m", bench.slug)
    assert bench.kitty("wp", "show", "WP01", "-m", bench.slug)["data"]["state"] == "blocked"
    names = [event["name"] for document in told(notes) for event in document["events"]]
    assert "work_package.blocked" not in names


def test_a_pattern_that_matches_nothing_is_refused_with_what_was_meant(bench: Workbench) -> None:
    bench.mission(ONE)
    bench.settings('[[hooks]]\nevents = ["work_package.block"]\ncommand = ["x"]\ntimeout = 3\n')
    error = bench.refusal(*bench.run_words(), exit=3)
    text = json.dumps(error["details"]["problems"])
    assert "did you mean work_package.blocked?" in text
    assert "hooks.0.timeout" in text


def test_settings_that_cannot_be_read_are_told_of(bench: Workbench) -> None:
    bench.mission(ONE)
    bench.kitty("plan", bench.slug)
    bench.settings("[[hooks]]\n")
    envelope = bench.kitty("wp", "block", "WP01", "--reason", "r", "-m", bench.slug)
    assert [d["diagnostic_code"] for d in envelope["diagnostics"]] == ["HOOKS_NOT_TOLD"]
