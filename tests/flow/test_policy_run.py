"""What a run does when agents break down, run out of quota or cost too much: with real processes, from outside."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench, agent

from kitty_flow.cli.run_policies import seconds_of
from kitty_flow.errors import UsageError

AGENTS = Path(__file__).parents[2] / "fixtures" / "agents"
TWO = {"WP01": {"owned_files": ["core.txt"]}, "WP02": {"owned_files": ["left.txt"]}}
ONE = {"WP01": {"owned_files": ["core.txt"]}}


class Crew:
    """The settings of a test: agents by name, each with its own file of calls."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self._tables: list[str] = []

    def add(self, name: str, *words: str, script: str = "implementer", **keys: Any) -> Crew:
        """An agent that does honest work after what `words` of `fixtures/agents/moody.py` say."""
        command = [sys.executable, "-I", "-S", str(AGENTS / "moody.py"), str(self.calls_path(name)), *words]
        command += ["--", str(AGENTS / f"{script}.py")]
        lines = [f"[agents.{name}]", *(f"{k} = {json.dumps(v)}" for k, v in ({"command": command} | keys).items())]
        self._tables.append("\n".join(lines))
        return self

    def settings(self, text: str = "[run]\nretry_backoff_s = 0.05\n") -> None:
        """Write the settings file."""
        self.bench.settings("\n\n".join([*self._tables, text]) + "\n")

    def calls_path(self, name: str) -> Path:
        return self.bench.root.parent / f"calls-{name}"

    def calls(self, name: str) -> list[str]:
        """The work packages and actions that the agent was started for, in order."""
        path = self.calls_path(name)
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def run(self, *words: str, exit: int = 0, implementer: str = "ann") -> dict[str, Any]:
        """Run the mission with an implementer of the settings and the scripted reviewer."""
        review = ("--review-command", agent("reviewer"))
        return self.bench.kitty("run", self.bench.slug, "--agent", implementer, *review, *words, exit=exit)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The events of one trigger, in order."""
        return [e for e in self.bench.events() if e["trigger"] == kind]


def until(seen: Callable[[], object]) -> bool:
    """Look until something is seen, for at most a minute of looks."""
    for _ in range(600):
        if seen():
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def crew(bench: Workbench) -> Crew:
    """Agents for a mission of one work package."""
    bench.mission(ONE)
    return Crew(bench)


def test_an_agent_that_crashes_is_tried_again_after_a_recorded_delay(crew: Crew) -> None:
    crew.add("ann", "crash:2").settings()
    data = crew.run()["data"]
    assert data["work_packages"]["WP01"]["state"] == "approved"
    assert crew.calls("ann") == ["WP01 implement"] * 3
    scheduled = [e["evidence"] for e in crew.events("retry_scheduled")]
    assert [(e["retry"], e["failure_code"], e["agent"]) for e in scheduled] == [
        (1, "AGENT_FAILED", "ann"),
        (2, "AGENT_FAILED", "ann"),
    ]
    assert 0.0375 <= scheduled[0]["delay_s"] <= 0.05
    assert 0.075 <= scheduled[1]["delay_s"] <= 0.1


def test_the_last_attempt_is_blocked_at_once_and_has_no_retry(crew: Crew) -> None:
    crew.add("ann", "crash:9").settings("[run]\nretry_backoff_s = 0.05\nmax_attempts = 2\n")
    data = crew.run(exit=7)["data"]
    assert data["work_packages"]["WP01"]["state"] == "blocked"
    assert len(crew.calls("ann")) == 2
    assert len(crew.events("retry_scheduled")) == 1


@pytest.mark.slow
def test_a_killed_run_waits_on_and_neither_forgets_nor_retries_twice(crew: Crew) -> None:
    crew.add("ann", "crash:1").settings("[run]\nretry_backoff_s = 300\n")
    words = ("run", crew.bench.slug, "--agent", "ann", "--review-command", agent("reviewer"))
    run = crew.bench.start(*words)
    seen = until(lambda: crew.calls("ann") and crew.events("retry_scheduled"))
    run.kill()
    assert seen
    run.communicate(timeout=60)
    why = crew.bench.kitty("why", "WP01")["data"]
    assert [r["code"] for r in why["reasons"]] == ["RETRY_LATER"]
    answer = crew.bench.kitty("next", "--agent", "bob")["data"]
    assert answer["kind"] == "wait"
    assert answer["reasons"][0]["code"] == "RETRY_LATER"
    assert 200 < answer["retry_after_s"] <= 300
    (warning,) = crew.bench.kitty("status")["data"]["warnings"]
    assert "tried again in" in warning
    again = crew.bench.start(*words)
    folder = crew.bench.root / ".git" / "kitty-flow"
    seen = until(lambda: any(f'"pid": {again.pid}' in f.read_text() for f in folder.rglob("*.json")))
    crew.bench.kitty("mission", "pause", crew.bench.slug, "--reason", "enough")
    again.communicate(timeout=60)
    assert seen
    assert len(crew.calls("ann")) == 1, "it waited"
    assert len(crew.events("retry_scheduled")) == 1
    assert crew.bench.kitty("status")["data"]["mission"]["state"] == "paused", "nothing resumes it"


@pytest.mark.slow
def test_a_fallback_takes_over_with_all_attempts_and_its_name_is_on_record(crew: Crew) -> None:
    crew.add("ann", "crash:9", retries=1, fallbacks=["bob"]).add("bob", "crash:1", retries=2)
    crew.settings("[run]\nretry_backoff_s = 0.01\nmax_attempts = 2\n")
    data = crew.run()["data"]
    assert data["work_packages"]["WP01"]["state"] == "approved"
    assert (len(crew.calls("ann")), len(crew.calls("bob"))) == (2, 2)
    assert crew.events("submit")[0]["evidence"]["implementer"] == "bob"


@pytest.mark.slow
def test_a_fallback_that_implemented_does_not_review_it(crew: Crew) -> None:
    crew.add("ann", "crash:9", retries=0, fallbacks=["bob"]).add("bob", script="implementer")
    crew.add("rev", script="reviewer", role="review").settings()
    words = ("run", crew.bench.slug, "--agent", "ann", "--reviewer")
    error = crew.bench.refusal(*words, "bob", exit=4)
    assert "reviewer other than bob" in error["message"]
    assert crew.bench.kitty("status")["data"]["work_packages"]["WP01"]["state"] == "for_review"
    crew.bench.kitty(*words, "rev")
    assert len(crew.calls("bob")) == 1


def test_who_cannot_be_started_is_left_out_with_a_remark(crew: Crew) -> None:
    crew.add("bob").settings('[agents.ann]\ncommand = ["no-such-agent-here"]\nfallbacks = ["bob"]\n')
    envelope = crew.run()
    assert envelope["data"]["work_packages"]["WP01"]["state"] == "approved"
    assert "AGENT_LEFT_OUT" in [d["diagnostic_code"] for d in envelope["diagnostics"]]


@pytest.mark.slow
def test_one_quota_error_parks_the_pool_and_costs_nobody_an_attempt(crew: Crew) -> None:
    crew.bench.mission(TWO)
    shared = {"preset": "claude", "pool": "east"}
    crew.add("ann", "quota:9", fallbacks=["eve", "bob"], **shared).add("eve", **shared).add("bob", pool="west")
    crew.settings("[run]\nmax_attempts = 1\n")
    data = crew.run("-j", "1")["data"]
    assert {w["state"] for w in data["work_packages"].values()} == {"approved"}
    assert len(crew.calls("ann")) == 1, "the pool rests, also for the other work package"
    assert crew.calls("eve") == [], "and for everybody else who draws on it"
    assert len(crew.calls("bob")) == 2
    (parked,) = crew.events("pool_parked")
    assert parked["evidence"]["pool"] == "east"
    assert crew.events("retry_scheduled") == []
    (warning,) = crew.bench.kitty("status")["data"]["warnings"]
    assert "the pool east is parked" in warning


def test_a_run_waits_for_its_only_pool_and_goes_on_by_itself(crew: Crew) -> None:
    crew.add("ann", "quota:1", "for:-5", preset="claude", pool="east")
    crew.settings("[pools.east]\nquota_pause_s = 0.5\n\n[run]\nmax_attempts = 1\n")
    assert crew.run()["data"]["work_packages"]["WP01"]["state"] == "approved"
    assert len(crew.calls("ann")) == 2


@pytest.mark.slow
def test_agents_and_pools_do_only_so_much_at_once(crew: Crew) -> None:
    crew.bench.mission({f"WP0{n}": {"owned_files": [f"{n}.txt"]} for n in range(1, 5)})
    crew.add("ann", concurrency=1).settings()
    crew.run("-j", "4")
    assert len(crew.events("submit")) == 4
    at_work = 0
    for event in crew.bench.events():
        if event["entity_type"] == "work_package" and event["actor"] == "ann":
            at_work += {"start": 1, "submit": -1}.get(event["trigger"], 0)
            assert at_work <= 1


@pytest.mark.slow
def test_a_budget_ends_the_run_with_what_was_spent_and_no_restart_passes_it(crew: Crew) -> None:
    crew.bench.mission(TWO)
    crew.add("ann", "tokens:600", "cost:0.25").settings("[budget]\nmax_tokens = 500\n")
    envelope = crew.run("-j", "1", exit=4)
    assert envelope["error"]["code"] == "BUDGET_EXHAUSTED"
    assert "600 of 500 tokens are used up (max_tokens)" in envelope["error"]["message"]
    assert envelope["data"]["usage"]["tokens"] == 600
    crew.run("-j", "1", exit=4)
    assert len(crew.calls("ann")) == 1
    status = crew.bench.kitty("status")["data"]
    assert status["usage"]["tokens"] == 600
    assert status["usage"]["cost_usd"] == 0.25
    assert any("max_tokens" in warning for warning in status["warnings"])
    answer = crew.bench.kitty("next", "--agent", "hand")["data"]
    assert answer["kind"] == "blocked"
    assert "BUDGET_EXHAUSTED" in {r["code"] for r in answer["reasons"]}
    crew.run("-j", "1", "--budget-tokens", "5000")
    assert crew.bench.kitty("status")["data"]["usage"]["tokens"] == 1200


def test_a_work_package_over_its_budget_is_blocked_and_the_others_go_on(crew: Crew) -> None:
    crew.bench.mission(TWO)
    crew.add("ann", "spend:900", preset="claude", stall_s=0).add("bob")
    crew.settings("[budget]\nwork_package_max_tokens = 500\n")
    crew.run("-j", "2", exit=4)
    status = crew.bench.kitty("status")["data"]
    assert {w["state"] for w in status["work_packages"].values()} == {"blocked"}
    assert status["usage"]["tokens"] == 1800
    reasons = {w["reason"] for w in status["work_packages"].values()}
    assert all("raise work_package_max_tokens" in reason for reason in reasons)
    assert len(crew.calls("ann")) == 2


def test_time_ends_a_running_agent(crew: Crew) -> None:
    crew.add("ann", "hang").settings()
    envelope = crew.run("--budget-time", "1s", exit=4)
    assert envelope["error"]["code"] == "BUDGET_EXHAUSTED"
    assert envelope["data"]["work_packages"]["WP01"]["state"] == "planned"
    assert envelope["data"]["usage"]["wall_s"] >= 1
    assert crew.bench.agents_alive() == []


def test_a_span_of_time_is_read_strictly() -> None:
    spans = {"90": 90.0, "90s": 90.0, "1.5m": 90.0, "2h": 7200.0, "1h30m": 5400.0, " 1H ": 3600.0}
    assert {text: seconds_of(text) for text in spans} == spans
    for text in ("", "2 days", "1h-5m", "0s", "nan", "1e9", "h", "1h junk"):
        with pytest.raises(UsageError) as caught:
            seconds_of(text)
        assert caught.value.code == "INVALID_TIME"
