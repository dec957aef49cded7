"""The index changes no answer: deleted, damaged, left behind or of another version, it answers as the log does (S4)."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kitty_flow.git.repository import Repository
from kitty_flow.ledger.fold import fold
from kitty_flow.ledger.ledger import Batch, Draft, Ledger, new_ulid
from kitty_flow.ledger.query import EventFilter, find_events
from kitty_flow.ledger.view import LedgerView

RunGit = Callable[..., str]

FILTERS = [
    EventFilter(),
    EventFilter(entity_id="WP01"),
    EventFilter(work_package_id="WP00", limit=3),
    EventFilter(trigger="finish"),
    EventFilter(actor="bob", since_clock=5),
    EventFilter(since="2026-03-01", until="2026-03-02", limit=4),
]


def draft(kind: str, entity_id: str, before: str | None, after: str | None, trigger: str, **more: Any) -> Draft:
    actor = "bob" if trigger == "finish" else "ann"
    return Draft(kind, entity_id, kind, "sha256:0", trigger, actor, before, after, **more)  # type: ignore[arg-type]


def something(chance: random.Random) -> Callable[[LedgerView], Batch]:
    """One decision of kitty-flow, from what the view says: a move, a note, an invocation that starts or ends."""
    wish, which, end = chance.random(), chance.randrange(3), chance.choice(["done", "failed"])

    def build(view: LedgerView) -> Batch:
        work_package = f"WP{which:02d}"
        known = view.entity("work_package", work_package)
        running = [i.entity_id for i in view.of_type("invocation").values() if i.state == "started"]
        if known is None:
            return Batch([draft("work_package", work_package, None, "planned", "plan")])
        if wish < 0.3 and running:
            return Batch([draft("invocation", running[which % len(running)], "started", end, "finish")])
        evidence = {"work_package_id": work_package}
        start = draft("invocation", new_ulid(), None, "started", "start", evidence=evidence)
        if wish < 0.7:
            return Batch([start, draft("work_package", work_package, known.state, f"s{wish}", "move")])
        if wish < 0.8:
            return Batch([start, draft("invocation", start.entity_id, "started", end, "finish")])
        return Batch([draft("work_package", work_package, None, None, "note", evidence={f"n{which}": wish})])

    return build


def assert_answers_are_those_of_the_log(ledger: Ledger, chance: random.Random) -> None:
    view = ledger.view()
    events = ledger.events()
    folded = fold(events)
    some = [*folded.entities, ("invocation", "01J0000000000000000000000Z"), ("work_package", "WP99")]
    for kind, entity_id in chance.sample(some, min(len(some), 4)):
        assert view.entity(kind, entity_id) == folded.entities.get((kind, entity_id))
    assert view == LedgerView.of(ledger.ref, ledger.mission_slug, ledger.repository.refs.read(ledger.ref), folded)
    assert list(view.entities) == list(folded.entities)
    for kind in ("work_package", "invocation"):
        assert list(view.of_type(kind)) == [entity_id for type_, entity_id in folded.entities if type_ == kind]
    for wanted in FILTERS:
        found = [event for event in events if wanted.admits(event)]
        assert find_events(ledger, wanted) == tuple(found[-wanted.limit :] if wanted.limit else found)


@dataclass
class Desk:
    """Two ledgers on one log, and what happens to their index."""

    repository: Repository
    mission_id: str
    ledgers: list[Ledger] = field(default_factory=list)
    kept: dict[str, bytes] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.repository.state_dir / "index" / f"{self.mission_id}.sqlite3"

    def close(self) -> None:
        for ledger in self.ledgers:
            ledger.close()

    def files(self) -> list[Path]:
        return sorted(self.path.parent.glob(self.path.name + "*"))

    def crash(self) -> None:
        """The files as a killed process leaves them, with a write-ahead log that nobody has put into the database."""
        left = {path: path.read_bytes() for path in self.files()}
        self.close()
        for path, content in left.items():
            path.write_bytes(content)

    def keep(self) -> None:
        self.kept = {path.name: path.read_bytes() for path in self.files()}

    def put_back(self) -> None:
        """As from a backup: an index of an older moment."""
        self.close()
        for path in self.files():
            path.unlink()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for name, content in self.kept.items():
            (self.path.parent / name).write_bytes(content)

    def damage(self, chance: random.Random) -> None:
        for path in self.files():
            path.write_bytes(damaged(path.read_bytes(), chance))

    def another_version(self) -> None:
        if self.path.is_file():
            with closing(sqlite3.connect(self.path)) as database, suppress(sqlite3.Error), database:
                database.execute("UPDATE meta SET value = '0' WHERE key = 'version'")


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Some bits flipped, a piece zeroed, overwritten or lost, or two pages exchanged."""
    data = bytearray(content)
    if not data:
        return b"x"
    at, size = chance.randrange(len(data)), chance.choice([1, 40, 2000])
    match chance.randrange(6):
        case 0:
            return bytes(data[:at])
        case 1:
            data[at : at + size] = bytes(len(data[at : at + size]))
        case 2:
            data[at : at + size] = chance.randbytes(len(data[at : at + size]))
        case 3:
            one, other = chance.randrange(0, len(data), 4096), chance.randrange(0, len(data), 4096)
            data[one : one + 4096], data[other : other + 4096] = data[other : other + 4096], data[one : one + 4096]
        case _:
            for _ in range(chance.choice([1, 1, 1, 8])):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


ACTIONS = (
    *["record"] * 6,
    "ask", "close", "keep", "delete", "delete the database only", "crash", "crash and damage", "damage", "put back",
    "another version", "garbage", "everything deleted",
)  # fmt: skip


@settings(
    max_examples=max(6, settings.default.max_examples // 15),  # type: ignore[union-attr]
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.integers(0, 2 * len(ACTIONS) - 1), min_size=4, max_size=14), st.integers(0, 2**32))
def test_whatever_happens_to_it_in_between_two_recording_ledgers_get_the_answers_of_the_log(
    repo: Path, steps: list[int], seed: int
) -> None:
    chance = random.Random(seed)
    desk = Desk(Repository.discover(repo), new_ulid())
    desk.ledgers = [Ledger(desk.repository, desk.mission_id, "sample") for _ in range(2)]
    try:
        for step in steps:
            number, who = divmod(step, 2)
            ledger = desk.ledgers[who]
            match ACTIONS[number]:
                case "record":
                    ledger.record(something(chance))
                case "close":
                    ledger.close()
                case "keep":
                    desk.keep()
                case "delete":
                    for path in desk.files():
                        path.unlink()
                case "delete the database only":
                    desk.path.unlink(missing_ok=True)
                case "crash":
                    desk.crash()
                case "crash and damage":
                    desk.crash()
                    desk.damage(chance)
                case "damage":
                    desk.close()
                    desk.damage(chance)
                case "put back":
                    desk.put_back()
                case "another version":
                    desk.another_version()
                case "garbage":
                    desk.close()
                    desk.path.parent.mkdir(parents=True, exist_ok=True)
                    desk.path.write_bytes(b"no database")
                case "everything deleted":
                    shutil.rmtree(desk.repository.state_dir, ignore_errors=True)
            if ACTIONS[number] == "ask" or chance.random() < 0.3:
                assert_answers_are_those_of_the_log(ledger, chance)
        for ledger in desk.ledgers:
            assert_answers_are_those_of_the_log(ledger, chance)
        assert len({event.writer for event in ledger.events()}) <= 1
    finally:
        desk.close()


@pytest.fixture
def desk(repo: Path) -> Iterator[Desk]:
    """A log of some length with an index."""
    chance = random.Random(5)
    desk = Desk(Repository.discover(repo), new_ulid())
    desk.ledgers = [Ledger(desk.repository, desk.mission_id, "sample")]
    for _ in range(15):
        desk.ledgers[0].record(something(chance))
    desk.close()
    yield desk
    desk.close()


def test_damage_anywhere_in_it_changes_no_answer(desk: Desk) -> None:
    chance = random.Random(7)
    (ledger,) = desk.ledgers
    sound = desk.path.read_bytes()
    for _ in range(max(25, settings.default.max_examples // 4)):  # type: ignore[union-attr]
        desk.close()
        desk.path.write_bytes(damaged(sound, chance))
        assert_answers_are_those_of_the_log(ledger, chance)


def test_it_is_used_where_it_is_right(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the tests above would prove nothing: with a sound index no segment is read."""
    (ledger,) = desk.ledgers
    events = ledger.events()
    view = ledger.view()
    ledger.close()
    asked: list[str] = []
    read = type(ledger.store.objects).read
    monkeypatch.setattr(type(ledger.store.objects), "read", lambda self, name: asked.append(name) or read(self, name))
    assert ledger.view() == view
    assert asked == []
    (found,) = find_events(ledger, EventFilter(entity_id=events[-1].entity_id, trigger=events[-1].trigger, limit=1))
    assert found == events[-1]
    assert len(asked) == 1, "the one segment that has the event"


def test_a_sound_index_says_no_more_than_the_commit_that_was_read(desk: Desk) -> None:
    """A view is of one moment, also where it asks the index later and another process has recorded since."""
    (ledger,) = desk.ledgers
    view = ledger.view()
    expected = fold(ledger.events())
    with closing(Ledger(desk.repository, desk.mission_id, "sample")) as other:
        (late, _) = other.record(
            lambda view: Batch(
                [
                    draft("invocation", "I-late", None, "started", "start"),
                    draft("invocation", "I-late", "started", "done", "finish"),
                ]
            )
        ).events
    assert view.entity("invocation", late.entity_id) is None
    assert dict(view.entities) == expected.entities
    assert ledger.view().entity("invocation", late.entity_id) is not None


def test_another_thing_in_its_place(desk: Desk) -> None:
    (ledger,) = desk.ledgers

    def folder() -> None:
        desk.path.unlink()
        desk.path.mkdir()

    def link_to_nowhere() -> None:
        desk.path.rmdir()
        desk.path.symlink_to("nowhere/at-all")

    for number, put in enumerate((lambda: desk.path.chmod(0o444), folder, link_to_nowhere)):
        desk.close()
        put()
        assert_answers_are_those_of_the_log(ledger, random.Random(number))
        ledger.record(something(random.Random(number)))
        assert_answers_are_those_of_the_log(ledger, random.Random(number))


def test_all_of_our_own_files_deleted_gives_the_same_answers_and_the_same_writer(desk: Desk) -> None:
    (ledger,) = desk.ledgers
    view, events, writer = ledger.view(), ledger.events(), ledger.store.writer
    found = [find_events(ledger, wanted) for wanted in FILTERS]
    ledger.close()
    shutil.rmtree(desk.repository.state_dir)
    assert (ledger.view(), ledger.events()) == (view, events)
    assert [find_events(ledger, wanted) for wanted in FILTERS] == found
    receipt = ledger.record(something(random.Random(1)))
    assert {event.writer for event in receipt.events} == {writer}
    assert receipt.paths == (find_path(ledger, events[-1].event_id),), "the segment goes on"


def find_path(ledger: Ledger, event_id: str) -> str:
    located = ledger.projection.located(str(ledger.view().tip))[0]
    return next(path for event, path in located if event.event_id == event_id)
