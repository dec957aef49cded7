"""What people see of a run: a board on a terminal, lines elsewhere, nothing when they want nothing, and a report."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from workbench import DIAMOND, Workbench, agent

sys.path.insert(0, str(Path(__file__).parents[1] / "views"))

from terminal import Terminal

TWO = {name: DIAMOND[name] for name in ("WP01", "WP02")}
RUN = ("--command", agent("implementer"), "--review-command", agent("reviewer"))


def on_a_terminal(bench: Workbench, *words: str, **env: str) -> tuple[int, str]:
    """Run a command on a terminal of 80 columns; returns its exit status and all that the terminal got."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*bench.command, *words],
        cwd=bench.root,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "CI": "", **env},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    seen = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):
            while data := os.read(master, 65536):
                seen.extend(data)

    reader = threading.Thread(target=read)
    reader.start()
    status = process.wait(timeout=120)
    reader.join(timeout=30)
    os.close(master)
    return status, seen.decode()


@pytest.mark.slow
def test_a_board_is_painted_while_the_run_goes_on_and_the_report_stays(bench: Workbench) -> None:
    bench.mission(TWO, title="計画 \x1b]0;owned\x07")
    status, seen = on_a_terminal(bench, "run", "sample", *RUN)
    assert status == 0, seen
    assert "\x1b[" in seen.partition("WP01")[0], "a frame begins with a control sequence"
    terminal = Terminal(columns=80)
    terminal.feed(_without_report_styles(seen))
    shown = "\n".join(terminal.shown())
    assert shown.startswith("WP    TITLE"), "no frame is left above the report"
    assert "2 of 2 work packages approved, in 2 of 2 waves" in shown
    assert "next: kitty-flow merge sample" in shown
    assert "planned ->" not in shown
    assert "\x1b]0;" not in seen


def _without_report_styles(seen: str) -> str:
    """rich writes styles of more kinds than the board does."""
    return seen.replace("\x1b[1;32m", "\x1b[32m").replace("\x1b[1;31m", "\x1b[31m")


@pytest.mark.slow
def test_plain_lines_tell_every_step_once_and_quiet_tells_none(bench: Workbench) -> None:
    bench.mission(TWO)
    process = bench.start("run", "sample", "--until", "1", *RUN)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0
    told = [line.split(" ", 1)[1].rsplit(" (", 1)[0] for line in stderr.splitlines() if " -> " in line]
    steps = [
        f"{event['mission_slug'] if event['entity_type'] == 'mission' else event['entity_id']} "
        f"{event['from_state']} -> {event['to_state']}"
        for event in bench.events()
        if event["entity_type"] in ("work_package", "mission") and event["kind"] == "transition"
    ]
    assert told == [step for step in steps if step.split()[1] != "None" and "draft" not in step]
    assert "WP01  " in stdout and "\x1b" not in stdout + stderr
    process = bench.start("run", "sample", "--quiet", *RUN)
    stdout, stderr = process.communicate(timeout=120)
    assert (process.returncode, stderr) == (0, "")
    assert stdout == "1 of 1 work packages of this run are approved\n"


@pytest.mark.slow
def test_ci_gets_lines_on_a_terminal(bench: Workbench) -> None:
    bench.mission(TWO)
    status, seen = on_a_terminal(bench, "run", "sample", "--until", "1", *RUN, CI="true", NO_COLOR="1")
    assert status == 0
    assert "WP01 planned -> claimed" in seen
    assert not re.search(r"\x1b\[\d*[A-LN-Za-ln-z]|\x1b\[[\d;]*3\dm", seen), "nothing is painted over, nothing coloured"


def _watcher(bench: Workbench) -> subprocess.Popen[str]:
    """A watch that has begun, so that it sees whatever is done from now on."""
    watcher = bench.start("status", "--watch")
    assert watcher.stderr is not None
    assert watcher.stderr.readline().startswith("watching sample, which is planned;")
    return watcher


def test_the_watch_ends_with_the_mission_and_shows_what_others_do(bench: Workbench) -> None:
    bench.mission(TWO)
    bench.kitty("plan", "sample")
    watcher = _watcher(bench)
    bench.run()
    stdout, stderr = watcher.communicate(timeout=60)
    assert watcher.returncode == 0
    assert "sample  accepted" in stdout
    assert stderr.splitlines()[-1].partition(" ")[2].startswith("sample running -> accepted")


def test_ctrl_c_ends_the_watch_and_json_refuses_it(bench: Workbench) -> None:
    bench.mission(TWO)
    bench.kitty("plan", "sample")
    watcher = _watcher(bench)
    bench.kitty("wp", "block", "WP02", "--reason", "first")
    assert watcher.stderr is not None
    assert "WP02 planned -> blocked" in watcher.stderr.readline()
    watcher.send_signal(signal.SIGINT)
    stdout, stderr = watcher.communicate(timeout=60)
    assert (watcher.returncode, stdout) == (130, "")
    assert "no longer watching sample, which is planned" in stderr
    assert bench.refusal("status", "--watch", exit=2)["code"] == "WATCH_IS_FOR_PEOPLE"


@pytest.mark.slow
def test_a_killed_run_has_its_report(bench: Workbench, tmp_path: Path) -> None:
    bench.mission(TWO)
    bench.env["KITTY_FLOW_FAILPOINT"] = "ref.commit#7:exit"
    bench.kitty(*bench.run_words(), exit=86)
    del bench.env["KITTY_FLOW_FAILPOINT"]
    page = tmp_path / "report.md"
    data = bench.kitty("status", "sample", "--report", page)["data"]
    assert data["output"] == str(page)
    assert data["report"]["work_packages"]["WP01"]["attempts"] == 1
    text = page.read_text(encoding="utf-8")
    assert "0 of 2 work packages approved" in text
    assert "kitty-flow run sample" in text


@pytest.mark.slow
def test_the_report_tells_failures_with_the_log_and_what_was_used(bench: Workbench) -> None:
    bench.mission({"WP01": {"owned_files": ["a"]}, "WP02": {"owned_files": ["b"]}})
    bench.settings("[run]\nmax_attempts = 1\n")
    script = bench.root.parent / "tells.py"
    script.write_text(
        "import json, os, sys\n"
        "if os.environ['KITTY_FLOW_WP'] == 'WP02':\n"
        "    print('# [click](http://evil) `tick` |'); sys.exit(3)\n"
        "result = {'outcome': 'blocked', 'reason': '```\\n# EVIL\\n<script>',"
        " 'tokens': {'input': 1200, 'output': 34}, 'cost_usd': 0.5}\n"
        "json.dump(result, open(os.environ['KITTY_FLOW_RESULT'], 'w'))\n"
    )
    command = f"{sys.executable} -I -S {script}"
    data = bench.kitty("run", "sample", "--command", command, "--review-command", agent("reviewer"), exit=7)["data"]
    assert set(data["work_packages"]) == {"WP01", "WP02"}
    shown = bench.kitty("status", "sample", "--report", "-")["data"]
    report, text = shown["report"], shown["text"]
    failure = report["work_packages"]["WP02"]["failure"]
    assert failure["code"] == "AGENT_FAILED"
    assert Path(failure["log_path"]).read_text() == "# [click](http://evil) `tick` |\n"
    assert failure["log_path"] in text
    outside = _outside_code(text)
    for hostile in ("EVIL", "script", "http", "click"):
        assert hostile not in outside
    assert "kitty-flow why WP01 -m sample" in text
    why = bench.kitty("why", "WP02")["data"]
    assert why["summary"].endswith(f"; the last output: {failure['log_path']}")


@pytest.mark.slow
def test_a_failure_stays_in_the_report_when_a_later_attempt_passes(bench: Workbench) -> None:
    bench.mission({"WP01": {"owned_files": ["a"]}})
    once = bench.root.parent / "once"
    script = bench.root.parent / "fails-once.sh"
    script.write_text(
        f"#!/bin/sh\nmkdir '{once}' 2>/dev/null && {{ echo no luck; exit 3; }}\nexec {agent('implementer')}\n"
    )
    script.chmod(0o755)
    bench.kitty("run", "sample", "--command", str(script), "--review-command", agent("reviewer"))
    shown = bench.kitty("status", "sample", "--report", "-")["data"]
    failure = shown["report"]["work_packages"]["WP01"]["failure"]
    assert (failure["code"], failure["is_overcome"]) == ("AGENT_FAILED", True)
    assert "no luck" in shown["text"] and failure["log_path"] in shown["text"]
    assert "a later one did not" in shown["text"]


def test_an_error_on_a_terminal_is_broken_between_words(bench: Workbench) -> None:
    bench.mission(TWO)
    bench.kitty("plan", "sample")
    words = ("wp", "unblock", "WP01", "--reason", "why not")
    status, seen = on_a_terminal(bench, *words, COLUMNS="40")
    lines = seen.replace("\r", "").splitlines()
    told = "error: WP01 is planned, so it cannot be unblocked; it can be blocked or canceled"
    assert (status, " ".join(lines[:-1]), lines[-1]) == (4, told, "hint: kitty-flow why WP01 -m sample")
    assert max(map(len, lines)) <= 40


def _outside_code(markdown: str) -> str:
    """What is neither in a fenced block nor in inline code, as CommonMark has it."""
    kept, fence = [], ""
    for line in markdown.splitlines():
        ticks = line[: len(line) - len(line.lstrip("`"))]
        if fence:
            fence = "" if line.strip() == ticks and len(ticks) >= len(fence) else fence
        elif len(ticks) >= 3:
            fence = ticks
        else:
            kept.append(_outside_spans(line))
    assert not fence
    return "\n".join(kept)


def _outside_spans(line: str) -> str:
    kept = ""
    while line:
        before, tick, rest = line.partition("`")
        kept += before
        if not tick:
            return kept
        width = 1 + len(rest) - len(rest.lstrip("`"))
        rest = rest.lstrip("`")
        end = next((n for n in range(len(rest)) if _run_at(rest, n) == width), None)
        if end is None:
            kept, line = kept + "`" * width, rest
        else:
            line = rest[end + width :]
    return kept


def _run_at(text: str, place: int) -> int:
    """The length of the run of backticks that begins at a place; 0 in the middle of one."""
    if text[place] != "`" or (place and text[place - 1] == "`"):
        return 0
    return len(text[place:]) - len(text[place:].lstrip("`"))


def test_usage_is_added_up_from_the_ledger(bench: Workbench) -> None:
    bench.mission({"WP01": {"owned_files": ["one.txt"]}})
    step = bench.kitty("next", "--agent", "ann")["data"]
    (Path(step["worktree"]) / "one.txt").write_text("made\n")
    bench.git("add", "one.txt", cwd=Path(step["worktree"]))
    bench.git("commit", "-q", "-m", "Work", cwd=Path(step["worktree"]))
    told = {"outcome": "success", "summary": "x", "tokens": {"input": 1000, "output": 20}, "cost_usd": 0.25}
    Path(step["result_path"]).write_text(json.dumps(told))
    bench.kitty("next", "--agent", "ann", "--result", step["result_path"])
    report = bench.kitty("status", "sample", "--report", "-")["data"]["report"]
    assert report["usage"] == {"tokens": {"input": 1000, "output": 20}, "cost_usd": 0.25, "unknown": 0}
    assert report["work_packages"]["WP01"]["implementers"] == ["ann"]
