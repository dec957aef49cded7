"""The working tree for tests: exactly the files of a commit, nothing planted runs, nothing of the user's is touched."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kitty_flow.git.exact_tree import ExactTree
from kitty_flow.git.repository import Repository


@pytest.fixture
def told(repo: Path) -> Callable[..., str]:
    """Run git in the repository, or elsewhere."""

    def git(*words: str, cwd: Path = repo) -> str:
        return subprocess.run(["git", *words], cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()

    return git


def test_nothing_planted_runs_and_nothing_is_left_over(repo: Path, tmp_path: Path, told: Callable[..., str]) -> None:
    (repo / ".gitattributes").write_text("*.txt filter=evil\n")
    (repo / "a.txt").write_text("a\n")
    (repo / ".gitignore").write_text("*.tmp\n")
    told("add", ".")
    told("commit", "-qm", "one")
    told("tag", "v1")
    first = told("rev-parse", "HEAD")
    (repo / "a.txt").write_text("b\n")
    told("commit", "-qam", "two")
    second = told("rev-parse", "HEAD")
    ran = tmp_path / "ran"
    told("config", "filter.evil.smudge", f"touch {ran}; cat")
    hook = repo / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
    hook.chmod(0o755)

    tree = ExactTree(Repository.discover(repo), tmp_path / "gate")
    tree.put(first)
    assert (tree.path / "a.txt").read_text() == "a\n"
    assert told("describe", "--tags", cwd=tree.path) == "v1"
    (tree.path / "left.tmp").touch()
    (tree.path / "new").mkdir()
    (tree.path / "new" / "file").touch()
    (tree.path / "a.txt").write_text("x\n")
    assert tree.changes(first) == ("a.txt",)
    tree.put(second)
    assert (tree.path / "a.txt").read_text() == "b\n"
    named = told("ls-tree", "--name-only", second).split()
    assert sorted(path.name for path in tree.path.iterdir()) == sorted([".git", *named])
    assert tree.changes(second) == ()
    assert not ran.exists()

    told("update-index", "--assume-unchanged", "a.txt", cwd=tree.path)
    (tree.path / "a.txt").write_text("hidden\n")
    assert tree.changes(second) == ("a.txt",), "what tests tell their own index does not hide an edit"
    told("config", "core.fsmonitor", "evil", cwd=tree.path)
    assert ".git" in tree.changes(second)

    # A link to the user's checkout in the place of the tree: it goes, and the checkout stays as it is.
    shutil.rmtree(tree.path)
    tree.path.symlink_to(repo)
    (repo / "mine.tmp").touch()
    tree.put(first)
    assert (repo / "mine.tmp").exists()
    assert (repo / "a.txt").read_text() == "b\n"
    assert not tree.path.is_symlink()
    assert tree.changes(first) == ()
