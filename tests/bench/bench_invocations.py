"""`tox -e bench`: a list of 100 among 10,000 invocations costs at most 3 times what the same CLI needs to do nothing.

The measure is `kitty-flow --version` in the same run (issue 7); every command is a cold process, the disk is warm. Two
histories: 10,000 requests within ten minutes, the most that the log's folders ever hold at once, and over half a year.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest
from ulid import ULID

from kitty_flow.flow.project import Project
from kitty_flow.invocation import Opening, begin, complete
from kitty_flow.invocation.op_lines import encode
from kitty_flow.invocation.record import Completed, Started
from kitty_flow.ledger.op_log import OPS_REF, op_path

ROUNDS = 15
LIMIT = 3.0
RECORDS = 10_000
RECORD_LIMIT_MS = 60.0
SPANS = {"ten minutes": 600.0, "half a year": 180 * 86_400.0}

COMMANDS = {
    "invocations list": ["invocations", "list", "--limit", "100"],
    "invocations list --json": ["invocations", "list", "--limit", "100", "--json"],
    "invocations list --profile": ["invocations", "list", "--limit", "100", "--profile", "reviewer", "--json"],
}


@pytest.fixture(scope="module", params=SPANS)
def repository(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with so many closed invocations, every second of them of a reviewer."""
    root = tmp_path_factory.mktemp("ops") / "repository"
    root.mkdir()
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "Start"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    span, now = SPANS[request.param], time.time()
    parts = [f"commit {OPS_REF}\ncommitter a <a@localhost> 1 +0000\ndata 0\n".encode()]
    for number in range(RECORDS):
        invocation_id = str(ULID.from_timestamp(now - span + span * number / RECORDS))
        content = _lines(invocation_id, "reviewer" if number % 2 else "implementer")
        path = op_path(invocation_id).encode()
        parts.append(b"M 100644 inline %s.jsonl\ndata %d\n%s\n" % (path, len(content), content))
    subprocess.run(["git", "fast-import", "--quiet"], cwd=root, input=b"".join(parts), check=True)
    return root


def _lines(invocation_id: str, profile_id: str) -> bytes:
    common = {
        "invocation_id": invocation_id,
        "writer": "w000000000000",
        "at": "2026-01-30T16:05:00.000+00:00",
        "actor": "ann",
        "machine": "invocation",
        "machine_digest": "0" * 64,
    }
    started = Started(
        **common, event_id=str(ULID()), parent=None, lamport=1, profile_id=profile_id, action="implement",
        request_text="mend what is broken in the door, and say what was wrong with it", router_confidence="exact",
        governance_context_hash="0123456789abcdef", governance_context_available=True, mode_of_work="task_execution",
    )  # fmt: skip
    completed = Completed(
        **common, event_id=str(ULID()), parent=started.event_id, lamport=2, outcome="done", closed_by="agent"
    )
    return b"".join(encode(event, profile_id, "implement", {}).line for event in (started, completed))


def _milliseconds(root: Path, *words: str) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-P", "-m", "kitty_flow", *words], cwd=root, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begun) * 1000


@pytest.mark.parametrize("name", COMMANDS)
def test_a_list_costs_little_more_than_nothing(repository: Path, name: str) -> None:
    pairs = [
        (_milliseconds(repository, "--version"), _milliseconds(repository, *COMMANDS[name])) for _ in range(ROUNDS)
    ]
    nothing, listing = (median(column) for column in zip(*pairs, strict=True))
    print(f"\n{name}: {listing:.0f} ms, nothing: {nothing:.0f} ms, {listing / nothing:.2f} times")
    assert listing <= LIMIT * nothing


def test_one_more_request_costs_what_the_first_did(repository: Path) -> None:
    project = Project.discover(repository)
    opening = Opening("implementer", "implement", "mend it", "", False, "exact", "task_execution", "ann")
    begun, completed = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        record = begin(project, opening)
        middle = time.perf_counter()
        complete(project, record.invocation_id, "done")
        begun.append((middle - start) * 1000)
        completed.append((time.perf_counter() - middle) * 1000)
    print(f"\nbegin {median(begun):.1f} ms, complete {median(completed):.1f} ms among {RECORDS}")
    assert max(median(begun), median(completed)) <= RECORD_LIMIT_MS
