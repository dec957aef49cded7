"""Work packages land in the order of the plan, also where the ledger's JSON lists them by name."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from forked import kitty_command
from workbench import Workbench

BACKWARDS = {"WP01": {"owned_files": ["one.txt"], "dependencies": ["WP02"]}, "WP02": {"owned_files": ["two.txt"]}}


@pytest.fixture
def fresh(repo: Path) -> Workbench:
    """A mission that was run to its end, whose order is not that of the names."""
    made = Workbench(repo, kitty_command())
    made.mission(BACKWARDS, target_branch="trunk")
    made.run(jobs=1)
    return made


def test_a_resumed_landing_keeps_to_the_order_of_the_plan(fresh: Workbench) -> None:
    before = fresh.git("rev-parse", "trunk")
    planned = fresh.kitty("merge", "--plan", "--every-commit", "--test-command", "true")["data"]
    assert [layer["work_package_id"] for layer in planned["layers"]] == ["WP02", "WP01"]
    dies = "sh -c 'kill -9 $PPID'"
    fresh.kitty("merge", "sample", "--every-commit", "--test-command", dies, exit=-signal.SIGKILL)
    data = fresh.kitty("merge", "sample", "--every-commit", "--test-command", "true")["data"]
    assert (data["resumed"], data["landed_commit"]) == (True, planned["candidate_commit"])
    line = fresh.git("rev-list", "--reverse", "--first-parent", f"{before}..trunk").split()
    assert [fresh.git("diff", "--name-only", f"{commit}^1", commit) for commit in line] == ["two.txt", "one.txt"]
    assert fresh.kitty("verify", "sample")["data"]["holds"]


def test_a_clone_that_lost_its_identity_cannot_vouch_for_its_configuration(fresh: Workbench) -> None:
    """Taking away what names the clone in the ledger takes no gate away."""
    writer = fresh.root / ".git" / "kitty-flow" / "writer"
    writer.write_text(f"w{0:012x} {writer.read_text().split()[1]}\n")
    error = fresh.refusal("merge", "sample", "--test-command", "true", exit=4)
    assert error["code"] == "CONFIG_NOT_KNOWN"
    fresh.kitty("merge", "sample", "--test-command", "true", "--override", "config_unchanged", "--reason", "a copy")


def test_a_filter_planted_after_the_landing_stops_a_release(fresh: Workbench) -> None:
    fresh.kitty("merge", "sample", "--test-command", "true")
    fresh.commit("Version", pyproject__toml='[project]\nname = "sample"\nversion = "1.0"\n')
    fresh.git("config", "filter.x.smudge", "touch ran")
    assert fresh.refusal("ship", "sample", "--version", "1.0", exit=4)["code"] == "CONFIG_CHANGED"
