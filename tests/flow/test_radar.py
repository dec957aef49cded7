"""The conflict radar: heads that do not merge are told at the submission, at the review, and by the doctor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench


def told(envelope: dict[str, Any]) -> list[str]:
    found = [each for each in envelope["diagnostics"] if each["diagnostic_code"] == "HEADS_COLLIDE"]
    return [f"{each['details']['work_package']} {each['details']['other']}" for each in found]


def work(bench: Workbench, step: dict[str, Any], name: str, text: str) -> str:
    """Commit a file in the worktree of a step, and write the result; returns where that is."""
    worktree = Path(step["worktree"])
    (worktree / name).write_text(text, encoding="utf-8")
    bench.git("add", "--", name, cwd=worktree)
    bench.git("commit", "-q", "-m", "Work", cwd=worktree)
    Path(step["result_path"]).write_text(json.dumps({"outcome": "success", "summary": "made"}), encoding="utf-8")
    return str(step["result_path"])


@pytest.mark.slow
def test_what_does_not_merge_is_told_where_somebody_can_still_do_something(bench: Workbench) -> None:
    bench.mission({"WP01": {"owned_files": ["1.txt"]}, "WP02": {"owned_files": ["2.txt"]}}, target_branch="trunk")
    bench.kitty("mission", "import", ".kitty-flow/missions/sample.toml")
    first = bench.kitty("next", "--agent", "ann")["data"]
    second = bench.kitty("next", "--agent", "bea")["data"]
    assert (first["wp_id"], second["wp_id"]) == ("WP01", "WP02")
    bench.commit("Meanwhile", **{"1__txt": "on trunk\n"})

    # Handed in: its own pairs, here the target alone.
    envelope = bench.kitty("wp", "submit", "WP01", "--agent", "ann", "--result", work(bench, first, "1.txt", "ann's\n"))
    assert (envelope["data"]["state"], told(envelope)) == ("for_review", ["WP01 trunk"])
    assert "does not merge with trunk, in 1.txt" in envelope["diagnostics"][0]["message"]
    envelope = bench.kitty("next", "--agent", "bea", "--result", work(bench, second, "2.txt", "bea's\n"))
    assert told(envelope) == [], "the collision of another one is not its business"

    # Under review, by an agent and by a person; what is over is told no more.
    envelope = bench.kitty("next", "--agent", "rex", "--role", "review")
    assert (envelope["data"]["wp_id"], told(envelope)) == ("WP01", ["WP01 trunk"])
    assert told(bench.kitty("wp", "review", "WP02", "--actor", "ray")) == []
    found = [f for f in bench.kitty("doctor", "conflicts")["data"]["findings"] if f["status"] == "warning"]
    assert [(f["subject"], f["details"]["other"], f["details"]["paths"]) for f in found] == [
        ("sample/WP01", "trunk", ["1.txt"])
    ]
    assert found[0]["remedy"] == "kitty-flow wp show WP01 --mission sample"
    bench.kitty("wp", "show", "WP01", "--mission", "sample")
