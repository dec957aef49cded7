"""The gates of seed 004 (merge-ship-preflight) and the override: each with a red and a green case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench

from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.mission import open_mission
from kitty_flow.flow.project import Project


@pytest.fixture
def hub(bench: Workbench, tmp_path: Path) -> Path:
    """A remote that `trunk` follows, and which has it."""
    place = tmp_path / "hub.git"
    bench.git("init", "-q", "--bare", place)
    bench.git("remote", "add", "origin", place)
    bench.git("push", "-q", "-u", "origin", "trunk")
    return place


def record(bench: Workbench, work_package: str, **facts: Any) -> None:
    """Put facts on record as another tool, or a forced transition, might have left them."""
    with open_mission(Project.discover(bench.root), "sample") as mission:

        def build(view: Any) -> Any:
            builder = BatchBuilder(view, actor="somebody")
            builder.annotate("work_package", work_package, "found", evidence=facts)
            return builder.build()

        mission.ledger.record(build)


def closed(bench: Workbench, **diagnostic: str) -> None:
    """The merge is refused by this diagnostic, and the target stays."""
    before = bench.git("rev-parse", "trunk")
    error = bench.refusal("merge", "--test-command", "true", exit=4)
    gate = next(g for g in error["details"]["gates"] if g["outcome"] != "pass")
    assert {name: gate[name] for name in diagnostic} == diagnostic
    assert gate["violated_invariant"] and gate["remediation"]
    assert bench.git("rev-parse", "trunk") == before


def push_from_elsewhere(bench: Workbench, hub: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    bench.git("clone", "-q", hub, clone)
    (clone / "theirs.txt").write_text("theirs\n")
    bench.git("add", "theirs.txt", cwd=clone)
    bench.git("-c", "user.name=T", "-c", "user.email=t@example.invalid", "commit", "-qm", "Theirs", cwd=clone)
    bench.git("push", "-q", "origin", "trunk", cwd=clone)


def test_an_approved_work_package_with_a_rejected_verdict(bench: Workbench) -> None:
    record(bench, "WP02", verdict="changes_requested")
    closed(bench, gate="verdicts_consistent", diagnostic_code="REVIEW_ARTIFACT_INCONSISTENT", subject="WP02")


def test_a_done_work_package_with_a_rejected_verdict(bench: Workbench) -> None:
    bench.kitty("merge", "--test-command", "true")
    record(bench, "WP01", verdict="changes_requested")
    plan = bench.kitty("merge", "--plan", exit=4)["data"]
    found = next(g for g in plan["gates"] if g["gate"] == "verdicts_consistent")
    assert (found["diagnostic_code"], found["subject"]) == ("REVIEW_ARTIFACT_INCONSISTENT", "WP01")
    assert "done" in found["message"]


def test_a_target_that_is_in_sync_or_ahead(bench: Workbench, hub: Path) -> None:
    def told() -> str:
        gates = bench.kitty("merge", "--plan", "--test-command", "true")["data"]["gates"]
        message: str = next(g["message"] for g in gates if g["gate"] == "target_in_sync")
        return message

    assert told() == "trunk is in sync with origin/trunk"
    bench.commit("Not pushed yet")
    assert told() == "trunk is ahead of origin/trunk, 1 commit(s) not pushed yet"


@pytest.mark.slow
def test_a_target_that_is_behind_or_has_diverged(bench: Workbench, hub: Path, tmp_path: Path) -> None:
    push_from_elsewhere(bench, hub, tmp_path)
    tracking = bench.git("rev-parse", "origin/trunk")
    closed(bench, gate="target_in_sync", diagnostic_code="TARGET_BRANCH_NOT_SYNCHRONIZED", subject="trunk")
    assert bench.git("rev-parse", "origin/trunk") == tracking, "the user's remote-tracking branch is the user's"
    bench.commit("Local", mine__txt="mine\n")
    error = bench.refusal("merge", "--test-command", "true", exit=4)
    assert "diverged" in error["message"]
    assert "--pr-branch" in error["hint"]
    made = bench.kitty("merge", "--pr-branch")["data"]
    assert made["branch"] == "kitty/pr/sample-to-trunk"
    files = bench.git("diff", "--name-only", made["upstream_commit"], made["commit"]).split()
    assert files == ["one.txt", "two.txt"], "the mission alone, nothing of the local target"
    assert bench.kitty("merge", "--pr-branch")["data"]["commit"] == made["commit"]
    data = bench.kitty(
        "merge", "--test-command", "true", "--override", "target_in_sync", "--reason", "the hub is frozen"
    )["data"]
    gate = next(g for g in data["gates"] if g["gate"] == "target_in_sync")
    assert (gate["outcome"], gate["override_reason"]) == ("fail", "the hub is frozen")
    event = next(e for e in bench.events() if e["trigger"] == "override_gate")
    assert (event["evidence"]["overridden_gate"], event["reason"]) == ("target_in_sync", "the hub is frozen")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--override", "tests_pass", "--reason", "late"), "GATE_NOT_OVERRIDABLE"),
        (("--override", "no_such_gate", "--reason", "late"), "GATE_NOT_OVERRIDABLE"),
        (("--override", "target_in_sync"), "REASON_MISSING"),
    ],
)
def test_an_override_that_cannot_be(bench: Workbench, words: tuple[str, ...], code: str) -> None:
    assert bench.refusal("merge", "--test-command", "true", *words, exit=2)["code"] == code
