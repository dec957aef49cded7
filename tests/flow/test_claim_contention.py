"""Many agents at one mission: no work package is claimed twice, none is lost, and every answer agrees with the log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from workbench import Workbench

from kitty_flow.flow.mission import open_mission
from kitty_flow.flow.project import Project

CLAIMANTS = Path(__file__).with_name("claimants.py")


def adopted(bench: Workbench, work_packages: int) -> tuple[int, str]:
    """A mission of so many independent work packages; how many events its ledger has, and its commit."""
    bench.mission({f"WP{n:03d}": {"owned_files": [f"part{n:03d}/**"]} for n in range(1, work_packages + 1)})
    with open_mission(Project.discover(bench.root), bench.slug) as mission:
        return mission.view().event_count, str(mission.view().tip)


@pytest.mark.parametrize(
    ("processes", "victims", "work_packages"),
    [(4, 1, 24), pytest.param(32, 0, 200, marks=pytest.mark.crash), pytest.param(32, 8, 200, marks=pytest.mark.slow)],
)
def test_everything_is_claimed_exactly_once(bench: Workbench, processes: int, victims: int, work_packages: int) -> None:
    before, planned = adopted(bench, work_packages)
    words = [bench.root, bench.slug, processes, victims, 1]
    done = subprocess.run(
        [sys.executable, str(CLAIMANTS), *map(str, words)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))},
        capture_output=True,
        encoding="utf-8",
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    seconds = sorted(answer[4] for answer in answers if answer[1] != "left")
    print(
        f"\n{processes} processes, {len(seconds)} answers: p50 {seconds[len(seconds) // 2] * 1e3:.0f} ms, "
        f"p99 {seconds[int(len(seconds) * 0.99)] * 1e3:.0f} ms"
    )

    with open_mission(Project.discover(bench.root), bench.slug) as mission:
        events = mission.ledger.events()
        states = dict(mission.view().entities)
        mission.ledger.index.remove()
    with open_mission(Project.discover(bench.root), bench.slug) as mission:
        assert dict(mission.view().entities) == states, "folded from the commits alone"
    claims = events[before:]
    assert [event.lamport for event in events] == list(range(1, before + work_packages + 1))
    assert {event.trigger for event in claims} == {"claim"}
    assert Counter(event.entity_id for event in claims) == {f"WP{n:03d}": 1 for n in range(1, work_packages + 1)}
    told = Counter((f"agent-{number}", *answer[:2]) for number, kind, *answer in answers if kind == "won")
    logged = Counter((event.actor, event.entity_id, event.epoch) for event in claims)
    assert told <= logged, "what a process was told is in the log, even when it was killed just after"
    silent = Counter(actor for actor, *_ in (logged - told))
    assert set(silent) <= {f"agent-{number}" for number in range(victims)}
    assert set(silent.values()) <= {1}, "a killed process may have claimed one more than it could tell"
    saw_the_end = {number for number, kind, *_ in answers if kind == "left"}
    assert saw_the_end >= set(range(victims, processes))
    assert bench.git("rev-list", "--count", mission.ledger.ref, f"^{planned}") == str(work_packages)
    assert bench.git("fsck", "--strict", "--no-dangling") == ""


@pytest.mark.slow
def test_agents_that_ask_at_the_same_time_get_different_work(bench: Workbench) -> None:
    adopted(bench, 6)
    agents = [f"agent-{number}" for number in range(6)]
    asked = [bench.start("next", "--agent", name, "-m", bench.slug, "--json") for name in agents]
    answers = [json.loads(process.communicate(timeout=240)[0]) for process in asked]

    assert [answer["error"] for answer in answers] == [None] * 6
    given = {name: answer["data"]["wp_id"] for name, answer in zip(agents, answers, strict=True)}
    assert len(set(given.values())) == 6
    events = bench.events()
    assert [event["lamport"] for event in events] == list(range(1, len(events) + 1))
    for trigger in ("claim", "start"):
        steps = [e for e in events if e["trigger"] == trigger and e["entity_type"] == "work_package"]
        assert {e["actor"]: e["entity_id"] for e in steps} == given
        assert len(steps) == 6
    assert set(bench.states().values()) == {"in_progress"}
