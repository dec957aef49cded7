"""What came to nothing costs as much as what was approved: the budget and the report add up the same."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from test_policy_run import until
from workbench import Workbench, agent

from kitty_flow.flow.mission import open_mission
from kitty_flow.flow.project import Project
from kitty_flow.flow.report import make_report

SPENDER = """
import json, os, subprocess, sys, time
mode = sys.argv[1]
used = {"input_tokens": 900, "output_tokens": 100}
print(json.dumps({"type": "assistant", "message": {"id": "m1", "role": "assistant", "content": [], "usage": used}}))
print(json.dumps({"type": "result", "subtype": "success", "is_error": False, "total_cost_usd": 2.5, "usage": used}))
if mode == "quota":
    print(f"Claude AI usage limit reached|{int(time.time()) - 5}")
    sys.exit(1)
sys.stdout.flush()
told = {"outcome": "failed", "reason": "no"}
if mode == "hang":
    time.sleep(600)
if mode in ("other-commit", "moves"):
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    told = {"verdict": "approved", "summary": "fine", "reviewed_commit": head if mode == "moves" else "a" * 40}
if mode == "moves":
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "mine"], check=True)
with open(os.environ["KITTY_FLOW_RESULT"], "w") as stream:
    json.dump(told, stream)
"""


@pytest.fixture
def spender(bench: Workbench) -> Any:
    """Makes the settings of an agent that spends 1,000 tokens and 2.50 USD each time, and comes to nothing."""
    script = bench.root.parent / "spender.py"
    script.write_text(SPENDER, encoding="utf-8")
    bench.mission({"WP01": {"owned_files": ["core.txt"]}})

    def settings(mode: str) -> None:
        words = json.dumps([sys.executable, str(script), mode])
        table = f'[agents.ann]\npreset = "claude"\ncommand = {words}\n'
        bench.settings(f"{table}[pools.claude]\nquota_pause_s = 0.1\n[run]\nretry_backoff_s = 0\nmax_attempts = 2\n")

    return settings


def spent(bench: Workbench) -> tuple[tuple[int, float], tuple[int, float]]:
    """Tokens and USD as the report of the mission has them, and as the budget has them."""
    with open_mission(Project.discover(bench.root), bench.slug) as mission:
        reported = make_report(mission).usage
    counted = bench.kitty("status")["data"]["usage"]
    return (reported.tokens, reported.cost_usd), (counted["tokens"], counted["cost_usd"])


@pytest.mark.parametrize(("role", "mode"), [("", "failed"), ("review", "other-commit"), ("review", "moves")])
def test_failed_attempts_and_bad_verdicts_are_in_the_report(
    bench: Workbench, spender: Any, role: str, mode: str
) -> None:
    spender(mode)
    honest = ("--command", agent("implementer"), "--reviewer", "ann")
    words = honest if role else ("--agent", "ann", "--review-command", agent("reviewer"))
    data = bench.kitty("run", bench.slug, *words, exit=7)["data"]
    assert (data["usage"]["tokens"], data["usage"]["cost_usd"]) == (2000, 5.0)
    assert spent(bench) == ((2000, 5.0), (2000, 5.0))


def test_a_quota_that_is_used_up_is_in_the_report(bench: Workbench, spender: Any) -> None:
    spender("quota")
    bench.kitty("run", bench.slug, "--agent", "ann", "--budget-tokens", "1500", exit=4)
    assert spent(bench) == ((2000, 5.0), (2000, 5.0))


def test_what_a_person_ends_is_in_the_report(bench: Workbench, spender: Any) -> None:
    spender("hang")
    run = bench.start("run", bench.slug, "--agent", "ann")
    logs = bench.root.parent
    seen = until(lambda: any("total_cost_usd" in f.read_text() for f in logs.rglob("output.log")))
    bench.kitty("wp", "cancel", "WP01", "--reason", "not needed")
    run.communicate(timeout=60)
    assert seen
    assert spent(bench) == ((1000, 2.5), (1000, 2.5))
