"""Amendments that two clones made without knowing of each other: one counts everywhere, the other side is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from workbench import DIAMOND, Workbench

pytestmark = pytest.mark.slow

WHY = ("--reason", "for a reason")


@pytest.fixture
def other(bench: Workbench) -> Workbench:
    """A second clone that has the mission of the bench; both exchange through a hub."""
    hub = bench.root.parent / "hub.git"
    bench.git("init", "-q", "--bare", hub)
    bench.git("remote", "add", "origin", hub)
    bench.mission(DIAMOND, target_branch="trunk")
    bench.kitty("plan")
    bench.git("push", "-q", "origin", "trunk")
    bench.kitty("sync")
    bench.git("clone", "-q", hub, bench.root.parent / "other")
    made = Workbench(bench.root.parent / "other", bench.command)
    made.kitty("sync")
    return made


def exchange(first: Workbench, second: Workbench) -> list[str]:
    """Bring both to the same log; what the second was told about conflicts."""
    first.kitty("sync")
    told = second.kitty("sync")["diagnostics"]
    first.kitty("sync")
    assert first.events() == second.events()
    return [d["message"] for d in told if d["diagnostic_code"] == "LEDGER_CONFLICT"]


def more(bench: Workbench, name: str) -> Path:
    path = bench.root.parent / f"{name}.toml"
    path.write_text(f'[[work_package]]\nid = "{name}"\nowned_files = ["{name}.txt"]\n', encoding="utf-8")
    return path


def test_the_later_amendment_counts_and_what_the_other_had_brought_can_come_back(
    bench: Workbench, other: Workbench
) -> None:
    lost = ("mission", "amend", "sample", "--add-wp", more(bench, "WP05"), "--drop-dependency", "WP01:WP02")
    bench.kitty(*lost, *WHY, "--actor", "ann")
    other.kitty("mission", "amend", "sample", "--add-wp", more(bench, "WP06"), *WHY, "--actor", "ben")
    (told,) = exchange(bench, other)
    assert "amend by ben counts, amend by ann" in told
    plans = [place.kitty("plan", "sample")["data"] for place in (bench, other)]
    assert plans[0] == plans[1]
    assert [w["id"] for w in plans[0]["work_packages"]] == ["WP01", "WP02", "WP03", "WP04", "WP06"]
    for place in (bench, other):
        shown = place.kitty("mission", "show", "sample")
        assert {a["actor"]: a["superseded"] for a in shown["data"]["amendments"]} == {"ann": True, "ben": False}
        assert any("superseded" in d["message"] for d in shown["diagnostics"])
    bench.kitty(*lost, *WHY, "--actor", "ann")
    exchange(bench, other)
    assert other.states() == dict.fromkeys(("WP01", "WP02", "WP03", "WP04", "WP05", "WP06"), "planned")
    assert other.kitty("next", "--peek", "--agent", "zoe")["data"]["wp_id"] == "WP01"


def test_work_begun_here_keeps_its_place_when_another_clone_amends(bench: Workbench, other: Workbench) -> None:
    """The other clone does not know of the start, neither of the mission's nor of a work package's, and moves both."""
    step = bench.kitty("next", "--agent", "ann")["data"]
    (bench.root.parent / "first.toml").write_text(
        '[[work_package]]\nid = "WP00"\nowned_files = ["zero.txt"]\n', encoding="utf-8"
    )
    other.kitty("mission", "amend", "--add-wp", bench.root.parent / "first.toml", *WHY)
    moved = {w["id"]: w["execution_lane"] for w in other.kitty("plan", "sample")["data"]["work_packages"]}
    assert not step["branch"].endswith(moved["WP01"])  # otherwise this test shows nothing
    exchange(bench, other)
    for place in (bench, other):
        lanes = {w["id"]: w["execution_lane"] for w in place.kitty("plan", "sample")["data"]["work_packages"]}
        assert step["branch"].endswith(lanes["WP01"])
    held = bench.kitty("next", "--agent", "ann", "-m", "sample")["data"]
    assert (held["worktree"], held["branch"]) == (step["worktree"], step["branch"])
    # The start of the mission is superseded with its base; it is begun again where its branch was begun.
    assert bench.kitty("status", "sample")["data"]["mission"]["state"] == "planned"
    bench.kitty("wp", "release", "WP01", "-m", "sample", "--reason", "another is to do it")
    again = bench.kitty("next", "--agent", "ben", "-m", "sample")["data"]
    assert (again["wp_id"], again["branch"], again["base_commit"]) == ("WP01", step["branch"], step["base_commit"])
    assert bench.kitty("status", "sample")["data"]["mission"]["state"] == "running"
