"""What happens to a mission, its branches and its checkouts while it lands, or after a merge was killed."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench

pytestmark = pytest.mark.slow

Script = Callable[[str], str]
Killed = Callable[..., None]
KilledMerge = Callable[[str], None]


def merge(bench: Workbench, command: str = "true", *words: str) -> dict[str, Any]:
    data: dict[str, Any] = bench.kitty("merge", "sample", "--test-command", command, *words)["data"]
    return data


def refused_merge(bench: Workbench, command: str = "true") -> dict[str, Any]:
    return bench.refusal("merge", "sample", "--test-command", command, exit=4)


def mission_state(bench: Workbench) -> str:
    state: str = bench.kitty("status", "sample")["data"]["mission"]["state"]
    return state


def landings(bench: Workbench) -> list[list[str]]:
    """The states that every landing went through."""
    found: dict[str, list[str]] = {}
    for event in bench.events():
        if (event["entity_type"], event["kind"]) == ("merge", "transition"):
            found.setdefault(event["entity_id"], []).append(event["to_state"])
    return list(found.values())


def expect_merged(bench: Workbench, **states: str) -> None:
    assert mission_state(bench) == "merged"
    assert bench.states() == {"WP01": "done", "WP02": "done", **states}
    assert bench.kitty("verify", "sample")["data"]["holds"]
    landed = [e["entity_id"] for e in bench.events() if (e["entity_type"], e["trigger"]) == ("work_package", "land")]
    assert sorted(landed) == sorted(name for name, state in bench.states().items() if state == "done")


def typed(bench: Workbench, *commands: str) -> str:
    """Shell text in which the user types kitty-flow commands in another terminal."""
    prefix = f"PYTHONPATH={shlex.quote(os.environ.get('PYTHONPATH', ''))} {shlex.join(bench.command)}"
    lines = [f"cd {shlex.quote(str(bench.root))}", *(f"{prefix} {command} > /dev/null" for command in commands)]
    return "\n".join(lines)


def move_mission_branch(bench: Workbench) -> str:
    branch = f"refs/heads/{bench.mission_branch}"
    commit = f"git commit-tree -p {branch} -m 'By hand' '{branch}^{{tree}}'"
    return f"git -C '{bench.root}' update-ref {branch} $(cd '{bench.root}' && {commit})"


# While the tests run.


def test_reopened_while_the_tests_run(bench: Workbench, script: Script) -> None:
    before = bench.git("rev-parse", "trunk")
    error = refused_merge(bench, script(typed(bench, "wp reopen WP02 --reason 'not good'")))
    assert (error["code"], "WP02" in error["message"]) == ("MISSION_NOT_ACCEPTED", True)
    assert error["hint"] == "kitty-flow run sample"
    assert bench.git("rev-parse", "trunk") == before
    assert bench.states() == {"WP01": "approved", "WP02": "planned"}
    assert landings(bench) == [["prepared", "tested", "refused"]]
    bench.run()
    merge(bench)
    expect_merged(bench)


def test_canceled_while_the_tests_run(bench: Workbench, script: Script) -> None:
    before = bench.git("rev-parse", "trunk")
    commands = "wp reopen WP02 --reason 'not good'", "wp cancel WP02 --reason 'not wanted'"
    assert refused_merge(bench, script(typed(bench, *commands)))["code"] in ("MISSION_NOT_ACCEPTED", "MISSION_MOVED")
    assert bench.git("rev-parse", "trunk") == before
    data = merge(bench)
    assert data["landed_work_packages"] == ["WP01"]
    assert [remark for remark in data["remarks"] if "WP02 was canceled" in remark], "its commits are still there"
    expect_merged(bench, WP02="canceled")


def test_the_mission_branch_moves_while_the_tests_run(bench: Workbench, script: Script) -> None:
    before = bench.git("rev-parse", "trunk")
    error = refused_merge(bench, script(move_mission_branch(bench)))
    assert (error["code"], error["hint"]) == ("MISSION_MOVED", "kitty-flow merge sample")
    assert bench.git("rev-parse", "trunk") == before
    merge(bench)
    expect_merged(bench)
    assert bench.git("log", "-1", "--format=%s", "trunk^2") == "By hand"


def test_the_mission_branch_vanishes_while_the_tests_run(bench: Workbench, script: Script) -> None:
    error = refused_merge(bench, script(f"git -C '{bench.root}' update-ref -d refs/heads/{bench.mission_branch}"))
    assert error["code"] == "MISSION_MOVED"
    error = refused_merge(bench)
    assert (error["code"], error["hint"]) == ("WORK_NOT_INTEGRATED", "kitty-flow run sample")
    bench.run()
    merge(bench)
    expect_merged(bench)


# What is not on the mission branch.


def test_approved_work_that_was_never_integrated(bench: Workbench, killed: Killed) -> None:
    bench.kitty("wp", "reopen", "WP02", "--reason", "not good")
    killed(-5, *bench.run_words())  # the approval; then mission branch, note, acceptance, end of the run
    assert bench.states() == {"WP01": "approved", "WP02": "approved"}
    before = bench.git("rev-parse", "trunk")
    error = refused_merge(bench)
    assert (error["code"], error["hint"]) == ("WORK_NOT_INTEGRATED", "kitty-flow run sample")
    assert "WP02" in error["message"] and "WP01" not in error["message"]
    assert bench.git("rev-parse", "trunk") == before
    bench.run()
    assert sorted(merge(bench)["landed_work_packages"]) == ["WP01", "WP02"]
    expect_merged(bench)


def test_integrated_work_that_somebody_took_off_the_mission_branch(bench: Workbench) -> None:
    kept = bench.git("rev-parse", bench.mission_branch)
    bench.git("branch", "-f", bench.mission_branch, "trunk")
    error = refused_merge(bench)
    assert (error["code"], "git merge " in error["hint"]) == ("WORK_NOT_INTEGRATED", True)
    bench.git("switch", "-q", bench.mission_branch)
    bench.git("merge", "-q", *error["hint"].partition("git merge ")[2].partition(",")[0].split())
    bench.git("switch", "-q", "trunk")
    assert bench.tree(bench.mission_branch) == bench.tree(kept)
    merge(bench)
    expect_merged(bench)


# After a merge was killed.


def test_reopened_after_the_target_moved(bench: Workbench, killed_merge: KilledMerge) -> None:
    """What has landed is recorded, what was reopened is not called done, and the rest lands later."""
    killed_merge("moved")
    bench.kitty("wp", "reopen", "WP02", "--reason", "not good")
    data = merge(bench)
    assert (data["resumed"], data["landed_work_packages"]) == (True, ["WP01"])
    assert [remark for remark in data["remarks"] if "WP02 is planned" in remark]
    assert bench.states() == {"WP01": "done", "WP02": "planned"}
    assert mission_state(bench) == "running"
    assert refused_merge(bench)["code"] == "MISSION_NOT_ACCEPTED"
    bench.run()
    data = merge(bench)
    assert (data["resumed"], data["landed_work_packages"]) == (False, ["WP02"])
    expect_merged(bench)
    assert landings(bench) == [["prepared", "tested", "landed", "proved"]] * 2


def test_approved_again_at_another_commit_after_the_landing(bench: Workbench, killed_merge: KilledMerge) -> None:
    killed_merge("landed")
    bench.kitty("wp", "reopen", "WP02", "--reason", "not good")
    bench.run()
    assert merge(bench)["landed_work_packages"] == ["WP01"]
    assert (bench.states(), mission_state(bench)) == ({"WP01": "done", "WP02": "approved"}, "accepted")
    assert merge(bench)["landed_work_packages"] == ["WP02"]
    expect_merged(bench)


def test_nothing_stops_a_landing_after_the_move(bench: Workbench, killed_merge: KilledMerge, script: Script) -> None:
    killed_merge("moved")
    (bench.root / "README.md").write_text("mine\n")
    bench.git("update-ref", f"refs/heads/{bench.mission_branch}", bench.git("rev-parse", "trunk^1"))
    merge(bench)
    expect_merged(bench)
    assert (bench.root / "README.md").read_text() == "mine\n"
    assert (bench.root / "two.txt").exists()
    assert bench.git("status", "--porcelain") == " M README.md"


def test_a_checkout_with_an_operation_in_progress_stays_as_it_is(bench: Workbench, killed_merge: KilledMerge) -> None:
    killed_merge("moved")
    (bench.root / ".git" / "MERGE_HEAD").write_text(bench.git("rev-parse", "trunk^1") + "\n")
    data = merge(bench)
    assert [r for r in data["remarks"] if str(bench.root) in r and "a merge of yours" in r]
    assert not (bench.root / "two.txt").exists()
    expect_merged(bench)


def test_the_user_went_on_from_the_landed_commit(bench: Workbench, killed_merge: KilledMerge) -> None:
    killed_merge("moved")
    bench.git("reset", "-q", "--hard")
    bench.git("rm", "-q", "two.txt")
    tip = bench.commit("Not this one", mine__txt="mine\n")
    (bench.root / "one.txt").write_text("edited\n")
    data = merge(bench)
    assert [r for r in data["remarks"] if str(bench.root) in r and "has moved on" in r]
    assert bench.git("rev-parse", "trunk") == tip
    assert bench.git("status", "--porcelain") == " M one.txt"
    assert not (bench.root / "two.txt").exists()
    assert (mission_state(bench), bench.states()) == ("merged", {"WP01": "done", "WP02": "done"})
    proofs = bench.kitty("verify", "sample", exit=4)["data"]["work_packages"]
    assert [proofs[name]["standing"] for name in ("WP01", "WP02")] == ["on_target", "regressed"]


@pytest.mark.parametrize("after", ["moved", "landed"])
def test_the_landed_commit_is_taken_off_the_target(bench: Workbench, killed_merge: KilledMerge, after: str) -> None:
    """A landing that was never proved has an exit, and the mission lands again."""
    killed_merge(after)
    bench.git("reset", "-q", "--hard", "trunk^1")
    bench.commit("Instead", three__txt="three\n")
    data = merge(bench)
    assert [r for r in data["remarks"] if "an earlier landing was closed" in r]
    assert data["before"] == bench.git("rev-parse", "trunk^1")
    expect_merged(bench)
    assert [states[-1] for states in landings(bench)] == ["refused", "proved"]


@pytest.mark.parametrize("after", ["prepared", "tested"])
def test_the_candidate_was_pruned(bench: Workbench, killed_merge: KilledMerge, after: str) -> None:
    killed_merge(after)
    shutil.rmtree(bench.root / ".git" / "kitty-flow" / "fresh")  # which would bring it back
    bench.git("gc", "-q", "--prune=now")
    merge(bench)
    expect_merged(bench)
    assert [states[-1] for states in landings(bench)] == ["refused", "proved"]


def test_merged_by_hand_and_red(bench: Workbench) -> None:
    """A candidate that is the target's own commit moves nothing: its landing is over when the tests fail."""
    bench.git("merge", "-q", "--no-ff", "-m", "By hand", bench.mission_branch)
    assert refused_merge(bench, "test -f three.txt")["code"] == "TARGET_RED"
    assert landings(bench) == [["prepared", "refused"]]
    bench.commit("Mend", three__txt="three\n")
    merge(bench, "test -f three.txt")
    expect_merged(bench)


# Once more, after it has landed.


def lanes(bench: Workbench) -> list[Path]:
    return sorted(Path(f"{bench.root}.kitty", "worktrees").glob("*/lane-*"))


def test_killed_before_it_tidied_up(bench: Workbench, killed_merge: KilledMerge) -> None:
    killed_merge("proved")
    assert lanes(bench)
    expect_merged(bench)
    events, tips = bench.events(), bench.tips
    data = bench.kitty("merge", "sample")["data"]
    assert data["remarks"] == ["already landed; nothing was left to do"]
    assert (data["landed_commit"], data["tested_tree"]) == (bench.git("rev-parse", "trunk"), bench.tree("trunk"))
    assert data["landed_work_packages"] == ["WP01", "WP02"]
    assert lanes(bench) == []
    assert (bench.events(), bench.tips) == (events, tips)
    assert bench.kitty("merge", "sample")["data"] == data


def test_merged_once_more_when_the_target_lost_it(bench: Workbench) -> None:
    merge(bench)
    bench.git("reset", "-q", "--hard", "HEAD~1")
    tips = bench.tips
    error = bench.refusal("merge", "sample", exit=4)
    assert (error["code"], error["hint"]) == ("LANDING_NOT_PROVED", "kitty-flow verify sample")
    assert error["details"]["work_packages"] == ["WP01", "WP02"]
    assert bench.tips == tips


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("edited", "it has uncommitted changes"),
        ("committed", "it has commits that did not land"),
        ("locked", "it could not be removed"),
        ("broken", "it could not be removed"),
    ],
)
def test_a_worktree_that_stays_says_why(bench: Workbench, what: str, words: str) -> None:
    lane = lanes(bench)[0]
    if what == "edited":
        (lane / "note.txt").write_text("a person looked around here\n")
    elif what == "committed":
        bench.git("commit", "-q", "--allow-empty", "-m", "More", cwd=lane)
    elif what == "locked":
        bench.git("worktree", "lock", lane)
    else:
        Path(bench.git("rev-parse", "--path-format=absolute", "--git-path", "index", cwd=lane)).write_text("no index")
    remarks = merge(bench, "true", "--override", "worktrees_clean", "--reason", "seen")["remarks"]
    assert [r for r in remarks if r.startswith(f"kept the worktree {lane}: {words}")], remarks
    assert lane.is_dir()
    expect_merged(bench)
