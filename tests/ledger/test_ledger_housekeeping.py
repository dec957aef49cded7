"""Packing the ledger's objects: bounded, invisible to the user's gc, and nothing lost whatever happens meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from math import log2
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.errors import ConflictError, KittyFlowError
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.housekeeping import EVERY, Tidied, crowd, tidy, tidy_if_due
from kitty_flow.ledger.ledger import Batch, Ledger, Receipt
from kitty_flow.ledger.lock import exclusive

RunGit = Callable[..., str]
Record = Callable[..., Receipt]
OpenLedger = Callable[..., Ledger]

OBJECTS_PER_EVENT = 7
GIT_AUTO_LIMIT = 6700


def loose(root: Path) -> set[str]:
    """The names of all loose objects."""
    objects = root / ".git" / "objects"
    return {folder.name + file.name for folder in objects.glob("??") for file in folder.iterdir()}


def packs(root: Path) -> set[str]:
    """The names of all packs; a file beside them is an error."""
    files = list((root / ".git" / "objects" / "pack").iterdir())
    names = {file.stem for file in files if file.suffix == ".pack"}
    assert {file.name for file in files} == {f"{name}{suffix}" for name in names for suffix in (".pack", ".idx")}
    return names


def needed(root: Path, git: RunGit, *words: str) -> set[str]:
    """The names of the objects that ``git rev-list --objects`` lists."""
    return {line.split()[0] for line in git(root, "rev-list", "--objects", *words).splitlines()}


def damage(pack: Path) -> None:
    """Flip a bit in the middle."""
    _flip(pack, pack.stat().st_size // 2)


def damage_blob(pack: Path, git: RunGit) -> None:
    """Flip a bit in a blob, which nobody reads who only walks over commits and trees."""
    rows = [line.split() for line in git(pack.parent, "verify-pack", "-v", pack.with_suffix(".idx")).splitlines()]
    at, size = next((int(row[4]), int(row[3])) for row in rows if row[1:2] == ["blob"])
    _flip(pack, at + size // 2)


def _flip(pack: Path, at: int) -> None:
    content = bytearray(pack.read_bytes())
    content[at] ^= 1
    pack.unlink()
    pack.write_bytes(content)


def expect_everything(root: Path, git: RunGit, open_ledger: OpenLedger, lamport: int) -> None:
    """All events can be read by a newcomer, and git finds nothing to say about the repository."""
    with open_ledger(root) as ledger:
        assert [event.lamport for event in ledger.events()] == list(range(1, lamport + 1))
    assert git(root, "fsck", "--strict", "--no-dangling") == ""


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Recording itself does not tidy here, since the tests say when; what it would have been told is noted."""
    told: list[int] = []

    def note(repository: Repository, events: int) -> None:
        with exclusive(
            repository.state_dir / "locks" / "01J0000000000000000000000A.lock", timeout_s=0, what="the ledger"
        ):
            told.append(events)

    monkeypatch.setattr("kitty_flow.ledger.housekeeping.tidy_if_due", note)
    return told


def test_recording_tells_of_its_events_after_the_lock_is_free(ledger: Ledger, record: Record, asked: list[int]) -> None:
    record(ledger, "WP01")
    record(ledger, notes=5)
    ledger.record(lambda view: Batch(()))
    assert asked == [1, 5]


def test_loose_objects_and_packs_stay_few_and_gc_auto_finds_nothing_to_do(
    repo: Path, ledger: Ledger, open_ledger: OpenLedger, record: Record, git: RunGit
) -> None:
    assert EVERY * OBJECTS_PER_EVENT < GIT_AUTO_LIMIT * 0.6
    of_user, long_open, rounds = loose(repo), open_ledger(repo), 0
    for number in range(1, 23):
        record(ledger, "WP01")
        rounds += tidy_if_due(ledger.repository, 1, every=2) is not None
        assert len(loose(repo)) <= len(of_user) + 2 * OBJECTS_PER_EVENT
        assert len(packs(repo)) <= log2(max(rounds, 1)) + 1
        assert long_open.view().lamport == number
    assert rounds == 11
    assert loose(repo) == of_user
    assert len(needed(repo, git, "--glob=refs/kitty")) > 22 * 4

    before = packs(repo)
    git(repo, "config", "gc.autoDetach", "false")
    git(repo, "config", "gc.autoPackLimit", 4)
    git(repo, "gc", "--auto")
    assert (packs(repo), loose(repo)) == (before, of_user)
    expect_everything(repo, git, open_ledger, 22)

    git(repo, "config", "gc.autoPackLimit", len(before) - 1)
    git(repo, "gc", "--auto")
    assert loose(repo) == set(), "the limit works: with more packs the user's gc would have run"
    record(ledger, "WP01")
    assert tidy(ledger.repository).packs == 1, "packs that the user's gc took are forgotten"
    expect_everything(repo, git, open_ledger, 23)


def test_events_are_counted_over_all_missions_and_processes(
    repo: Path, open_ledger: OpenLedger, record: Record
) -> None:
    for number, events in enumerate((3, 4), 1):
        other = open_ledger(repo, f"01J000000000000000000000{number:02}")
        record(other, notes=events)
        assert tidy_if_due(other.repository, events, every=10) is None
    done = tidy_if_due(Repository.discover(repo), 3, every=10)
    assert done is not None
    assert (done.packed, done.merged, done.packs) == (done.removed, 0, 1)
    assert tidy_if_due(Repository.discover(repo), 9, every=10) is None
    assert tidy_if_due(Repository.discover(repo), 1, every=10) == Tidied(0, 0, 0, 1)


def test_there_is_nothing_to_do_before_the_first_event(repo: Path, git: RunGit) -> None:
    assert tidy(Repository.discover(repo)) == Tidied(0, 0, 0, 0)
    assert packs(repo) == set()


def test_the_second_process_goes_on(repo: Path, ledger: Ledger, record: Record) -> None:
    record(ledger, notes=3)
    before = loose(repo)
    lock = ledger.repository.state_dir / "locks" / "housekeeping.lock"
    with exclusive(lock, timeout_s=0, what="the test"):
        assert tidy_if_due(ledger.repository, 3, every=3) is None
        with pytest.raises(ConflictError):
            tidy(ledger.repository)
    assert (loose(repo), packs(repo)) == (before, set())
    assert tidy_if_due(ledger.repository, 1, every=3) is not None, "it is still due"


def test_the_users_objects_stay_as_they_are(
    repo: Path, tmp_path: Path, ledger: Ledger, record: Record, git: RunGit
) -> None:
    """Those of branches, a tag, the stash, the index, a worktree's HEAD, and of nothing at all."""
    git(repo, "tag", "-a", "-m", "tagged", "v1")
    (repo / "README.md").write_text("stashed\n")
    git(repo, "stash", "-q")
    (repo / "staged.txt").write_text("staged\n")
    git(repo, "add", "staged.txt")
    git(repo, "hash-object", "-w", "--stdin", stdin=b"of nothing\n")
    git(repo, "worktree", "add", "-q", "--detach", tmp_path / "linked")
    git(tmp_path / "linked", "commit", "-q", "--allow-empty", "-m", "On no branch")
    of_user = loose(repo)
    (tmp_path / "linked" / "salvaged.txt").write_text("salvaged\n")
    git(tmp_path / "linked", "add", "-A")
    git(tmp_path / "linked", "commit", "-q", "-m", "Salvaged")
    git(repo, "update-ref", "refs/kitty/salvage/x/WP01/1", git(tmp_path / "linked", "rev-parse", "HEAD"))
    git(tmp_path / "linked", "checkout", "-q", "--detach", "HEAD~1")
    record(ledger, notes=2)

    assert tidy(ledger.repository).packed == len(needed(repo, git, "--glob=refs/kitty", "--not", "HEAD")) - 1
    assert loose(repo) == of_user
    assert git(repo, "fsck", "--strict", "--no-dangling") == ""
    assert tidy(ledger.repository).packed == 0


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{}",
        b"\xff\xfe",
        b'{"tips": 7}',
        b'{"packs": {"pack-../../../x": 1}}',
        b'{"tips": ["%b"], "packs": {"pack-%b": 5}, "unswept": ["pack-%b"]}' % ((b"12" * 20,) * 3),
    ],
)
def test_a_lost_memory_costs_nothing_but_a_look(
    repo: Path, ledger: Ledger, open_ledger: OpenLedger, record: Record, git: RunGit, content: bytes | None
) -> None:
    record(ledger, notes=2)
    tidy(ledger.repository)
    before, of_user = packs(repo), loose(repo)
    record(ledger, "WP01")
    path = ledger.repository.state_dir / "packs.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)

    done = tidy(ledger.repository)

    assert 0 < done.packed <= OBJECTS_PER_EVENT, "what was packed is not packed again"
    assert (done.merged, done.packs) == (0, 1)
    assert before < packs(repo), "a pack that is not known to be ours is left alone"
    assert loose(repo) == of_user
    expect_everything(repo, git, open_ledger, 3)


def test_neither_kept_packs_nor_those_of_a_multi_pack_index_are_merged(
    repo: Path, ledger: Ledger, open_ledger: OpenLedger, record: Record, git: RunGit
) -> None:
    for _ in range(2):
        record(ledger, "WP01")
        tidy(ledger.repository)
    shared = packs(repo)
    git(repo, "multi-pack-index", "write")
    for _ in range(3):
        record(ledger, "WP01")
        done = tidy(ledger.repository)
    assert (done.merged, done.packs) == (3, 3)
    git(repo, "multi-pack-index", "verify")
    folder = repo / ".git" / "objects" / "pack"
    (folder / "multi-pack-index").unlink()
    assert shared < packs(repo)
    kept = folder / f"{shared.pop()}.keep"
    kept.touch()
    for _ in range(2):
        record(ledger, "WP01")
        tidy(ledger.repository)
    assert kept.with_suffix(".pack").exists()
    kept.unlink()
    expect_everything(repo, git, open_ledger, 7)


def test_other_hashes_paths_and_settings(tmp_path: Path, open_ledger: OpenLedger, record: Record, git: RunGit) -> None:
    root = tmp_path / 'other: a "repository"'
    root.mkdir()
    git(root, "init", "-q", "--object-format=sha256")
    git(root, "config", "pack.packSizeLimit", "1m")
    git(root, "config", "pack.writeReverseIndex", "true")
    ledger = open_ledger(root)
    for at in range(3):
        record(ledger, "WP01", evidence={f"{number}": os.urandom(16_000).hex() for number in range(at and 1)})
        done = tidy(ledger.repository)
    assert (done.merged, done.packs) == (3, 1)
    files = {file.suffix for file in (root / ".git" / "objects" / "pack").iterdir()}
    assert files == {".pack", ".idx", ".rev"}
    assert loose(root) == set()
    expect_everything(root, git, open_ledger, 3)


def test_it_never_fails_what_was_recorded(repo: Path, ledger: Ledger, record: Record, git: RunGit) -> None:
    record(ledger, notes=3)
    of_everybody = loose(repo)
    obstacle = repo / ".git" / "objects" / "pack"
    obstacle.rmdir()
    obstacle.write_text("no place for a pack\n")
    assert tidy_if_due(ledger.repository, 3, every=3) is None
    obstacle.unlink()
    obstacle.mkdir()
    assert tidy_if_due(ledger.repository, 2, every=3) is None, "not tried again at each event"
    counter = ledger.repository.state_dir / "recorded"
    counter.unlink()
    counter.mkdir()
    assert tidy_if_due(ledger.repository, 3, every=3) is None
    counter.rmdir()
    assert loose(repo) == of_everybody
    assert tidy_if_due(ledger.repository, 3, every=3) is not None


@pytest.mark.parametrize("words", ["commit -qm more --allow-empty", "gc -q", "repack -adq", "prune --expire=now"])
def test_the_users_commands_beside_it(
    repo: Path, ledger: Ledger, open_ledger: OpenLedger, record: Record, git: RunGit, words: str
) -> None:
    """Both at once, again and again; a reader that was open before goes on reading."""
    for number in range(1, 5):
        record(ledger, "WP01")
        (repo / "README.md").write_text(f"{number}\n")
        git(repo, "add", "README.md")
        with subprocess.Popen(["git", *words.split()], cwd=repo, stderr=subprocess.PIPE) as beside:
            tidy_if_due(ledger.repository, 1, every=1)
            _, said = beside.communicate(timeout=60)
        assert (beside.returncode, said) == (0, b"")
        assert len(ledger.store.objects.read(f"{ledger.ref}:") or ()) == 2
    assert git(repo, "show", ":README.md") == "4"
    assert tidy(ledger.repository).packs <= 3
    assert not loose(repo) & needed(repo, git, "--glob=refs/kitty")
    expect_everything(repo, git, open_ledger, 4)


# --- Stopped at every step -------------------------------------------------------------------------------------------

STEPS = {"subprocess.Popen", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}


def watch(stop: Callable[[int], None]) -> Callable[[], int]:
    """Call `stop` with its number before each effect of this process that others can see; the hook cannot be undone."""
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if event in STEPS or (writes and arguments[0] != os.devnull):
            count += 1
            stop(count)

    sys.addaudithook(hook)
    return lambda: count


def in_a_child(work: Callable[[], int]) -> int:
    """The exit status of `work` in a fork of this process; negative for a signal."""
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            status = work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def tidy_until(root: Path, at: int, how: str) -> int:
    """Tidy in a child that is killed, or whose step fails, at step number `at`; 0 when there is no such step."""

    def stop(number: int) -> None:
        if number == at and how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if number == at:
            raise OSError(28, "No space left on device")

    def work() -> int:
        repository = Repository.discover(root)
        reached = watch(stop)
        try:
            tidy(repository)
        except (OSError, KittyFlowError):
            return 1
        return 2 if reached() >= at else 0

    return in_a_child(work)


def prepared(root: Path, ledger: Ledger, record: Record) -> set[str]:
    """Two packs, and one more event: the next tidying packs, sweeps and merges. Returns the user's loose objects."""
    of_user = loose(root)
    for _ in range(2):
        record(ledger, "WP01")
        assert tidy(ledger.repository).merged == 0
    record(ledger, "WP01")
    ledger.close()
    return of_user


@pytest.mark.parametrize(
    "stride", [pytest.param(7, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.crash)], ids=["some", "all"]
)
@pytest.mark.parametrize("how", ["kill", "fail"])
def test_stopped_at_every_step(
    repo: Path,
    tmp_path: Path,
    ledger: Ledger,
    open_ledger: OpenLedger,
    record: Record,
    git: RunGit,
    how: str,
    stride: int,
) -> None:
    """Nothing is lost, and the next tidying leaves nothing behind."""
    of_user, step, ends = prepared(repo, ledger, record), 1, [1]
    while ends[-1] != 0:
        root = tmp_path / f"copy-{step}"
        shutil.copytree(repo, root)
        ends.append(tidy_until(root, step, how))
        expect_everything(root, git, open_ledger, 3)
        state = root / ".git" / "kitty-flow"
        suffixes = {path.suffix for path in (root / ".git" / "objects" / "pack").iterdir()}
        assert suffixes == {".idx", ".pack"}, "nothing temporary where the user's packs are"
        assert not (state / "packing").exists() or ends[-1] != 1, "a tidying that failed cleans up after itself"

        assert tidy(Repository.discover(root)).packs <= 3
        assert loose(root) == of_user
        assert len(packs(root)) <= 3
        assert {path.name for path in state.iterdir()} - {"writer", "fresh"} == {"index", "locks", "packs.json"}
        assert git(root, "fsck", "--strict", "--no-dangling") == ""
        shutil.rmtree(root)
        step += stride
    assert step > 40
    assert set(ends[1:-1]) <= ({-signal.SIGKILL} if how == "kill" else {1, 2})


@pytest.mark.parametrize("how", ["before", "after"])
def test_a_git_process_that_dies(
    repo: Path,
    tmp_path: Path,
    ledger: Ledger,
    open_ledger: OpenLedger,
    record: Record,
    git: RunGit,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    """git killed before its work, or after it was done: with its files written, and its answer lost."""
    record(ledger, notes=3)
    ledger.close()
    real, before = shutil.which("git"), loose(repo)
    for command in ("for-each-ref", "rev-list", "pack-objects", "verify-pack", "show-index"):
        spy = tmp_path / command / "git"
        spy.parent.mkdir()
        work = f'"{real}" "$@" >/dev/null;' if how == "after" else ""
        spy.write_text(f'#!/bin/sh\ncase " $* " in *" {command} "*) {work} kill -9 $$ ;; esac\nexec "{real}" "$@"\n')
        spy.chmod(0o755)
        with monkeypatch.context() as patch:
            patch.setenv("PATH", str(spy.parent), prepend=os.pathsep)
            assert tidy_if_due(Repository.discover(repo), 3, every=3) is None
        assert (loose(repo), packs(repo)) == (before, set())
    assert tidy(ledger.repository).packed > 0
    expect_everything(repo, git, open_ledger, 3)


def test_a_pack_that_is_damaged_in_its_place_costs_no_object(
    repo: Path, ledger: Ledger, open_ledger: OpenLedger, record: Record, git: RunGit
) -> None:
    """It is read again before the loose objects go; this damages it in between."""
    record(ledger, notes=3)
    before, folder = loose(repo), repo / ".git" / "objects" / "pack"
    ledger.close()

    def work() -> int:
        repository, damaged = Repository.discover(repo), set()

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            for index in folder.glob("*.idx") if event == "subprocess.Popen" and not damaged else ():
                damaged.add(index)
                damage(index.with_suffix(".pack"))

        sys.addaudithook(hook)
        done = tidy(repository)
        return 0 if damaged and (done.removed, done.packs) == (0, 0) else 1

    assert in_a_child(work) == 0
    assert loose(repo) == before
    for path in folder.iterdir():
        path.unlink()
    expect_everything(repo, git, open_ledger, 3)


def test_a_damaged_pack_is_not_merged(repo: Path, ledger: Ledger, record: Record, git: RunGit) -> None:
    for _ in range(2):
        record(ledger, "WP01")
        tidy(ledger.repository)
    record(ledger, "WP01")
    folder, before = repo / ".git" / "objects" / "pack", packs(repo)
    damage_blob(folder / f"{min(before)}.pack", git)
    assert tidy_if_due(ledger.repository, 1, every=1) is None
    assert before < packs(repo)
    assert len(packs(repo)) == 3, "the new event was packed all the same"


def test_crowd_keeps_few_packs_whatever_their_sizes() -> None:
    sizes: dict[str, int] = {}
    for number in range(1, 1001):
        sizes[f"new-{number}"] = 1 + number % 3
        old = crowd(sizes)
        if old:
            sizes[f"merged-{number}"] = sum(sizes.pop(name) for name in old)
        assert crowd(sizes) == []
        assert len(sizes) <= log2(2 * number) + 2
    assert sum(sizes.values()) == sum(1 + number % 3 for number in range(1, 1001))
