"""G1: every commit that landed on the target is a tree that was tested, and any other commit is named as not ours."""

from __future__ import annotations

import subprocess
import sys

import pytest
from workbench import Workbench

from kitty_flow.release.first_parent import FirstParent, TargetCommit


@pytest.mark.slow
def test_what_landed_was_tested_and_what_others_did_is_named(bench: Workbench) -> None:
    by_hand = [bench.commit("By hand", three__txt="three\n")]
    bench.kitty("merge", "sample", "--test-command", "test -f two.txt")
    landed = bench.git("rev-parse", "trunk")
    by_hand.append(bench.commit("More by hand", three__txt="four\n"))
    line = bench.kitty("verify", "sample")["data"]["first_parent"]
    assert (line["count"], line["not_ours"], line["untested"]) == (3, by_hand[::-1], [])
    assert [(each["commit"], each["tree"]) for each in line["tested"]] == [(landed, bench.tree(landed))]
    said = subprocess.run(
        [sys.executable, "-P", "-m", "kitty_flow", "verify"], cwd=bench.root, capture_output=True, encoding="utf-8"
    ).stdout.split()
    told = f"1 of 3 first-parent commits are a tested tree; not ours: {by_hand[1][:12]}, {by_hand[0][:12]}"
    assert told in " ".join(said)

    # What another mission landed is tested as well, by the record in that mission's ledger.
    bench.slug = "second"
    bench.mission({"WP01": {"owned_files": ["five.txt"]}}, target_branch="trunk", id="01JZ5N3C8RWE5P1YF0K6SHTAVE")
    bench.run(jobs=1)
    bench.kitty("merge", "second", "--test-command", "test -f five.txt")
    line = bench.kitty("verify", "sample")["data"]["first_parent"]
    assert (line["count"], line["tested"][0]["commit"]) == (4, bench.git("rev-parse", "trunk"))
    assert (line["tested"][1]["commit"], line["not_ours"]) == (landed, by_hand[::-1])
    assert bench.kitty("verify", "second")["data"]["first_parent"]["count"] == 1


def test_a_landing_without_a_pass_is_an_error() -> None:
    line = FirstParent("a" * 40, (TargetCommit("b" * 40, "c" * 40, "01JZ", False),))
    assert not line.holds
    assert line.error is not None
    assert (line.error.code, line.error.exit_status) == ("TREE_NOT_TESTED", 4)
    assert line.error.details["commits"] == ["b" * 40]
