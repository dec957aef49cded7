"""Runs beside runs, pauses, gates between waves: who may do what, and what each of them says."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from workbench import DIAMOND, Workbench, agent

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.executor import Job
from kitty_flow.flow.mission import open_mission
from kitty_flow.flow.project import Project
from kitty_flow.flow.run import RunOptions, run_mission

sys.path.insert(0, str(Path(__file__).parents[1] / "agents"))

from memory_executor import MemoryExecutor

pytestmark = pytest.mark.slow

PAIR: dict[str, dict[str, Any]] = {
    "WP01": {"owned_files": ["one.txt"]},
    "WP02": {"owned_files": ["two.txt"], "dependencies": ["WP01"]},
}
SIDE_BY_SIDE: dict[str, dict[str, Any]] = {name: {"owned_files": [f"{name}.txt"]} for name in ("WP01", "WP02")}

# An implementer that first does something to the run, once: the shell command in its place.
_MEDDLER = """\
#!/bin/sh
if test "$KITTY_FLOW_WP" = {wp} && mkdir {once} 2>/dev/null; then
{commands}
fi
exec {honest}
"""


def meddler(bench: Workbench, commands: str, *, wp: str = "WP01") -> str:
    """The command of an honest implementer that runs `commands` before it begins, for one work package and once."""
    script = bench.root.parent / "meddler.sh"
    once = shlex.quote(str(bench.root.parent / "once"))
    text = _MEDDLER.format(wp=wp, once=once, commands=commands, honest=agent("implementer"))
    script.write_text(text, encoding="utf-8")
    script.chmod(0o755)
    return str(script)


def kitty_command(bench: Workbench, *words: str, answer: str) -> str:
    """A shell line that runs kitty-flow as another terminal would, and keeps its answer."""
    line = shlex.join([*bench.command, *words, "--json"])
    place = shlex.quote(str(bench.root))
    path = shlex.quote(os.environ.get("PYTHONPATH", ""))
    return f"(cd {place} && PYTHONPATH={path} {line} > {shlex.quote(str(bench.root.parent / answer))} 2>/dev/null)"


def answer(bench: Workbench, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bench.root.parent / name).read_text(encoding="utf-8"))
    return found


def run_with(bench: Workbench, implementer: str, *words: str, exit: int = 0) -> dict[str, Any]:
    reviewer = ("--review-command", agent("reviewer"))
    return bench.kitty("run", "sample", "--command", implementer, *reviewer, *words, exit=exit)


def test_a_second_run_is_told_whose_the_first_is(bench: Workbench) -> None:
    bench.mission(PAIR)
    second = kitty_command(bench, *bench.run_words(), answer="second")
    done = run_with(bench, meddler(bench, second))
    refused = answer(bench, "second")["error"]
    assert refused["code"] == "RUN_ACTIVE"
    (run,) = refused["details"]["runs"]
    assert run["run_id"] == done["data"]["run_id"]
    assert f"pid {run['pid']} on {run['host']}" in refused["message"]
    assert "--join" in refused["hint"]
    started = [e for e in bench.events() if e["trigger"] == "run_started"]
    assert [(e["evidence"]["run_id"], e["evidence"]["pid"]) for e in started] == [(run["run_id"], run["pid"])]
    assert [e["evidence"]["outcome"] for e in bench.events() if e["trigger"] == "run_ended"] == ["none"]
    bench.expect_sound_ledger()


def test_a_run_that_joins_shares_the_queue(bench: Workbench) -> None:
    """The first run's only agent waits for what the second run does meanwhile; and then the first for the second."""
    chains = {"WP03": {"owned_files": ["3"], "dependencies": ["WP02"]}, "WP04": {"dependencies": ["WP01"]}}
    bench.mission({**SIDE_BY_SIDE, **chains})
    helped, once = bench.root.parent / "helped", bench.root.parent / "once"
    waiting = meddler(bench, f"until test -d {shlex.quote(str(helped))}; do sleep 0.1; done")
    reviewer = bench.root.parent / "reviewer.sh"
    done = f"test $KITTY_FLOW_WP = WP03 && mkdir {shlex.quote(str(helped))}"
    reviewer.write_text(f"#!/bin/sh\n{done}\nexec {agent('reviewer')}\n", encoding="utf-8")
    reviewer.chmod(0o755)
    words = ("run", "sample", "-j", "1", "--schedule", "eager", "--review-command")
    first = bench.start(*words, agent("reviewer"), "--command", waiting, "--json")
    while not once.exists():
        assert first.poll() is None
    joined = bench.kitty(*words, str(reviewer), "--command", agent("implementer"), "--join")["data"]
    first_data = json.loads(first.communicate(timeout=120)[0])["data"]
    assert (first.returncode, first_data["joined"], joined["joined"], joined["recovered"]) == (0, False, True, [])
    assert set(bench.states().values()) == {"approved"}
    runs = {e["entity_id"]: e["correlation_id"] for e in bench.events() if e["trigger"] == "claim"}
    assert (runs["WP01"], runs["WP03"]) == (first_data["run_id"], joined["run_id"])
    assert [trigger for _, trigger in bench.steps()].count("claim") == 4
    bench.expect_sound_ledger()


def test_joining_without_a_run_is_a_run(bench: Workbench) -> None:
    bench.mission({"WP01": {"owned_files": ["one.txt"]}})
    bench.kitty(*bench.run_words("kill-unsaved"), exit=-signal.SIGKILL)
    done = bench.kitty(*bench.run_words(), "--join")["data"]
    assert (done["joined"], done["recovered"]) == (False, ["WP01"])


def test_a_merge_waits_for_no_run(bench: Workbench) -> None:
    bench.mission(PAIR)
    merge = kitty_command(bench, "merge", "sample", "--test-command", "true", answer="merge")
    run_with(bench, meddler(bench, merge))
    assert answer(bench, "merge")["error"]["code"] == "RUN_ACTIVE"


def test_a_pause_lets_what_runs_finish(bench: Workbench) -> None:
    bench.mission(SIDE_BY_SIDE)
    pause = kitty_command(bench, "mission", "pause", "sample", "--reason", "lunch", answer="pause")
    error = run_with(bench, meddler(bench, pause), "-j", "1", exit=4)["error"]
    assert error["code"] == "RUN_PAUSED"
    assert "mission resume sample" in error["hint"]
    assert bench.states() == {"WP01": "for_review", "WP02": "planned"}
    bench.kitty("mission", "resume", "sample")
    done = bench.run()["data"]["work_packages"]
    assert {name: (o["state"], o["attempts"]) for name, o in done.items()} == {
        "WP01": ("approved", 1),
        "WP02": ("approved", 1),
    }


def test_recovery_leaves_alone_what_an_agent_took_by_hand(bench: Workbench) -> None:
    bench.mission(SIDE_BY_SIDE)
    step = bench.kitty("next", "--agent", "amy")["data"]
    done = bench.run(exit=4)["data"]
    assert done["recovered"] == []
    held = bench.kitty("wp", "show", step["wp_id"])["data"]
    assert (held["state"], held["epoch"]) == ("in_progress", step["epoch"])
    assert done["work_packages"][step["wp_id"]]["code"] == "NOT_PLANNED"


def test_a_run_says_who_holds_what_everything_waits_for(bench: Workbench) -> None:
    bench.mission(DIAMOND)
    bench.kitty("next", "--agent", "amy")
    error = bench.run(exit=4)["error"]
    assert error["message"] == "WP01 is held by amy, and 3 wait for it"
    assert error["hint"] == "kitty-flow run sample --wait"
    assert error["details"]["work_packages"] == ["WP01", "WP02", "WP03", "WP04"]


GATED = '[run]\nwave_gate = ["sh", "-c", "{command}"]\n'


def test_a_wave_begins_when_the_gate_behind_the_last_one_is_green(bench: Workbench) -> None:
    """Asked once for each tree, in a clean worktree, with what the wave brought in it."""
    bench.mission(PAIR)
    seen = bench.root.parent / "seen"
    bench.settings(GATED.format(command=f"ls | tr '\\\\n' ' ' >> '{seen}'; echo >> '{seen}'"))
    bench.run()
    assert seen.read_text(encoding="utf-8").split("\n") == ["README.md one.txt ", "README.md one.txt two.txt ", ""]
    gates = [e["evidence"]["wave_gate"] for e in bench.events() if e["trigger"] == "wave_gate"]
    assert [(g["wave"], g["passed"], g["tree"]) for g in gates] == [
        (1, True, bench.tree(f"{bench.mission_branch}~1")),
        (2, True, bench.tree(bench.mission_branch)),
    ]
    bench.run()
    assert len(seen.read_text(encoding="utf-8").splitlines()) == 2
    assert bench.git("worktree", "list").count("gates") == 0


@pytest.mark.parametrize(
    ("command", "says"),
    [("echo it is broken; exit 3", "ended with status 3"), ("kill -9 $$", "was killed"), ("sleep 60", "took longer")],
)
def test_a_red_gate_stops_the_run(bench: Workbench, command: str, says: str) -> None:
    bench.mission(PAIR)
    bench.settings(GATED.format(command=command) + "wave_gate_timeout_s = 0.3\n")
    error = bench.run(exit=4)["error"]
    assert error["code"] == "WAVE_GATE_RED"
    assert says in error["message"]
    assert ("it is broken" in error["details"]["tail"]) is ("broken" in command)
    assert bench.states() == {"WP01": "approved", "WP02": "planned"}
    bench.settings(GATED.format(command="true"))
    bench.run()
    assert set(bench.states().values()) == {"approved"}


def test_the_loop_needs_only_the_port_of_an_executor(bench: Workbench) -> None:
    """Agents that are functions in memory: what a distributed executor gets is enough to do the work elsewhere."""
    bench.mission(PAIR)
    bench.kitty("plan")

    def work(job: Job, stop: threading.Event) -> int:
        role = "reviewer" if job.variables["KITTY_FLOW_ACTION"] == "review" else "implementer"
        environment = {**os.environ, **json.loads(json.dumps(dict(job.variables)))}
        return subprocess.run(shlex.split(agent(role)), cwd=job.cwd, env=environment, timeout=60).returncode

    agents = (AgentSpec("builder", ("nobody",)), AgentSpec("critic", ("nobody",)))
    with open_mission(Project.discover(bench.root), "sample") as mission:
        report = run_mission(mission, RunOptions(*agents), executor=MemoryExecutor(work))
    assert (report.exit_status, report.mission_state) == (0, "accepted")
    bench.expect_sound_ledger()


def test_an_agent_whose_claim_was_taken_away_is_ended_and_its_work_done_anew(bench: Workbench) -> None:
    """It would go on for ever; the renewal of its lease tells the run that it works for nobody any more."""
    bench.mission({"WP01": {"owned_files": ["one.txt"]}})
    bench.settings("[run]\nlease_s = 1.5\n")
    release = kitty_command(bench, "wp", "release", "WP01", "--reason", "I take it", answer="release")
    # The command is ended with the agent that typed it, perhaps before it has answered; the ledger has its event.
    done = run_with(bench, meddler(bench, f"sleep 2; {release}; sleep 600"))
    assert done["data"]["work_packages"]["WP01"]["state"] == "approved"
    triggers = [e["trigger"] for e in bench.events() if e["entity_id"] == "WP01"]
    assert "heartbeat" in triggers[: triggers.index("release")], "the run renewed the lease as long as it counted"
    assert (triggers.count("claim"), triggers.count("release"), triggers.count("expire")) == (2, 1, 0)
    assert bench.agents_alive() == []
    bench.expect_sound_ledger()
