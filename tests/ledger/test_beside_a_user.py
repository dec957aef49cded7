"""A user who works and tidies up beside recording processes: neither side notices the other."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.git.repository import Repository
from kitty_flow.ledger.ledger import Ledger, Receipt

RunGit = Callable[..., str]
Record = Callable[..., Receipt]

_RECORD = """
import sys
from pathlib import Path
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.ledger import Batch, Draft, Ledger
name = "WP%02d" % int(sys.argv[2])
with Ledger(Repository.discover(Path(sys.argv[1])), "01J0000000000000000000000A", "sample") as ledger:
    while not Path(sys.argv[3]).exists():
        note = Draft("work_package", name, "work_package", "sha256:0", "note", "ann")
        print(ledger.record(lambda view: Batch([note])).events[0].event_id, flush=True)
"""

WORK = (
    "stash push -q -u -m kept-{n}",
    "commit -q --allow-empty -m one-{n}",
    "commit -q --amend --allow-empty -m again-{n}",
    "switch -q -c side-{n} HEAD~1",
    "commit -q --allow-empty -m side-{n}",
    "rebase -q --keep-empty trunk",
    "switch -q trunk",
    "merge -q --ff-only side-{n}",
    "stash apply -q",
    "add -A",
    "commit -q -m all-{n}",
    "reset -q --soft HEAD~1",
    "status --porcelain",
)
TIDY = ("pack-refs --all", "gc -q", "repack -adq", "pack-refs --all", "prune --expire=now", "gc -q --prune=now")


class User:
    """Runs git at a clock of its own, so that the same words make the same commits."""

    def __init__(self, root: Path, moment: int) -> None:
        self.root = root
        self.moment = moment

    def git(self, words: str) -> None:
        self.moment += 1
        stamp = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), f"{self.moment} +0000")
        done = subprocess.run(
            ["git", *words.split()],
            cwd=self.root,
            env={**os.environ, **stamp},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, (words, done.stderr)

    def work(self, number: int) -> None:
        (self.root / "README.md").write_text(f"edited {number}\n")
        (self.root / f"new-{number}.txt").write_text("new\n")
        for words in WORK:
            self.git(words.format(n=number))

    def sees(self) -> dict[str, Any]:
        """The user's refs, reflogs, stash, configuration, index and files."""
        ask = {
            "refs": "for-each-ref refs/heads refs/tags refs/stash",
            "head": "symbolic-ref HEAD",
            "reflog": "log -g --format=%H%gs HEAD",
            "stash": "stash list --format=%H%gs",
            "config": "config --local --list",
            "index": "ls-files --stage",
            "status": "status --porcelain=v2 --branch",
        }
        answers: dict[str, Any] = {
            name: subprocess.run(
                ["git", *words.split()], cwd=self.root, check=True, capture_output=True, text=True, timeout=60
            ).stdout
            for name, words in ask.items()
        }
        answers["files"] = {p.name: p.read_bytes() for p in self.root.iterdir() if p.is_file()}
        return answers


@pytest.mark.slow
def test_a_user_at_work_and_four_recorders_do_not_disturb_each_other(
    repo: Path, tmp_path: Path, git: RunGit, open_ledger: Callable[..., Ledger]
) -> None:
    alone = tmp_path / "alone"
    subprocess.run(["cp", "-a", repo, alone], check=True, timeout=60)
    stop = tmp_path / "stop"
    notes = [tmp_path / f"recorded-{number}" for number in range(4)]
    recorders = [start(repo, number, stop, path) for number, path in enumerate(notes)]
    now = int(time.time())
    user, twin = User(repo, now), User(alone, now)
    for number in range(3):
        user.work(number)
        for words in TIDY:
            user.git(words)
            # Whatever a prune took that had looked at the refs before: the next command of kitty-flow puts it back.
            if "prune" in words:
                with Ledger(Repository.discover(repo), "01J0000000000000000000000A", "sample") as another:
                    another.view()
    stop.touch()
    errors = [process.communicate(timeout=120)[1] for process in recorders]
    for number in range(3):
        twin.work(number)
        for words in TIDY:
            twin.git(words)

    assert [process.returncode for process in recorders] == [0] * 4, errors
    ledger = open_ledger(repo)
    events = ledger.events()
    promised = [event_id for path in notes for event_id in path.read_text().split()]
    assert all(path.stat().st_size for path in notes)
    assert {event.event_id for event in events} == set(promised)
    assert [event.lamport for event in events] == list(range(1, len(promised) + 1))
    assert git(repo, "rev-list", "--count", ledger.ref) == str(len(promised))
    assert git(repo, "fsck", "--strict", "--no-dangling") == ""
    assert user.sees() == twin.sees()
    assert list((repo / ".git/refs").rglob("*.lock")) == []


def start(repo: Path, number: int, stop: Path, output: Path) -> subprocess.Popen[str]:
    with output.open("w") as file:
        return subprocess.Popen(
            [sys.executable, "-c", _RECORD, str(repo), str(number), str(stop)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))},
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
        )


def test_a_prune_in_the_middle_of_a_record_does_no_harm(
    ledger: Ledger, record: Record, repo: Path, git: RunGit, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(ledger, "WP01", None, "planned")
    read_back, moved = ledger.store.read_back, ledger._move
    pruned = []

    def prune_and_read_back(commit: str, written: Any) -> bytes:
        if len(pruned) < 2:  # nothing names the objects yet: to git they are garbage
            git(repo, "prune", "--expire=now")
            pruned.append(git(repo, "count-objects"))
        return read_back(commit, written)

    def prune_and_move(before: str | None, commit: str) -> None:
        if len(pruned) < 4:
            git(repo, "prune", "--expire=now")
            pruned.append(git(repo, "count-objects"))
        moved(before, commit)

    monkeypatch.setattr(ledger.store, "read_back", prune_and_read_back)
    monkeypatch.setattr(ledger, "_move", prune_and_move)
    receipt = record(ledger, "WP01", "planned", "claimed")

    assert len(pruned) >= 3
    assert git(repo, "rev-parse", ledger.ref) == receipt.commit
    assert git(repo, "fsck", "--strict", "--no-dangling") == ""
    assert [event.trigger for event in ledger.events()] == ["move", "move"]


@pytest.mark.parametrize("lost", ["all", "commits", "blobs"])
def test_what_a_prune_took_after_the_move_is_put_back(
    ledger: Ledger, record: Record, repo: Path, git: RunGit, open_ledger: Callable[..., Ledger], lost: str
) -> None:
    record(ledger, "WP01", None, "planned")
    git(repo, "gc", "-q")
    receipts = [record(ledger, "WP01"), record(ledger, "WP02")]
    ledger.close()
    # As `git prune` does that had looked at the refs before both: what was reachable then lies in the pack.
    for path in (repo / ".git/objects").glob("??/*"):
        name = path.parent.name + path.name
        if lost == "all" or git(repo, "cat-file", "-t", name) == lost.removesuffix("s"):
            path.unlink()
    with pytest.raises(AssertionError, match=r"missing|broken|invalid"):
        git(repo, "fsck", "--no-dangling")

    with open_ledger(repo) as another:
        assert another.view().tip == receipts[-1].commit
    assert git(repo, "fsck", "--strict", "--no-dangling") == ""


def test_refs_that_are_packed_again_and_again_are_read_as_they_are(
    ledger: Ledger, record: Record, repo: Path, git: RunGit, open_ledger: Callable[..., Ledger]
) -> None:
    """A git process that lives long sees no difference between two files of packed refs of the same second."""
    both = ledger, open_ledger(repo)
    for number in range(1, 25):
        receipt = record(both[number % 2], "WP01")
        assert receipt.events[0].lamport == number
        git(repo, "pack-refs", "--all")
        assert both[0].view().tip == both[1].view().tip == receipt.commit
        git(repo, "pack-refs", "--all")
    assert git(repo, "rev-list", "--count", ledger.ref) == "24"
