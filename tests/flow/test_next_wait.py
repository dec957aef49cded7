"""`next --wait`: it sleeps until the ledger moves or something becomes due, and decides nothing in between."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from workbench import Workbench

from kitty_flow.flow import lease as leasing
from kitty_flow.flow import waiting
from kitty_flow.flow.mission import OpenMission, open_mission
from kitty_flow.flow.next_step import next_step
from kitty_flow.flow.person import move
from kitty_flow.flow.project import Project

WORK_PACKAGES: dict[str, dict[str, Any]] = {
    "WP01": {"owned_files": ["one.txt"]},
    "WP02": {"owned_files": ["two.txt"], "dependencies": ["WP01"]},
}


@pytest.fixture
def mission(bench: Workbench) -> Iterator[OpenMission]:
    """WP02 waits for WP01, which ann holds."""
    bench.mission(WORK_PACKAGES, target_branch="trunk")
    bench.settings("[run]\nhand_lease_s = 3600\n")
    with open_mission(Project.discover(bench.root), bench.slug) as opened:
        assert next_step(opened, "ann").fields["wp_id"] == "WP01"
        yield opened


class Time:
    """Time that passes only while somebody sleeps, and much of it at once; it also counts the decisions."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now_s = leasing.monotonic()
        self.decided: list[float] = []
        self.on_sleep: Callable[[float], object] = lambda slept: None
        self.began = self.now_s
        patch.setattr(waiting, "monotonic", lambda: self.now_s)
        patch.setattr(waiting, "sleep", self.sleep)
        patch.setattr(leasing, "monotonic", lambda: self.now_s)
        patch.setattr(waiting, "next_step", self.decide)

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now_s += seconds
        self.on_sleep(self.now_s - self.began)

    def decide(self, *arguments: Any, **more: Any) -> Any:
        self.decided.append(self.now_s - self.began)
        return next_step(*arguments, **more)


@pytest.fixture
def passing(mission: OpenMission, monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    """The time of the waiting process, and of the leases; everything else goes by the time of the world."""
    with monkeypatch.context() as patch:
        yield Time(patch)


def wait(mission: OpenMission, seconds: float, agent: str = "ben", role: Any = "implement") -> Any:
    return waiting.wait_for_step(mission, agent, role=role, seconds=seconds)


def test_a_ledger_that_moves_wakes_who_waits(bench: Workbench, mission: OpenMission, passing: Time) -> None:
    def give_back(slept: float) -> None:
        if slept > 100 and passing.on_sleep is give_back:
            passing.on_sleep = lambda slept: None
            with open_mission(Project.discover(bench.root), bench.slug) as other:
                move(other, "WP01", "release", reason="tired", actor="ann")

    passing.on_sleep = give_back
    step = wait(mission, 1000)
    assert (step.kind, step.fields["wp_id"]) == ("step", "WP01")
    assert len(passing.decided) == 2 and passing.decided[0] == 0 and 100 < passing.decided[1] < 102


def test_a_lease_that_runs_out_wakes_who_waits(mission: OpenMission, passing: Time) -> None:
    step = wait(mission, 10_000)
    assert (step.kind, step.fields["wp_id"], step.fields["epoch"]) == ("step", "WP01", 2)
    assert len(passing.decided) == 2 and 3590 < passing.decided[1] < 3601


def test_when_the_time_is_over_the_reasons_are_told(mission: OpenMission, passing: Time) -> None:
    answer = wait(mission, 600)
    assert (answer.kind, passing.decided) == ("wait", [0, pytest.approx(600)]), "once more, for reasons that are fresh"
    assert passing.now_s - passing.began == pytest.approx(600)
    assert answer.due_s is not None and 2990 < answer.due_s <= 3000, "what is left of the lease after the waiting"
    assert answer.as_data()["retry_after_s"] == 30, "who holds it may be ready long before"


@pytest.mark.parametrize(("state", "kind"), [("canceled", "terminal"), ("blocked", "blocked")])
def test_nobody_waits_in_vain(mission: OpenMission, passing: Time, state: str, kind: str) -> None:
    for name in ("WP02", "WP01"):
        move(mission, name, "block" if state == "blocked" else "cancel", reason="no", actor="amy")
    assert wait(mission, 1000).kind == kind
    assert passing.decided == [0]


def test_a_busy_ledger_keeps_nobody_busy(mission: OpenMission, passing: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    """It moves at every look, and each decision takes a second: at most a tenth of the time goes into deciding."""
    marks = iter(range(10**6))
    monkeypatch.setattr(waiting, "tip_mark", lambda mission: next(marks))
    decide = passing.decide

    def slow(*arguments: Any, **more: Any) -> Any:
        passing.now_s += 1
        return decide(*arguments, **more)

    monkeypatch.setattr(waiting, "next_step", slow)
    assert wait(mission, 1000).kind == "wait"
    assert 50 < len(passing.decided) <= 101


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--wait", "nan"], "INVALID_USAGE"),
        (["--wait", "inf"], "WAIT_NOT_POSSIBLE"),
        (["--wait", "5", "--peek"], "WAIT_NOT_POSSIBLE"),
        (["--wait", "-1"], "INVALID_USAGE"),
    ],
)
def test_a_wait_has_an_end_and_an_effect(bench: Workbench, words: list[str], code: str) -> None:
    assert bench.refusal("next", "--agent", "ben", *words, exit=2)["code"] == code


def test_ctrl_c_ends_a_wait(bench: Workbench) -> None:
    """The waiting reviewer takes back what a gone implementer holds; from then on it only waits."""
    bench.mission(WORK_PACKAGES, target_branch="trunk")
    bench.settings("[run]\nhand_lease_s = 0.001\n")
    bench.kitty("next", "--agent", "ann")
    tip = bench.ledger_tip
    waits = bench.start("next", "--agent", "ben", "--role", "review", "--wait", "100", "--json")
    while bench.ledger_tip == tip:
        assert waits.poll() is None
    waits.send_signal(signal.SIGINT)
    document = json.loads(waits.communicate(timeout=60)[0])
    assert document["error"]["code"] == "INTERRUPTED"
    # CPython ends by the signal itself when that came while it compiled something; a shell shows 130 for both.
    assert waits.returncode in (130, -signal.SIGINT)
