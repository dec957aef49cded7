"""Recording is invisible on the user's side: not a byte changes there, and none of the user's hooks runs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.git.repository import Repository
from kitty_flow.ledger.catalog import catalog
from kitty_flow.ledger.ledger import Batch, Draft, Ledger, Receipt

RunGit = Callable[..., str]
Record = Callable[..., Receipt]
HOOKS = ("reference-transaction", "pre-commit", "post-commit", "post-checkout", "post-index-change", "pre-auto-gc")


@pytest.fixture
def lived_in(repo: Path, tmp_path: Path, git: RunGit) -> Path:
    """A repository in the middle of a working day."""
    (repo / "second.txt").write_text("2\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "Second")
    git(repo, "branch", "side", "HEAD~1")
    git(repo, "tag", "v1")
    (repo / "README.md").write_text("stashed\n")
    git(repo, "stash", "-q")
    (repo / "README.md").write_text("edited\n")
    (repo / "staged.txt").write_text("staged\n")
    git(repo, "add", "staged.txt")
    (repo / "untracked.txt").write_text("untracked\n")
    git(repo, "worktree", "add", "-q", tmp_path / "linked", "side")
    git(repo, "config", "core.logAllRefUpdates", "always")
    os.utime(repo / "second.txt", (1, 1))  # stale in the index: any refresh of it would show
    return repo


def everything_of_the_user(root: Path) -> dict[str, Any]:
    """Every file of the checkout and of the git directory, objects and our own places left out, byte for byte."""
    ours = (".git/objects/", ".git/kitty-flow/", ".git/refs/kitty/", ".git/logs/refs/kitty/")
    found: dict[str, Any] = {}
    for folder, _, names in os.walk(root):
        for path in (Path(folder) / name for name in names):
            name = path.relative_to(root).as_posix()
            if not name.startswith(ours):
                found[name] = (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode)
    return found


def live(repo: Path, tmp_path: Path, open_ledger: Any, record: Record, draft: Callable[..., Draft]) -> Ledger:
    """Record and read in all the ways there are."""
    ledger: Ledger = open_ledger(repo)
    record(ledger, "WP01", None, "planned")
    record(ledger, "WP01", "planned", "claimed")
    record(ledger, notes=70)
    ledger.record(lambda view: Batch([draft("WP01")], {"definition/x.json": b"{}"}))
    ledger.record(lambda view: Batch(()))
    ledger.attachment("definition/x.json")
    record(open_ledger(tmp_path / "linked"), "WP01", "claimed", "done")
    catalog(Repository.discover(repo))
    assert len(ledger.events()) == ledger.view().event_count == 74
    return ledger


def test_not_a_byte_changes(
    lived_in: Path, tmp_path: Path, open_ledger: Any, record: Record, draft: Callable[..., Draft], git: RunGit
) -> None:
    before, linked_before = everything_of_the_user(lived_in), everything_of_the_user(tmp_path / "linked")
    assert {".git/index", ".git/HEAD", ".git/config", ".git/logs/HEAD", ".git/refs/stash", "README.md"} <= before.keys()

    live(lived_in, tmp_path, open_ledger, record, draft)

    assert everything_of_the_user(lived_in) == before
    assert everything_of_the_user(tmp_path / "linked") == linked_before
    refs = git(lived_in, "for-each-ref", "--format=%(refname)").split()
    assert refs == [
        "refs/heads/side",
        "refs/heads/trunk",
        "refs/kitty/m/01J0000000000000000000000A",
        "refs/stash",
        "refs/tags/v1",
    ]


@pytest.mark.parametrize("place", ["hooks", "configured"])
def test_hooks_that_refuse_everything_never_run(
    lived_in: Path,
    tmp_path: Path,
    open_ledger: Any,
    record: Record,
    draft: Callable[..., Draft],
    git: RunGit,
    place: str,
) -> None:
    folder = lived_in / ".git/hooks" if place == "hooks" else tmp_path / "shared-hooks"
    folder.mkdir(exist_ok=True)
    witness = tmp_path / "witness"
    for name in HOOKS:
        (folder / name).write_text(f"#!/bin/sh\necho {name} >> '{witness}'\nexit 1\n")
        (folder / name).chmod(0o755)
    if place == "configured":
        git(lived_in, "config", "core.hooksPath", folder)
    refused = subprocess.run(["git", "update-ref", "refs/x", "HEAD"], cwd=lived_in, capture_output=True, check=False)
    assert refused.returncode != 0, "the trap works when git is called plainly"
    witness.unlink()

    live(lived_in, tmp_path, open_ledger, record, draft)

    assert not witness.exists()


def test_the_callers_environment_does_not_lead_the_log_elsewhere(
    repo: Path, tmp_path: Path, git: RunGit, open_ledger: Any, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when kitty-flow is called from a hook of another repository."""
    git(tmp_path, "init", "-q", "other")
    for name, value in {"GIT_DIR": ".git", "GIT_INDEX_FILE": ".git/index", "GIT_WORK_TREE": "."}.items():
        monkeypatch.setenv(name, str(tmp_path / "other" / value))
    receipt = record(open_ledger(repo), "WP01", None, "planned")
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name)
    assert git(repo, "rev-parse", receipt.ref) == receipt.commit
    assert git(tmp_path / "other", "for-each-ref") == ""
    assert not (tmp_path / "other/.git/index").exists()
