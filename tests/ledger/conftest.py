"""Ledgers in real repositories; neither the machine's git configuration nor its HOME can be seen."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.git.repository import Repository
from kitty_flow.ledger.ledger import Batch, Draft, Ledger, Receipt

RunGit = Callable[..., str]
MISSION = "01J0000000000000000000000A"


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
def repo(tmp_path: Path, git: RunGit) -> Path:
    """A repository with one commit on trunk."""
    root = tmp_path / "repo"
    root.mkdir()
    git(root, "init", "-q")
    (root / "README.md").write_text("hello\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "Start")
    return root


@dataclass
class Clock:
    """A wall clock that stands still until a test moves it, in either direction."""

    at: datetime = field(default_factory=lambda: datetime(2026, 3, 1, 12, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.at

    def move(self, **amount: float) -> None:
        self.at += timedelta(**amount)


@pytest.fixture
def clock() -> Clock:
    """The clock of the fixture `ledger`."""
    return Clock()


@pytest.fixture
def open_ledger(clock: Clock) -> Iterator[Callable[..., Ledger]]:
    """Open the ledger of a mission: ``open_ledger(repo)``; all are closed at the end."""
    opened: list[Ledger] = []

    def open_(root: Path, mission_id: str = MISSION, slug: str = "sample") -> Ledger:
        opened.append(Ledger(Repository.discover(root), mission_id, slug, now=clock))
        return opened[-1]

    yield open_
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(repo: Path, open_ledger: Callable[..., Ledger]) -> Ledger:
    """The empty ledger of one mission."""
    return open_ledger(repo)


@pytest.fixture
def draft() -> Callable[..., Draft]:
    """A draft with as little as possible to say: ``draft("WP01", None, "planned")``; keywords set the other fields."""

    def make(entity_id: str = "WP01", from_state: str | None = None, to_state: str | None = None, **more: Any) -> Draft:
        fields = {
            "entity_type": "work_package",
            "machine": "work_package",
            "machine_digest": "sha256:0",
            "trigger": "note" if to_state is None else "move",
            "actor": "ann",
            **more,
        }
        return Draft(entity_id=entity_id, from_state=from_state, to_state=to_state, **fields)

    return make


@pytest.fixture
def record(draft: Callable[..., Draft]) -> Callable[..., Receipt]:
    """Record one draft, or so many notes: ``record(ledger, "WP01", None, "planned")``, ``record(ledger, notes=3)``."""

    def run(ledger: Ledger, *args: Any, notes: int = 0, **more: Any) -> Receipt:
        drafts = [draft(f"WP{n:03d}") for n in range(notes)] or [draft(*args, **more)]
        return ledger.record(lambda view: Batch(drafts))

    return run


@pytest.fixture
def forge(git: RunGit) -> Callable[..., str]:
    """Put another commit on top of a ledger behind its back: ``forge(ledger, {path: content})``; None takes a file
    away. Gives the commit.
    """

    def run(ledger: Ledger, files: Mapping[str, bytes | None]) -> str:
        root = ledger.repository.common_dir
        index = {**os.environ, "GIT_INDEX_FILE": str(root / "kitty-flow-forged-index"), "GIT_DIR": str(root)}
        lines = b""
        for path, content in files.items():
            blob = "0" * 40 if content is None else git(root, "hash-object", "-w", "--stdin", stdin=content)
            lines += f"{'0' if content is None else '100644'} {blob}\t{path}\n".encode()
        for words, stdin in ((["read-tree", ledger.ref], b""), (["update-index", "--index-info"], lines)):
            subprocess.run(["git", *words], env=index, input=stdin, check=True, timeout=60)
        tree = subprocess.run(["git", "write-tree"], env=index, capture_output=True, check=True, timeout=60)
        commit = git(root, "commit-tree", "-p", ledger.ref, "-m", "forged", tree.stdout.decode().strip())
        git(root, "update-ref", ledger.ref, commit)
        return commit

    return run


@pytest.fixture
def damage(git: RunGit, forge: Callable[..., str]) -> Callable[[Ledger, Callable[[bytes], bytes]], None]:
    """Rewrite the first segment of a ledger behind its back: ``damage(ledger, change)``."""

    def run(ledger: Ledger, change: Callable[[bytes], bytes]) -> None:
        root = ledger.repository.common_dir
        path = git(root, "ls-tree", "-r", "--name-only", ledger.ref, "log/").splitlines()[0]
        content = git(root, "cat-file", "blob", f"{ledger.ref}:{path}") + "\n"
        forge(ledger, {path: change(content.encode("utf-8", "surrogateescape"))})

    return run
