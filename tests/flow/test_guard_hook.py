"""The hook of `guard install`: it comes after the user's, never in its place, and costs nothing elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench, files_of

from kitty_flow.flow.guard_install import install, line_by_hand, uninstall
from kitty_flow.flow.project import Project

KEPT = "pre-commit.before-kitty-flow"


@pytest.fixture
def hooks(bench: Workbench) -> Path:
    return bench.root / ".git" / "hooks"


def plant(hook: Path, text: str = "exit 0") -> Path:
    hook.write_text(f"#!/bin/sh\n{text}\n")
    hook.chmod(0o755)
    return hook


def run_hook(hook: Path, where: Path, *words: str, stdin: str = "", **environment: str) -> tuple[int, str, str]:
    env = {"PATH": "/nonexistent", **environment}
    done = subprocess.run([hook, *words], cwd=where, env=env, input=stdin, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def script(hooks: Path) -> None:
    plant(hooks / "pre-commit", 'read line; echo "user $# $1 $line"; exit 3')


def binary(hooks: Path) -> None:
    shutil.copy2(shutil.which("false") or "/bin/false", hooks / "pre-commit")


def relative_link(hooks: Path) -> None:
    plant(hooks.parent.parent / "check.sh", "echo linked; exit 4")
    (hooks / "pre-commit").symlink_to("../../check.sh")


def link_to_nowhere(hooks: Path) -> None:
    (hooks / "pre-commit").symlink_to("gone")


def without_a_shebang(hooks: Path) -> None:
    plant(hooks / "pre-commit").write_text("exit 5\n")


def not_executable(hooks: Path) -> None:
    plant(hooks / "pre-commit", "exit 6").chmod(0o644)


def nothing(hooks: Path) -> None:
    (hooks / "pre-commit").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("before", "status"),
    [
        (script, 3),
        (binary, 1),
        (relative_link, 4),
        (link_to_nowhere, 0),
        (without_a_shebang, 5),
        (not_executable, 0),
        (nothing, 0),
    ],
)
def test_the_users_hook_of_any_kind_runs_first_and_comes_back(
    bench: Workbench, hooks: Path, before: Any, status: int
) -> None:
    before(hooks)
    kept = files_of(bench.root)
    project = Project.discover(bench.root)
    first, again = install(project), install(project)
    assert (first.changed, again.changed) == (True, False)
    assert first.chained == again.chained == (None if before is nothing else hooks / KEPT)
    done = run_hook(hooks / "pre-commit", bench.root, "word", stdin="typed\n")
    assert done[0] == status
    if before is script:
        assert done[1] == "user 1 word typed\n"
    assert uninstall(project).changed is True
    assert files_of(bench.root) == kept
    assert uninstall(project).changed is False
    assert files_of(bench.root) == kept


def test_elsewhere_it_is_a_test_of_the_shell_and_nothing_more(bench: Workbench, hooks: Path) -> None:
    """Without anything on PATH, and with an interpreter that is gone, the user can go on committing."""
    bench.kitty("guard", "install")
    hook = hooks / "pre-commit"
    text = "".join("python=/gone\n" if line.startswith("python=") else line for line in hook.open())
    hook.write_text(text)
    own = bench.root.parent / "own"
    bench.git("worktree", "add", "-q", "-b", "own", own)
    for place in (bench.root, own):
        assert run_hook(hook, place) == (0, "", "")
        bench.commit()
    # In a worktree of kitty-flow, and for an agent that strayed, nothing passes unchecked.
    lane = bench.root.parent / "repo.kitty" / "worktrees" / "sample-01JZ5N3C" / "lane-a"
    lane.mkdir(parents=True)

    def unchecked(where: Path, **environment: str) -> None:
        status, _, told = run_hook(hook, where, **environment)
        assert status == 1
        assert "kitty-flow is not installed any more" in told

    unchecked(lane)
    unchecked(bench.root, KITTY_FLOW_WP="WP01")
    (bench.root / ".git" / "kitty-flow").mkdir(exist_ok=True)
    (bench.root / ".git" / "kitty-flow" / "planning-checkout.json").write_text("{}")
    unchecked(bench.root)
    assert run_hook(hook, own, GIT_DIR=str(bench.root / ".git" / "worktrees" / "own"))[0] == 0


@pytest.mark.slow
def test_commits_in_a_lane_are_checked_with_the_index_they_are_made_from(bench: Workbench, hooks: Path) -> None:
    bench.mission({"WP01": {"owned_files": ["core.txt", "more.txt"]}})
    bench.kitty("guard", "install")
    step = bench.kitty("next", "--agent", "amy")["data"]
    lane = Path(step["worktree"])

    def commit(*words: str, ok: int = 0) -> str:
        done = subprocess.run(["git", "commit", "-m", "x", *words], cwd=lane, capture_output=True, text=True)
        assert done.returncode == ok, done.stderr
        return done.stderr

    (lane / "core.txt").write_text("one\n")
    bench.git("add", "core.txt", cwd=lane)
    commit()
    (lane / "README.md").write_text("not mine\n")
    assert "error: WP01 may not change a file outside its owned files" in commit("-a", ok=1)
    (lane / "core.txt").write_text("two\n")
    commit("core.txt")  # of this one file alone
    assert "nobody owns README.md" in commit("README.md", ok=1)
    # Whoever skips the hook is refused when the work is handed in.
    commit("--no-verify", "-a")
    error = bench.refusal("next", "--agent", "amy", "--result", "success", exit=4)
    assert error["code"] == "OWNERSHIP_VIOLATED"
    bench.git("checkout", "-q", step["base_commit"], "--", "README.md", cwd=lane)
    commit()
    bench.kitty("next", "--agent", "amy", "--result", "success")
    (lane / "core.txt").write_text("three\n")
    assert "it cannot be told whose work this is" in commit("-a", ok=1)


def refused(bench: Workbench) -> dict[str, Any]:
    def users() -> object:
        return files_of(bench.root, without=lambda name: "kitty" in name or "/objects/" in name)

    before = users()
    error = bench.refusal("guard", "install", exit=4)
    assert users() == before
    assert error["code"] == "GUARD_NOT_INSTALLABLE"
    assert error["hint"] == error["details"]["add_by_hand"]
    assert "kitty-flow guard check --staged" in error["hint"]
    return error


def test_folders_of_hooks_that_are_not_this_repositorys_alone_are_left(bench: Workbench, tmp_path: Path) -> None:
    config = tmp_path / "gitconfig"
    config.write_text(Path(os.environ["GIT_CONFIG_GLOBAL"]).read_text() + "[core]\n\thooksPath = ~/hooks\n")
    bench.env["GIT_CONFIG_GLOBAL"] = str(config)
    assert "global configuration" in refused(bench)["message"]
    del bench.env["GIT_CONFIG_GLOBAL"]
    bench.git("config", "core.hooksPath", ".husky/_")
    (bench.root / ".husky").mkdir()
    assert ".husky/pre-commit" in refused(bench)["hint"]
    (bench.root / ".pre-commit-config.yaml").write_text("repos: []\n")
    bench.git("config", "core.hooksPath", str(bench.root / "githooks"))
    assert "- repo: local" in refused(bench)["hint"]
    bench.git("config", "core.hooksPath", str(tmp_path / "hooks"))
    done = bench.kitty("guard", "install")["data"]
    assert done["hook"] == str(tmp_path / "hooks" / "pre-commit")
    bench.git("config", "--unset", "core.hooksPath")
    assert bench.kitty("guard", "install")["data"]["hook"] == str(bench.root / ".git" / "hooks" / "pre-commit")


@pytest.mark.parametrize("manager", ["", ".husky", ".pre-commit-config.yaml"])
def test_the_line_by_hand_checks_where_the_hook_would(bench: Workbench, hooks: Path, manager: str) -> None:
    """Without kitty-flow on PATH, what is to be checked is refused, and everything else passes."""
    if manager:
        (bench.root / manager).mkdir()
    text = line_by_hand(bench.root)
    line = text.partition("entry: ")[2].splitlines()[0] if "entry: " in text else text.partition(": ")[2]
    hook = plant(hooks / "by-hand", f"set -e\n{line}")
    lane, own = (bench.root.parent / name for name in ("repo.kitty/worktrees/sample-01JZ5N3C/lane-a", "own"))
    lane.mkdir(parents=True)
    bench.git("worktree", "add", "-q", "-b", "own", own)
    path = {"PATH": os.defpath}
    assert [run_hook(hook, where, **path)[0] for where in (bench.root, own)] == [0, 0]
    assert run_hook(hook, lane, **path)[0] in (1, 127)
    assert run_hook(hook, bench.root, KITTY_FLOW_WP="WP01", **path)[0] in (1, 127)
    (bench.root / ".git" / "kitty-flow").mkdir(exist_ok=True)
    (bench.root / ".git" / "kitty-flow" / "planning-checkout.json").write_text("{}")
    assert run_hook(hook, bench.root, **path)[0] in (1, 127)
    assert run_hook(hook, own, **path)[0] == 0


def test_hooks_that_are_tracked_through_a_link_are_left(bench: Workbench, hooks: Path) -> None:
    shutil.rmtree(hooks)
    (bench.root / "githooks").mkdir()
    hooks.symlink_to("../githooks")
    refused(bench)


@pytest.mark.parametrize("line", ['. "$(dirname "$0")/_/$(basename "$0")"', "name=${0##*/}", "# Hook created by Husky"])
def test_a_hook_that_goes_by_its_own_name_is_not_renamed(bench: Workbench, hooks: Path, line: str) -> None:
    plant(hooks / "pre-commit", line)
    assert "goes by its own name" in refused(bench)["message"]


def test_an_installation_that_was_killed_is_completed_or_taken_back(bench: Workbench, hooks: Path) -> None:
    """Between the two steps the user's hook has both names, and is still the one that git runs."""
    hook = plant(hooks / "pre-commit", "exit 3")
    before = files_of(bench.root)
    project = Project.discover(bench.root)
    for end in (install, uninstall):
        os.link(hook, hooks / KEPT)
        end(project)
        assert run_hook(hook, bench.root)[0] == 3
        uninstall(project)
        assert files_of(bench.root) == before


def test_a_hook_manager_that_puts_itself_in_front_is_not_run_twice(bench: Workbench, hooks: Path) -> None:
    """What `pre-commit install` does to a hook that is not its own: it renames it, and runs it afterwards."""
    tracks = bench.root.parent / "tracks"
    plant(hooks / "pre-commit", f"echo old >> '{tracks}'")
    bench.kitty("guard", "install")
    (hooks / "pre-commit").rename(hooks / "pre-commit.legacy")
    plant(hooks / "pre-commit", f"echo new >> '{tracks}'; exec \"${{0%/*}}/pre-commit.legacy\"")
    assert run_hook(hooks / "pre-commit", bench.root)[0] == 0
    assert tracks.read_text() == "new\n"
    for words in ("install", "uninstall"):
        error = bench.refusal("guard", words, exit=4)
        assert error["code"] == "GUARD_DISPLACED"
        assert KEPT in error["hint"]


def test_a_folder_that_cannot_be_written_is_said_to_be(bench: Workbench, hooks: Path) -> None:
    shutil.rmtree(hooks)
    hooks.write_text("")
    assert bench.refusal("guard", "install", exit=7)["code"] == "HOOK_NOT_WRITTEN"


def test_installing_from_anywhere_is_installing_once(bench: Workbench, hooks: Path) -> None:
    own = bench.root.parent / "own"
    bench.git("worktree", "add", "-q", "-b", "own", own)
    assert bench.kitty("guard", "install", cwd=own)["data"]["hook"] == str(hooks / "pre-commit")
    assert bench.kitty("guard", "install")["data"]["changed"] is False
