"""Limits and roles of the settings hold for agents by hand as they do for a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench, agent

from kitty_flow.agents.command import AgentSpec
from kitty_flow.flow import implement as implementing
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.lease import now
from kitty_flow.flow.mission import open_mission
from kitty_flow.flow.policy.breaker import park
from kitty_flow.flow.project import Project
from kitty_flow.flow.run import run_mission
from kitty_flow.flow.run_options import RunOptions

ONE = {"WP01": {"owned_files": ["a"]}}


def test_a_budget_that_is_used_up_refuses_a_start_by_name(bench: Workbench) -> None:
    bench.mission({**ONE, "WP02": {"owned_files": ["b"]}}, target_branch="trunk")
    bench.settings("[budget]\nmax_tokens = 10\n")
    step = bench.kitty("next", "--agent", "amy")["data"]
    told = {"outcome": "failed", "reason": "no", "tokens": {"input": 100, "output": 5}}
    Path(step["result_path"]).write_text(json.dumps(told), encoding="utf-8")
    bench.kitty("next", "--agent", "amy", "--result", step["result_path"])
    assert bench.refusal("wp", "start", "WP02", "--agent", "amy", exit=4)["code"] == "BUDGET_EXHAUSTED"


def test_the_last_attempt_by_hand_blocks(bench: Workbench) -> None:
    bench.mission(ONE)
    bench.settings("[run]\nmax_attempts = 2\n")
    bench.kitty("next", "--agent", "amy")
    again = bench.kitty("next", "--agent", "amy", "--result", "failed")["data"]
    assert again["wp_id"] == "WP01"
    answer = bench.kitty("next", "--agent", "amy", "--result", "failed")["data"]
    assert answer["kind"] == "blocked"
    shown = bench.kitty("status")["data"]["work_packages"]["WP01"]
    assert (shown["state"], shown["reason"].partition(":")[0]) == ("blocked", "ATTEMPTS_EXHAUSTED")
    bench.kitty("wp", "unblock", "WP01", "--reason", "two more")
    assert bench.kitty("next", "--agent", "amy")["data"]["kind"] == "step"


@pytest.mark.parametrize(("allowed", "status"), [(True, 0), (False, 4)])
def test_a_run_asks_the_policy_about_its_own_reviews(bench: Workbench, allowed: bool, status: int) -> None:
    bench.mission(ONE)
    both = "import os, runpy; runpy.run_path({!r} if os.environ['KITTY_FLOW_ACTION'] == 'review' else {!r})"
    words = agent("implementer").split()
    folder = Path(words[-1]).parent
    command = [*words[:-1], "-c", both.format(str(folder / "reviewer.py"), str(folder / "implementer.py"))]
    tables = "".join(f"[agents.{name}]\ncommand = {json.dumps(command)}\n" for name in ("amy", "Amy"))
    bench.settings(f"{tables}[review]\nallow_self_review = {str(allowed).lower()}\n")
    data = bench.kitty("run", bench.slug, "--agent", "amy", "--reviewer", "Amy", exit=status)
    if allowed:
        assert data["data"]["work_packages"]["WP01"]["state"] == "approved"
    else:
        assert data["error"]["code"] == "SELF_REVIEW"
        assert "submit" not in [e["trigger"] for e in bench.events()]


def test_a_parked_pool_is_nothing_to_wait_for(bench: Workbench) -> None:
    bench.mission(ONE)
    with open_mission(Project.discover(bench.root), bench.slug) as mission:

        def build(view: Any) -> Any:
            builder = BatchBuilder(view, actor="x")
            parked = park(view.entity("mission", mission.id), "claude", "claude", "no quota", 900.0, now())
            builder.annotate("mission", mission.id, "pool_parked", evidence=parked)
            return builder.build()

        mission.ledger.record(build)
    bench.kitty("wp", "block", "WP01", "--reason", "why")
    assert bench.kitty("next", "--agent", "amy")["data"]["kind"] == "blocked"


def test_a_changed_prompt_counts_against_nobody(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.mission(ONE)
    launch = implementing.launch

    def tampered(mission: Any, invocation: Any, run: Any) -> Any:
        with invocation.prompt_path.open("a", encoding="utf-8") as stream:
            stream.write("more")
        return launch(mission, invocation, run)

    monkeypatch.setattr(implementing, "launch", tampered)
    with open_mission(Project.discover(bench.root), bench.slug) as mission:
        run_mission(mission, RunOptions(AgentSpec("amy", ("/bin/true",)), None))
        entity = mission.work_package("WP01")
    assert entity.facts["failure_code"] == "PROMPT_METADATA_MISMATCH"
    assert (entity.counts["start"], entity.facts["attempts_before"]) == (1, 1)
    assert "implement_failures" not in entity.facts


def test_the_role_of_the_settings_holds_and_is_told(bench: Workbench) -> None:
    bench.mission(ONE)
    command = json.dumps(agent("reviewer").split())
    bench.settings(
        f'[agents.critic]\ncommand = {command}\nrole = "review"\npool = "east"\n[agents.ann]\npreset = "claude"\n'
    )
    asked = bench.kitty("next", "--agent", "critic")["data"]
    assert (asked["kind"], asked["reasons"][0]["code"]) == ("wait", "OTHER_ROLE")
    assert bench.kitty("next", "--agent", "critic", "--role", "any")["data"]["kind"] == "wait"
    for words in (("next", "--agent", "critic", "--role", "implement"), ("wp", "start", "WP01", "--agent", "critic")):
        assert bench.refusal(*words, exit=2)["code"] == "WRONG_ROLE"
    assert bench.kitty("next", "--agent", "ann")["data"]["action"] == "implement"
    (begun,) = [e["evidence"] for e in bench.events() if e["entity_type"] == "invocation"]
    assert (begun["preset"], begun["pool"], begun["command_digest"]) == ("claude", "claude", None)
