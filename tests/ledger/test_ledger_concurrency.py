"""Many processes at one log, and processes that die with the lock in their hands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kitty_flow.ledger.fold import fold
from kitty_flow.ledger.ledger import Ledger, Receipt
from kitty_flow.ledger.lock import exclusive
from kitty_flow.ledger.view import LedgerView

RunGit = Callable[..., str]
Record = Callable[..., Receipt]

_OPEN = """
import sys
from pathlib import Path
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.ledger import Batch, Draft, Ledger
ledger = Ledger(Repository.discover(Path(sys.argv[1])), "01J0000000000000000000000A", "sample")
def draft(view, name):
    return Draft("work_package", name, "work_package", "sha256:0", "note", "ann", evidence={"seen": view.lamport})
"""
_RECORD_TEN = """
sys.stdin.readline()
for number in range(10):
    receipt = ledger.record(lambda view: Batch([draft(view, "WP%02d" % (number % 3))]))
    print(receipt.events[0].event_id, receipt.commit)
ledger.close()
"""
_DIE_HOLDING_THE_LOCK = """
import os, signal
def build(view):
    print("inside", flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
ledger.record(build)
"""
_DIE_BEFORE_THE_COMMIT = """
import os, signal
ledger.store.read_back = lambda commit, written: os.kill(os.getpid(), signal.SIGKILL)
ledger.record(lambda view: Batch([draft(view, "WP01")]))
"""


def start(script: str, repo: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _OPEN + script, str(repo)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def fold_of(ledger: Ledger) -> LedgerView:
    """The view as a fold of all events, without an index."""
    return LedgerView.of(ledger.ref, ledger.mission_slug, ledger.view().tip, fold(ledger.events()))


def test_eight_processes_lose_nothing(repo: Path, ledger: Ledger, git: RunGit) -> None:
    processes = [start(_RECORD_TEN, repo) for _ in range(8)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=240) for process in processes]

    assert [process.returncode for process in processes] == [0] * 8, [error for _, error in outputs]
    promised = [line.split() for out, _ in outputs for line in out.splitlines()]
    events = ledger.events()
    assert len(promised) == 80
    assert {event_id for event_id, _ in promised} == {event.event_id for event in events}
    assert [event.lamport for event in events] == list(range(1, 81))
    assert len({event.writer for event in events}) == 1
    commits = git(repo, "rev-list", "--reverse", ledger.ref).split()
    assert {commit for _, commit in promised} == set(commits)
    assert len(commits) == 80
    assert [event.evidence["seen"] for event in events] == list(range(80)), "each saw all events before it"
    last: dict[str, str] = {}
    for event in events:
        assert event.parent == last.get(event.entity_id)
        last[event.entity_id] = event.event_id
    assert list((repo / ".git/objects").glob("*/tmp_obj_*")) == []
    assert git(repo, "fsck", "--strict", "--no-dangling") == ""
    assert ledger.view() == fold_of(ledger), "the index that eight processes kept agrees with the log"


def test_a_killed_process_frees_its_lock_at_once(repo: Path, ledger: Ledger, record: Record) -> None:
    tip = record(ledger, "WP01", None, "planned").commit
    path = ledger.repository.state_dir / "locks" / f"{ledger.mission_id}.lock"
    process = start(_DIE_HOLDING_THE_LOCK, repo)
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"
    process.communicate("die\n", timeout=60)
    assert process.returncode == -9

    with exclusive(path, timeout_s=0, what="the test"):
        assert ledger.view().tip == tip
    assert record(ledger, "WP01", "planned", "claimed").view.lamport == 2


def test_a_process_killed_between_append_and_commit_leaves_the_log_as_it_was(
    repo: Path, ledger: Ledger, record: Record, git: RunGit, open_ledger: Any
) -> None:
    tip = record(ledger, "WP01", None, "planned").commit
    process = start(_DIE_BEFORE_THE_COMMIT, repo)
    process.communicate(timeout=60)
    assert process.returncode == -9

    assert git(repo, "rev-parse", ledger.ref) == tip
    assert git(repo, "fsck", "--strict", "--no-dangling") == ""
    receipt = record(open_ledger(repo), "WP01", "planned", "claimed")
    assert receipt.view.event_count == 2
    assert [event.lamport for event in open_ledger(repo).events()] == [1, 2]
    assert git(repo, "rev-parse", f"{receipt.commit}^") == tip
