"""Worktrees in every state, and the unsaved work that was kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def lane(ward: Any) -> Path:
    """The worktree of the only execution lane of a mission whose work is approved."""
    ward.add_mission("shop")
    ward.run("shop")
    return _worktrees(ward)[0]


def test_clean_dirty_and_locked_worktrees_of_an_open_mission(ward: Any, lane: Path) -> None:
    assert ("ok", "clean") in _shop(ward, lane)
    (lane / "unsaved.txt").write_text("unsaved\n")
    assert ("ok", "dirty, 1 uncommitted path(s)") in _shop(ward, lane)
    ward.git("worktree", "lock", "--reason", "mine", str(lane))
    assert ("warning", "dirty, 1 uncommitted path(s), locked (mine)") in _shop(ward, lane)
    ward.obey(_remedy(ward, lane))
    assert ("ok", "dirty, 1 uncommitted path(s)") in _shop(ward, lane)


def test_a_worktree_whose_folder_was_deleted(ward: Any, lane: Path) -> None:
    shutil.rmtree(lane)
    assert _shop(ward, lane) == [("warning", "missing, but git still lists it")]
    ward.obey(_remedy(ward, lane))
    assert _shop(ward, lane) == []


def test_a_folder_that_git_does_not_know_is_in_the_way(ward: Any, lane: Path) -> None:
    ward.git("worktree", "remove", str(lane))
    lane.mkdir()
    (lane / "mine.txt").write_text("mine\n")
    assert [status for status, _ in _shop(ward, lane)] == ["problem"]
    ward.obey(_remedy(ward, lane))
    assert _shop(ward, lane) == []
    assert (lane.with_name(lane.name + ".old") / "mine.txt").exists()


def test_a_worktree_that_git_cannot_read_is_a_problem(ward: Any, lane: Path) -> None:
    for index in (ward.root / ".git" / "worktrees").glob("*/index"):
        index.write_bytes(b"damaged")
    assert [status for status, _ in _shop(ward, lane)] == ["problem"]


def test_what_a_finished_mission_left_over(ward: Any, lane: Path) -> None:
    gate = lane.with_name("gate")
    (lane / "unsaved.txt").write_text("unsaved\n")
    ward.merge("shop", "worktrees_clean")
    ward.git("worktree", "add", "-q", "--detach", str(gate))
    assert _shop(ward, lane) == [("warning", "dirty, 1 uncommitted path(s), left over: the mission is merged")]
    assert _shop(ward, gate) == [("warning", "clean, left over: the mission is merged")]
    assert _remedy(ward, gate) == f"git worktree remove -- {gate}"
    ward.obey(_remedy(ward, gate))
    assert not gate.exists()
    assert lane.exists()


def test_kept_work_is_listed_with_the_command_that_shows_it(ward: Any) -> None:
    mission_id = ward.add_mission("shop")
    ref = f"refs/kitty/salvage/{mission_id}/WP02/before-2-1"
    ward.git("update-ref", ref, "trunk")
    (kept,) = (f for f in ward.examine("worktrees") if f["subject"] == "shop/WP02")
    assert kept["status"] == "ok"
    assert kept["remedy"] == f"git show --stat {ref}"
    ward.obey(kept["remedy"])


def test_work_that_is_being_done_in_a_missing_worktree_is_a_problem(ward: Any) -> None:
    ward.add_mission("shop")
    done = ward.kitty("next", "--agent", "mia", "--mission", "shop", "--json", cwd=ward.root)
    step = done.json["data"]
    assert step["kind"] == "step", done.stdout
    shutil.rmtree(step["worktree"])
    (found,) = (f for f in ward.examine("worktrees") if f["status"] == "problem")
    assert "WP01 is being worked on there" in found["message"]
    assert found["remedy"].startswith("kitty-flow wp release WP01 --mission shop --reason ")
    words = ["wp", "release", "WP01", "--mission", "shop", "--reason", "its worktree is gone"]
    assert ward.kitty(*words, cwd=ward.root).exit == 0
    assert "problem" not in {f["status"] for f in ward.examine("worktrees")}


def test_a_broken_ledger_leaves_the_worktrees_of_others_looked_at(ward: Any, lane: Path) -> None:
    broken = ward.add_mission("broken")
    ward.rewrite(broken, "log/", lambda content: content[:-20])
    findings = ward.examine("worktrees")
    assert [f["status"] for f in findings if f["subject"] == broken] == ["warning"]
    assert [f["status"] for f in findings if f["subject"] == f"shop/{lane.name}"] == ["ok"]


def _worktrees(ward: Any) -> list[Path]:
    lines = ward.git("worktree", "list", "--porcelain").splitlines()
    return [Path(line.removeprefix("worktree ")) for line in lines if line.startswith("worktree ")][1:]


def _shop(ward: Any, path: Path) -> list[tuple[str, str]]:
    subject = f"shop/{path.name}"
    return [(f["status"], f["message"]) for f in ward.examine("worktrees") if f["subject"] == subject]


def _remedy(ward: Any, path: Path) -> str:
    return next(str(f["remedy"]) for f in ward.examine("worktrees") if f["subject"] == f"shop/{path.name}")
