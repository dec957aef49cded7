"""Every reason to refuse a merge: the exact code, and neither the target nor the user's checkout changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench, files_of

Script = Callable[[str], str]


@contextmanager
def nothing_landed(bench: Workbench) -> Iterator[None]:
    """The target and the files of its checkout are the same afterwards; the disposable worktree is gone."""
    before = bench.git("rev-parse", "trunk"), files_of(bench.root, without=lambda n: n.startswith(".git/"))
    status = bench.git("status", "--porcelain")
    yield
    after = bench.git("rev-parse", "trunk"), files_of(bench.root, without=lambda n: n.startswith(".git/"))
    assert after == before
    assert bench.git("status", "--porcelain") == status
    assert "gate" not in bench.git("worktree", "list", "--porcelain")
    assert set(bench.states().values()) == {"approved"}


def expect_landing(bench: Workbench, command: str = "true", *words: str) -> dict[str, Any]:
    """A merge that works, with everything that must be true after one."""
    data: dict[str, Any] = bench.kitty("merge", "sample", "--test-command", command, *words)["data"]
    assert bench.git("rev-parse", "trunk") == data["landed_commit"]
    assert bench.tree("trunk") == data["tested_tree"]
    assert set(bench.states().values()) == {"done"}
    assert bench.kitty("verify", "sample")["data"]["holds"]
    return data


def test_without_a_test_command(bench: Workbench) -> None:
    with nothing_landed(bench):
        error = bench.refusal("merge", exit=4)
    assert error["code"] == "TESTS_NOT_CONFIGURED"
    assert "--test-command" in error["hint"]
    bench.settings('[merge]\ntest_command = ["test", "-f", "two.txt"]\n')
    assert bench.kitty("merge")["data"]["resumed"] is False


def test_a_test_command_that_is_not_there(bench: Workbench) -> None:
    with nothing_landed(bench):
        assert bench.refusal("merge", "--test-command", "no-such-tests", exit=7)["code"] == "AGENT_COMMAND_MISSING"
        assert bench.refusal("merge", "--test-command", "'open", exit=2)["code"] == "INVALID_TEST_COMMAND"
        assert bench.refusal("merge", "--test-command", "", exit=4)["code"] == "TESTS_NOT_CONFIGURED"


def test_failing_tests(bench: Workbench, script: Script) -> None:
    with nothing_landed(bench):
        error = bench.refusal("merge", "--test-command", script("echo it is broken\nexit 3"), exit=4)
    assert error["code"] == "TARGET_RED", "they fail on the target as well: nobody is to blame"
    assert "status 3" in error["message"]
    assert error["details"]["test_log"] in error["hint"]
    assert Path(error["details"]["test_log"]).read_text() == "it is broken\n"
    assert "it is broken" in error["details"]["test_output"]
    assert expect_landing(bench)["resumed"] is False, "a refused merge is over; the next one starts afresh"


def test_tests_that_never_end(bench: Workbench, script: Script) -> None:
    bench.settings("[merge]\ntest_timeout_s = 0.3\n")
    with nothing_landed(bench):
        error = bench.refusal("merge", "--test-command", script("sleep 100 & wait"), exit=4)
    assert (error["code"], "timeout" in error["message"]) == ("TARGET_RED", True)


@pytest.mark.parametrize(
    "text",
    ["echo more >> one.txt", "rm README.md", "git commit --quiet --allow-empty --message mine", "git rm -q one.txt"],
)
def test_tests_that_change_what_they_test(bench: Workbench, script: Script, text: str) -> None:
    with nothing_landed(bench):
        error = bench.refusal("merge", "--test-command", script(text), exit=4)
    assert error["code"] == "TESTS_CHANGED_TREE"


def test_the_tests_see_exactly_the_tree_that_lands(bench: Workbench, script: Script) -> None:
    """In a worktree of its own, without the user's untracked files, and with no variable that misleads git."""
    (bench.root / "untracked.txt").write_text("only here\n")
    bench.env |= {"GIT_AUTHOR_NAME": "x", "GIT_PREFIX": "deep/", "KITTY_FLOW_WP": "WP09", "GIT_INDEX_FILE": "/nowhere"}
    seen = bench.root.parent / "seen"
    count = "env | grep -c '^GIT_PREFIX\\|^KITTY_FLOW_W\\|^GIT_INDEX' || true"
    text = f"{{ git rev-parse 'HEAD^{{tree}}'; ls; {count}; }} > '{seen}'"
    data = expect_landing(bench, script(text))
    tree, *names, count = seen.read_text().split()
    assert (tree, names, count) == (data["tested_tree"], ["README.md", "one.txt", "two.txt"], "0")
    assert (bench.root / "untracked.txt").exists()
    assert (bench.root / "two.txt").read_text() == "WP02 was here\n"
    assert bench.git("status", "--porcelain") == "?? untracked.txt"


def test_a_target_that_moved_on_without_conflict(bench: Workbench) -> None:
    moved = bench.commit("Meanwhile", three__txt="three\n")
    data = expect_landing(bench, "test -f three.txt -a -f two.txt")
    assert data["before"] == moved
    assert bench.git("rev-parse", "trunk^1") == moved
    assert sorted(p.name for p in bench.root.glob("*.txt")) == ["one.txt", "three.txt", "two.txt"]
    assert bench.git("status", "--porcelain") == ""


def test_a_conflict_with_the_target_and_the_way_out(bench: Workbench) -> None:
    bench.commit("Meanwhile", one__txt="something else\n")
    with nothing_landed(bench):
        error = bench.refusal("merge", "--test-command", "true", exit=4)
    assert (error["code"], "one.txt" in error["message"]) == ("MERGE_CONFLICT", True)
    assert ("sample", "merge") not in [(e["mission_slug"], e["entity_type"]) for e in bench.events()]
    # The hint: merge the target into the mission branch and resolve.
    aside = bench.root.parent / "aside"
    bench.git("worktree", "add", "-q", aside, bench.mission_branch)
    bench.git("merge", "-q", "trunk", cwd=aside, ok=(1,))
    (aside / "one.txt").write_text("something else\nWP01 was here\n")
    bench.git("commit", "-qam", "Resolve", cwd=aside)
    bench.git("worktree", "remove", aside)
    expect_landing(bench)
    assert (bench.root / "one.txt").read_text() == "something else\nWP01 was here\n"


@pytest.mark.parametrize("kind", ["edited", "staged", "deleted"])
def test_a_dirty_checkout_of_the_target(bench: Workbench, kind: str) -> None:
    if kind == "deleted":
        (bench.root / "README.md").unlink()
    else:
        (bench.root / "README.md").write_text("mine\n")
    if kind == "staged":
        bench.git("add", "README.md")
    with nothing_landed(bench):
        error = bench.refusal("merge", "--test-command", "true", exit=4)
    assert (error["code"], "README.md" in error["message"]) == ("CHECKOUT_DIRTY", True)


@pytest.mark.parametrize("name", ["two.txt", "ignored"])
def test_an_untracked_file_in_the_way(bench: Workbench, name: str) -> None:
    if name == "ignored":
        with (bench.root / ".git" / "info" / "exclude").open("a") as stream:
            stream.write("two.txt\n")
    (bench.root / "two.txt").write_text("mine\n")
    with nothing_landed(bench):
        assert bench.refusal("merge", "--test-command", "true", exit=4)["code"] == "CHECKOUT_WOULD_LOSE_EDITS"
    (bench.root / "two.txt").rename(bench.root / "mine.txt")
    expect_landing(bench)
    assert (bench.root / "mine.txt").read_text() == "mine\n"


@pytest.mark.parametrize("operation", ["merge", "rebase", "cherry-pick"])
def test_an_operation_of_the_user_is_in_progress(bench: Workbench, operation: str) -> None:
    bench.git("branch", "side")
    bench.commit("On trunk", base__txt="x\n")
    bench.git("checkout", "-q", "side")
    bench.commit("On the side", side__txt="x\n")
    bench.git("checkout", "-q", "trunk")
    if operation == "merge":
        bench.git("merge", "-q", "--no-commit", "-s", "ours", "side")
    elif operation == "rebase":
        bench.git("-c", "sequence.editor=sed -i 1ibreak", "rebase", "-q", "-i", "HEAD~1")
    else:
        (bench.root / ".git" / "CHERRY_PICK_HEAD").write_text(bench.git("rev-parse", "side") + "\n")
    with nothing_landed(bench):
        error = bench.refusal("merge", "--test-command", "true", exit=4)
    assert (error["code"], operation in error["message"]) == ("USER_OPERATION_IN_PROGRESS", True)


def test_an_unfinished_mission(bench: Workbench) -> None:
    bench.kitty("wp", "reopen", "WP02", "--reason", "too quiet")
    before = bench.git("rev-parse", "trunk")
    error = bench.refusal("merge", "--test-command", "true", exit=4)
    assert (error["code"], "WP02" in error["message"]) == ("MISSION_NOT_ACCEPTED", True)
    assert bench.git("rev-parse", "trunk") == before
    bench.run()
    expect_landing(bench)


def test_a_mission_that_was_never_run(bench: Workbench) -> None:
    bench.slug = "other"
    bench.mission(id="01JZ5N3C8RWE5P1YF0K6SHTAVE")
    error = bench.refusal("merge", "other", "--test-command", "true", exit=4)
    assert error["code"] == "MISSION_NOT_ACCEPTED"


def test_the_target_moves_while_the_tests_run(bench: Workbench, script: Script) -> None:
    mark = bench.root.parent / "moved"
    commit = f"git -C '{bench.root}' commit -q --allow-empty -m Meanwhile"
    once = f"[ -e '{mark}' ] || {{ {commit}; touch '{mark}'; }}"
    before = bench.git("rev-parse", "trunk")
    error = bench.refusal("merge", "--test-command", script(once), exit=4)
    assert error["code"] == "TARGET_MOVED"
    assert bench.git("rev-parse", "trunk^") == before
    assert set(bench.states().values()) == {"approved"}
    assert bench.git("status", "--porcelain") == ""
    data = expect_landing(bench, script(once))
    assert data["before"] == bench.git("rev-parse", "trunk^1")


def test_the_user_writes_into_the_checkout_while_the_tests_run(bench: Workbench, script: Script) -> None:
    text = f"echo mine > '{bench.root}/two.txt'"
    before = bench.git("rev-parse", "trunk")
    error = bench.refusal("merge", "--test-command", script(text), exit=4)
    assert error["code"] == "CHECKOUT_WOULD_LOSE_EDITS"
    assert bench.git("rev-parse", "trunk") == before
    assert (bench.root / "two.txt").read_text() == "mine\n"
    (bench.root / "two.txt").unlink()
    expect_landing(bench)


def test_the_target_is_not_checked_out(bench: Workbench) -> None:
    bench.git("checkout", "-q", "-b", "elsewhere")
    (bench.root / "README.md").write_text("edits on another branch are nobody's business\n")
    files = files_of(bench.root, without=lambda n: n.startswith(".git/"))
    expect_landing(bench)
    assert files_of(bench.root, without=lambda n: n.startswith(".git/")) == files
    assert bench.git("status", "--porcelain") == " M README.md"


def test_hooks_do_not_run_and_a_merge_driver_decides_nothing(bench: Workbench, tmp_path: Path) -> None:
    for name in ("post-merge", "pre-merge-commit", "post-checkout", "reference-transaction", "commit-msg"):
        hook = bench.root / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran-{name}'\nexit 1\n")
        hook.chmod(0o755)
    expect_landing(bench)
    assert not list(tmp_path.glob("ran-*"))
    assert (bench.root / "two.txt").exists()


def test_a_planted_merge_driver_does_not_hide_a_conflict(bench: Workbench) -> None:
    bench.commit("Meanwhile", one__txt="something else\n")
    bench.git("config", "merge.union.driver", "true")
    (bench.root / ".git" / "info" / "attributes").write_text("* merge=union\n")
    with nothing_landed(bench):
        error = bench.refusal("merge", "--test-command", "true", exit=4)
        assert (error["code"], "conflicts with trunk besides, in: one.txt" in error["message"]) == (
            "CONFIG_CHANGED",
            True,
        )
        passed = ("--override", "config_unchanged", "--reason", "we want to see")
        assert bench.refusal("merge", "--test-command", "true", *passed, exit=4)["code"] == "MERGE_CONFLICT"


def test_work_that_did_not_land_keeps_its_worktree(bench: Workbench) -> None:
    lane = next(Path(bench.root.parent / "repo.kitty" / "worktrees").glob("*/lane-*"))
    (lane / "note.txt").write_text("a person looked around here\n")
    with nothing_landed(bench):
        assert bench.refusal("merge", "--test-command", "true", exit=4)["code"] == "WORKTREE_DIRTY"
    data = expect_landing(bench, "true", "--override", "worktrees_clean", "--reason", "only a note")
    assert str(lane) in data["remarks"][0]
    assert (lane / "note.txt").exists()


def test_a_commit_that_vanished_from_the_target_is_noticed(bench: Workbench) -> None:
    expect_landing(bench)
    bench.git("reset", "-q", "--hard", "HEAD~1")
    envelope = bench.kitty("verify", "sample", exit=4)
    assert envelope["error"]["code"] == "LANDING_NOT_PROVED"
    assert envelope["data"]["holds"] is False
    assert {p["holds"] for p in envelope["data"]["work_packages"].values()} == {False}

    bench.git("checkout", "-q", "--detach")
    bench.git("branch", "-q", "-D", "trunk")
    error = bench.kitty("verify", "sample", exit=4)["error"]
    assert "which this clone does not have" in error["message"]
    assert "git fetch" in error["hint"]


def test_two_merges_at_once(bench: Workbench, script: Script) -> None:
    """The tests of the first merge start the second."""
    inner = " ".join([*bench.command, "merge", "sample", "--json", "--test-command", "true"])
    path = os.environ.get("PYTHONPATH", "")
    answer = bench.root.parent / "answer"
    text = f"(cd '{bench.root}' && PYTHONPATH='{path}' {inner} > '{answer}') || test $? -eq 5"
    expect_landing(bench, script(text))
    assert '"LOCK_TIMEOUT"' in answer.read_text()
