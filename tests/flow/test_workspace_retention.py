"""How long worktrees stay: what is over goes, what holds work never does; and how few processes git takes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench

ONE = {"WP01": {"owned_files": ["core.txt"]}}


@pytest.fixture
def approved(bench: Workbench) -> Workbench:
    bench.mission(ONE)
    bench.run()
    return bench


def lane(bench: Workbench) -> Path:
    return next(Path(f"{bench.root}.kitty", "worktrees").glob("*/lane-a"))


def retired(bench: Workbench, name: str = "lane-a.2") -> Path:
    """A worktree as an expired claim leaves it: beside the lane's own, detached."""
    path = lane(bench).with_name(name)
    bench.git("worktree", "add", "-q", "--detach", path, bench.mission_branch)
    return path


def findings(bench: Workbench, *words: str) -> dict[str, dict[str, Any]]:
    found = bench.kitty("doctor", "worktrees", *words)["data"]["findings"]
    return {f["subject"].rpartition("/")[2]: f for f in found}


@pytest.mark.parametrize(("keep", "stays"), [("0", False), ("3", True)])
def test_the_settings_say_how_long(approved: Workbench, keep: str, stays: bool) -> None:
    approved.settings(f"[workspace]\nkeep = {keep}\n")
    path = lane(approved)
    data = approved.kitty("merge", "sample", "--test-command", "test -f core.txt")["data"]
    assert path.exists() is stays
    assert not [r for r in data["remarks"] if "worktree" in r]
    if stays:
        found = findings(approved, "--fix")["lane-a"]
        assert (found["status"], found["fixable"]) == ("ok", False)
        assert "by the settings" in found["message"]
        assert found["details"]["bytes"] > 0
        approved.settings("[workspace]\nkeep = 0\n")
        assert findings(approved)["lane-a"]["fixable"]
        assert "lane-a" not in findings(approved, "--fix")
        assert not path.exists()


def test_replaced_worktrees_go_when_they_hold_nothing(approved: Workbench) -> None:
    clean, dirty, own = (retired(approved, f"lane-a.{n}") for n in (2, 3, 4))
    (dirty / "left.txt").write_text("unsaved\n")
    approved.git("commit", "-q", "--allow-empty", "-m", "kept by nobody", cwd=own)
    mine = lane(approved).with_name("mine")
    approved.git("worktree", "add", "-q", "--detach", mine)
    folder = lane(approved).with_name("lane-a.5")
    folder.mkdir()
    (folder / "file").write_text("whose?\n")
    found = findings(approved)
    assert {name: f["fixable"] for name, f in found.items() if name.startswith("lane-a.")} == {
        "lane-a.2": True,
        "lane-a.3": False,
        "lane-a.4": False,
        "lane-a.5": False,
    }
    assert found["lane-a"]["status"] == "ok"
    assert (found["lane-a.5"]["status"], "no branch" in found["lane-a.4"]["message"]) == ("warning", True)
    findings(approved, "--fix")
    assert [p.exists() for p in (clean, dirty, own, mine, folder, lane(approved))] == [False, *[True] * 5]
    words = ("merge", "sample", "--test-command", "test -f core.txt")
    assert approved.refusal(*words, exit=4)["code"] == "WORKTREE_DIRTY"
    data = approved.kitty(*words, "--override", "worktrees_clean", "--reason", "not needed")["data"]
    told = " ".join(data["remarks"])
    assert [name in told for name in ("lane-a.3", "lane-a.4", "mine")] == [True, True, False]
    assert [p.exists() for p in (dirty, own, mine)] == [True] * 3


def test_a_work_package_costs_few_git_processes(bench: Workbench) -> None:
    """From claim to integration with its review; the processes of the run as a whole are few and do not count here."""
    bench.mission({f"WP0{n}": {"owned_files": [f"{n}.txt"]} for n in range(1, 5)})
    bench.kitty("plan", "sample")
    points = Counter(name for name in bench.points(*bench.run_words(jobs=1)) if name.startswith("git."))
    assert points["git.worktree"] == 4
    assert sum(points.values()) <= 4 * 6 + 14, points
