"""`tox -e bench`: what a recorded transition costs, against itself on a short log and against other ways to do it.

Ratios of times taken in turns, so that whatever else the machine does falls on both sides alike; what is compared is
the mean of the fastest tenth, which noise reaches last. Times in seconds are printed, and asserted only where
the contract names one (RELIABILITY P1).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.git.objects import CommitText, TreeEntry
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.fold import fold
from kitty_flow.ledger.ledger import Batch, Draft, Ledger, Receipt
from kitty_flow.ledger.segment import decode_lines, encode_event

MISSION = "01JZ5N3C8RWE5P1YF0K6SHTAVD"
WORK_PACKAGES = 100
LONG = 100_000
REPLAY_RATIO = 4.0
"""300 ms, where json.loads takes 75 ms for the same lines."""

IDENT = "Bench <bench@example.invalid> 1700000000 +0000"
REF = "refs/kitty/bench"


def fastest(seconds: Sequence[float]) -> float:
    """The mean of the fastest tenth."""
    return statistics.fmean(sorted(seconds)[: max(1, len(seconds) // 10)])


def in_turns(rounds: int, ways: Mapping[str, Callable[[int], Any]]) -> dict[str, float]:
    """Seconds that each way takes; whoever goes first changes from round to round."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in sorted(ways.items(), reverse=bool(number % 2)):
            begun = time.perf_counter()
            way(number)
            times[name].append(time.perf_counter() - begun)
    for name, seconds in times.items():
        print(f"  {name:28s} {fastest(seconds) * 1e3:8.2f} ms (median {statistics.median(seconds) * 1e3:.2f})")
    return {name: fastest(seconds) for name, seconds in times.items()}


def step(number: int, work_package: int, lamport: int) -> Draft:
    """The `number`-th step of a work package: planned, claimed, given back, claimed again."""
    before, after, trigger = [("claimed", "planned", "release"), ("planned", "claimed", "claim")][number % 2]
    if number == 0:
        before, trigger = None, "plan"  # type: ignore[assignment]
    evidence = {"holder": "agent-1", "lease_expires_at": "2026-03-01T12:00:00.000+00:00", "run_id": None}
    digest = "sha256:" + "0" * 64
    return Draft(
        "work_package",
        f"WP{work_package:03d}",
        "work_package",
        digest,
        trigger,
        "agent-1",
        before,
        after,
        epoch=number // 2 + 1,
        evidence=evidence,
    )


class Steps:
    """One ledger whose work packages take their steps in turn."""

    def __init__(self, root: Path, events: int = WORK_PACKAGES) -> None:
        self.ledger = Ledger(Repository.discover(root), MISSION, "bench")
        self.count = 0
        while self.count < events:
            self.record(min(1000, events - self.count))

    def record(self, drafts: int = 1) -> Receipt:
        wanted = [step(n // WORK_PACKAGES, n % WORK_PACKAGES, n + 1) for n in range(self.count, self.count + drafts)]
        self.count += drafts
        return self.ledger.record(lambda view: Batch(wanted))


@pytest.fixture
def make_repo(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        root = tmp_path / name
        root.mkdir()
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
        return root

    return make


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Steps]:
    """A ledger of a hundred thousand events."""
    root = tmp_path_factory.mktemp("long")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    begun = time.perf_counter()
    steps = Steps(root, LONG)
    print(f"\n{LONG} events recorded in batches of 1000 in {time.perf_counter() - begun:.0f} s")
    yield steps
    steps.ledger.close()


def test_a_long_log_costs_what_a_short_one_costs(long_log: Steps, make_repo: Callable[[str], Path]) -> None:
    short = Steps(make_repo("short"))
    for steps in (short, long_log):
        for _ in range(10):
            steps.record()
    print("\none recorded transition, 200 rounds:")
    low = in_turns(200, {"100 events": lambda n: short.record(), f"{LONG} events": lambda n: long_log.record()})
    short.ledger.close()
    ratio = low[f"{LONG} events"] / low["100 events"]
    print(f"  ratio {ratio:.2f}")
    assert ratio <= 1.3


def test_the_index_of_a_long_log_is_made_anew(long_log: Steps) -> None:
    expected = long_log.ledger.view()
    long_log.ledger.close()
    long_log.ledger.index.remove()
    begun = time.perf_counter()
    view = long_log.ledger.view()
    print(f"\nindex of {view.event_count} events made anew in {time.perf_counter() - begun:.1f} s")
    long_log.ledger.close()
    begun = time.perf_counter()
    again = long_log.ledger.view()
    print(f"read from the index in {(time.perf_counter() - begun) * 1e3:.1f} ms")
    assert dict(view.entities) == dict(again.entities) == dict(expected.entities)


def test_ten_thousand_events_are_replayed_at_once(make_repo: Callable[[str], Path]) -> None:
    steps = Steps(make_repo("replayed"), 10_000)
    lines = b"".join(encode_event(event) for event in steps.ledger.events())
    steps.ledger.close()
    print(f"\n10000 events, {len(lines) // 1000} kB:")
    low = in_turns(
        9,
        {
            "json.loads of each line": lambda n: [json.loads(line) for line in lines.splitlines()],
            "decoded and folded": lambda n: fold(decode_lines(lines, "bench")[0]),
        },
    )
    ratio = low["decoded and folded"] / low["json.loads of each line"]
    print(f"  ratio {ratio:.2f}; {low['decoded and folded'] * 1e3:.0f} ms of 300 ms")
    assert ratio <= REPLAY_RATIO


class Alternative:
    """Another way to record: the same six objects, one ref, and the event read back. The segment rolls at 64 lines."""

    def __init__(self, root: Path) -> None:
        self.repository = Repository.discover(root)
        self.lines: list[bytes] = []
        self.tip: str | None = None
        self.segment = 0

    def __call__(self, line: bytes) -> None:
        if len(self.lines) == 64:
            self.lines, self.segment = [], self.segment + 1
        self.lines.append(line)
        message = f"WP001 planned → claimed\n\nKitty-Lamport: {self.segment}.{len(self.lines)}\n"
        name = f"2026-03-01-{self.segment:05d}.jsonl"
        self.tip = self.write(b"".join(self.lines), name, message)
        found = self.read(self.tip, f"log/w0123456789ab/00000/{name}")
        assert found.endswith(line)
        assert json.loads(found.splitlines()[-1]) == json.loads(line)

    def write(self, content: bytes, name: str, message: str) -> str:
        raise NotImplementedError

    def read(self, commit: str, path: str) -> bytes:
        raise NotImplementedError

    def close(self) -> None:
        """End what is open."""


class Spawns(Alternative):
    """A git process for every object and for the ref."""

    def write(self, content: bytes, name: str, message: str) -> str:
        git = self.repository.git
        made = git.text("hash-object", "-w", "--stdin", stdin=content)
        kind = "100644 blob"
        for part in (name, "00000", "w0123456789ab", "log"):
            made = git.text("mktree", stdin=f"{kind} {made}\t{part}\n".encode())
            kind = "040000 tree"
        parents = ("-p", self.tip) if self.tip else ()
        identity = ("-c", "user.name=Bench", "-c", "user.email=bench@example.invalid")
        commit = git.text(*identity, "commit-tree", made, *parents, stdin=message.encode())
        git.text("update-ref", REF, commit, self.tip or "0" * 40)
        return commit

    def read(self, commit: str, path: str) -> bytes:
        return self.repository.git.output("cat-file", "blob", f"{commit}:{path}")


class OneSpawn(Alternative):
    """Objects in this process, one ``git update-ref``."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.objects = self.repository.objects()

    def write(self, content: bytes, name: str, message: str) -> str:
        entry = TreeEntry.blob(self.objects.write_blob(content))
        for part in (name, "00000", "w0123456789ab"):
            entry = TreeEntry.tree(self.objects.write_tree({part: entry}))
        tree = self.objects.write_tree({"log": entry})
        commit = self.objects.write_commit(CommitText(tree, (self.tip,) if self.tip else (), IDENT, IDENT, message))
        self.repository.git.text("update-ref", REF, commit, self.tip or "0" * 40)
        return commit

    def read(self, commit: str, path: str) -> bytes:
        return self.objects.read(f"{commit}:{path}")[1]  # type: ignore[index]

    def close(self) -> None:
        self.objects.close()


class Library(Alternative):
    """pygit2, which fsyncs files and folders when it is asked to."""

    def __init__(self, root: Path) -> None:
        import pygit2

        super().__init__(root)
        pygit2.option(pygit2.enums.Option.ENABLE_FSYNC_GITDIR, True)
        self.git = pygit2.Repository(str(root))
        self.signature = pygit2.Signature("Bench", "bench@example.invalid", 1_700_000_000, 0)
        self.blob, self.tree = pygit2.enums.FileMode.BLOB, pygit2.enums.FileMode.TREE

    def write(self, content: bytes, name: str, message: str) -> str:
        made, mode = self.git.create_blob(content), self.blob
        for part in (name, "00000", "w0123456789ab", "log"):
            builder = self.git.TreeBuilder()
            builder.insert(part, made, mode)
            made, mode = builder.write(), self.tree
        parents = [self.tip] if self.tip else []
        return str(self.git.create_commit(REF, self.signature, self.signature, message, made, parents))

    def read(self, commit: str, path: str) -> bytes:
        found: bytes = (self.git[commit].tree / path).data
        return found


def test_recording_costs_at_most_twice_the_cheapest_alternative(make_repo: Callable[[str], Path]) -> None:
    ours = Steps(make_repo("ours"))
    kinds: dict[str, type[Alternative]] = {"a git process for each": Spawns, "one git update-ref": OneSpawn}
    try:
        import pygit2

        kinds[f"pygit2 {pygit2.__version__}"] = Library
    except ImportError:
        print("\npygit2 is not installed: compared with the other two alone")
    others = {name: kind(make_repo(f"other-{number}")) for number, (name, kind) in enumerate(kinds.items())}
    line = encode_event(ours.record().events[0])
    ways: dict[str, Callable[[int], Any]] = {"Ledger.record": lambda n: ours.record()}
    ways |= {name: lambda n, other=other: other(line) for name, other in others.items()}  # type: ignore[misc]
    print("\none transition, fsync included, read back:")
    low = in_turns(130, ways)
    ours.ledger.close()
    for other in others.values():
        other.close()
    cheapest = min(others, key=lambda name: low[name])
    ratio = low["Ledger.record"] / low[cheapest]
    print(f"  {ratio:.2f} of the cheapest, {cheapest}")
    assert ratio <= 2.0


def test_a_claim_among_thirty_two_processes(make_repo: Callable[[str], Path]) -> None:
    root = make_repo("contended")
    tables = ['[mission]\ntitle = "Contended"\nid = "' + MISSION + '"\n']
    tables += [f'[[work_package]]\nid = "WP{n:03d}"\nowned_files = ["part{n:03d}/**"]\n' for n in range(1, 201)]
    source = root / ".kitty-flow" / "missions" / "contended.toml"
    source.parent.mkdir(parents=True)
    source.write_text("\n".join(tables))
    claimants = Path(__file__).parents[1] / "flow" / "claimants.py"
    done = subprocess.run(
        [sys.executable, str(claimants), str(root), "contended", "32", "0", "1"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))},
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    answers = [json.loads(text) for text in done.stdout.splitlines()]
    assert len({answer[2] for answer in answers if answer[1] == "won"}) == 200
    seconds = sorted(answer[4] for answer in answers if answer[1] != "left")
    p50, p99 = seconds[len(seconds) // 2], seconds[int(len(seconds) * 0.99)]
    print(f"\n32 processes, 200 work packages: {len(seconds)} answers, p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms")
    assert p99 < 1.0
