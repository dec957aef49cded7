"""Real repositories in a temporary directory; neither the machine's git configuration nor its HOME can be seen."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

RunGit = Callable[..., str]
MakeRepo = Callable[..., Path]


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, with a git identity."""
    path = tmp_path_factory.mktemp("home")
    (path / "gitconfig").write_text(
        "[user]\n\tname = Ann Writer\n\temail = ann@example.invalid\n[init]\n\tdefaultBranch = trunk\n"
        '[protocol "file"]\n\tallow = always\n'
    )
    for name in [name for name in os.environ if name.startswith(("GIT_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return path


@pytest.fixture
def git() -> RunGit:
    """Run git as a user would: ``git(directory, "status")`` gives its output."""

    def run(cwd: Path, *args: str | Path, stdin: bytes = b"") -> str:
        done = subprocess.run(["git", *map(str, args)], cwd=cwd, input=stdin, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    return run


@pytest.fixture
def make_repo(tmp_path: Path, git: RunGit) -> MakeRepo:
    """Make a repository with one commit (``README.md``) on trunk: ``make_repo("name", "--init-option")``."""

    def make(name: str, *options: str) -> Path:
        root = tmp_path / name
        root.mkdir()
        git(root, "init", "-q", *options)
        (root / "README.md").write_text("hello\n")
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "Start")
        return root

    return make


@pytest.fixture
def repo(make_repo: MakeRepo) -> Path:
    """A repository with one commit."""
    return make_repo("repo")
