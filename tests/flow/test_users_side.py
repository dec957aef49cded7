"""A run leaves the user's side as it is, byte for byte: tree, index, config, hooks, branches, stash, reflogs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from workbench import Workbench, files_of

_HOOKS = [
    "applypatch-msg",
    "pre-applypatch",
    "post-applypatch",
    "pre-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "pre-rebase",
    "post-checkout",
    "post-merge",
    "pre-push",
    "pre-auto-gc",
    "post-rewrite",
    "post-index-change",
    "reference-transaction",
    "pre-merge-commit",
    "fsmonitor-watchman",
    "update",
    "pre-receive",
    "post-receive",
    "post-update",
]

_OURS = (
    "objects/", "worktrees/", "kitty-flow/", "refs/heads/kitty/", "refs/kitty/", "logs/refs/heads/kitty/",
    "logs/refs/kitty/",
)  # fmt: skip


def plant_failing_hooks(folder: Path, tracks: Path) -> None:
    """Hooks of every kind that leave a track and fail."""
    folder.mkdir(exist_ok=True)
    for name in _HOOKS:
        hook = folder / name
        hook.write_text(f"#!/bin/sh\necho {name} >> '{tracks}'\nexit 1\n")
        hook.chmod(0o755)


def make_it_messy(bench: Workbench) -> None:
    """Everything that a user can have lying around: edits, staged files, a stash, untracked and ignored files."""
    bench.commit(a__txt="one\n", b__txt="one\n", c__txt="one\n", __gitignore="*.log\n")
    (bench.root / "a.txt").write_text("stashed\n")
    bench.git("stash", "-q")
    (bench.root / "a.txt").write_text("edited\n")
    (bench.root / "b.txt").write_text("staged\n")
    bench.git("add", "b.txt")
    (bench.root / "b.txt").write_text("edited after staging\n")
    (bench.root / "c.txt").unlink()
    (bench.root / "new.txt").write_text("untracked\n")
    (bench.root / "core.txt").write_text("untracked, where a work package will write\n")
    (bench.root / "noise.log").write_text("ignored\n")
    (bench.root / "link").symlink_to("nowhere")
    bench.git("add", "-N", "new.txt")
    bench.git("branch", "side")
    # An entry whose time does not fit its file any more: refreshing the index would change its bytes.
    os.utime(bench.root / "README.md", (1, 1))


def users_side(bench: Workbench) -> tuple[object, ...]:
    """The working tree and the git directory without what is kitty-flow's own."""
    tree = files_of(bench.root, without=lambda name: name.startswith(".git/"))
    git = files_of(bench.root / ".git", without=lambda name: name.startswith(_OURS))
    times = {name: (bench.root / name).lstat().st_mtime_ns for name in tree}
    return tree, git, times


@pytest.mark.parametrize("hooks", ["in the repository", "in core.hooksPath"])
def test_a_run_changes_nothing_of_the_users(bench: Workbench, hooks: str, tmp_path: Path) -> None:
    make_it_messy(bench)
    bench.mission()
    tracks = tmp_path / "hooks-that-ran"
    if hooks == "in the repository":
        plant_failing_hooks(bench.root / ".git" / "hooks", tracks)
    else:
        plant_failing_hooks(tmp_path / "hooks", tracks)
        bench.git("config", "core.hooksPath", str(tmp_path / "hooks"))
    bench.git("config", "core.fsmonitor", str(tmp_path / "hooks" / "fsmonitor-watchman"))
    bench.git("config", "merge.ours.driver", "true")
    tracks.unlink(missing_ok=True)
    before, tips = users_side(bench), bench.tips

    bench.run(review="reject=WP02")
    for command in (["status"], ["log"], ["plan"], ["why", "WP01"], ["next", "--agent", "me", "--peek"], ["verify"]):
        bench.kitty(*command)

    assert users_side(bench) == before
    assert not tracks.exists(), tracks.read_text()
    assert {
        ref: oid for ref, oid in bench.tips.items() if not ref.startswith(("refs/heads/kitty/", "refs/kitty/"))
    } == (tips)
    beside = {path.name for path in bench.root.parent.iterdir()}
    assert beside <= {"repo", "repo.kitty", "hooks"}


def test_a_refused_merge_changes_nothing_of_the_users(bench: Workbench) -> None:
    make_it_messy(bench)
    bench.mission()
    bench.run()
    before, tips = users_side(bench), bench.tips
    error = bench.refusal("merge", "--test-command", "true", exit=4)
    assert error["code"] == "CHECKOUT_DIRTY"
    assert users_side(bench) == before
    assert bench.tips == tips


def test_git_clean_loses_nothing(bench: Workbench) -> None:
    bench.mission()
    bench.run("kill-committed=WP02", exit=-9)
    bench.git("clean", "-qfdx", "-e", ".kitty-flow")
    bench.run()
    assert set(bench.states().values()) == {"approved"}
