"""`kitty-flow log`: each filter finds what a look at all events finds: with an index, without, and with a bad one."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.git.repository import Repository
from kitty_flow.ledger.ledger import Batch, Draft, Ledger, new_ulid
from kitty_flow.ledger.query import EventFilter, find_events
from kitty_flow.model.event import Event

MISSION = "01J0000000000000000000000A"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACTORS, TRIGGERS, ENTITIES = ("ann", "ben", "cléo \U0001f600"), ("claim", "start", "note"), ("WP01", "WP02", "WP03")


@pytest.fixture
def ledger(repo: Path) -> Iterator[Ledger]:
    """A ledger of about 100 events of work packages and invocations, recorded by a clock that also goes backwards."""
    dice = random.Random(7)
    minutes = iter(dice.choices(range(600), k=40))
    opened = Ledger(Repository.discover(repo), MISSION, "sample", now=lambda: START + timedelta(minutes=next(minutes)))
    with opened:
        for size in [dice.randint(1, 4) for _ in range(40)]:
            opened.record(lambda view, size=size: Batch([_draft(dice) for _ in range(size)]))
        yield opened


def _draft(dice: random.Random) -> Draft:
    work_package = dice.choice(ENTITIES)
    own = dice.random() < 0.6
    return Draft(
        entity_type="work_package" if own else "invocation",
        entity_id=work_package if own else new_ulid(),
        machine="work_package",
        machine_digest="0",
        trigger=dice.choice(TRIGGERS),
        actor=dice.choice(ACTORS),
        evidence={} if own or dice.random() < 0.2 else {"work_package_id": work_package},
    )


def _brute(events: tuple[Event, ...], wanted: EventFilter) -> list[str]:
    """The same question, asked in other words, of every event."""
    found = []
    for event in events:
        about = {event.entity_id, event.evidence.get("work_package_id")}
        if event.entity_type != "work_package":
            about.discard(event.entity_id)
        if wanted.entity_id is not None and event.entity_id != wanted.entity_id:
            continue
        if wanted.work_package_id is not None and wanted.work_package_id not in about:
            continue
        if wanted.trigger is not None and event.trigger != wanted.trigger:
            continue
        if wanted.actor is not None and event.actor != wanted.actor:
            continue
        if event.lamport <= wanted.since_clock:
            continue
        moment = datetime.fromisoformat(event.at)
        if wanted.since is not None and moment < datetime.fromisoformat(wanted.since):
            continue
        if wanted.until is not None and moment >= datetime.fromisoformat(wanted.until):
            continue
        found.append(event.event_id)
    return found if wanted.limit is None else found[-wanted.limit :]


def _filters(events: tuple[Event, ...], count: int) -> Iterator[EventFilter]:
    dice = random.Random(11)

    def perhaps(*values: Any) -> Any:
        return dice.choice(values) if dice.random() < 0.4 else None

    moments = [(START + timedelta(minutes=m)).isoformat(timespec="milliseconds") for m in range(-30, 660, 30)]
    for _ in range(count):
        yield EventFilter(
            perhaps(*(e.entity_id for e in events), "nobody"),
            perhaps(*ENTITIES, "WP99"),
            perhaps(*TRIGGERS),
            perhaps(*range(1, len(events) + 2)) or 0,
            perhaps(*ACTORS, "' OR 1=1 --"),
            perhaps(*(e.at for e in events), *moments),
            perhaps(*(e.at for e in events), *moments),
            perhaps(1, 2, 5, 1000),
        )


@pytest.mark.slow
def test_an_index_changes_no_answer(ledger: Ledger, repo: Path) -> None:
    events = ledger.events()
    assert len(events) > 80
    path = ledger.index.path
    assert path.exists()
    filters = [EventFilter(), *_filters(events, 150)]
    answers = [_brute(events, wanted) for wanted in filters]
    assert sum(map(bool, answers)) > 40
    assert [[e.event_id for e in find_events(ledger, wanted)] for wanted in filters] == answers
    whole = path.read_bytes()
    more = EventFilter("WP01", None, "claim", 0, "ann")
    some = [*list(zip(filters, answers, strict=True))[::40], (more, _brute(events, more))]
    for break_it in (_without, _garbage, _events_moved, _too_many, _behind):
        # A row that hides an event cannot be noticed by those who look for it: that is what `doctor ledger` finds.
        for wanted, answer in some if break_it is not _too_many else some[-1:]:
            ledger.close()
            path.write_bytes(whole)
            break_it(path)
            with Ledger(Repository.discover(repo), MISSION, "sample") as fresh:
                assert [e.event_id for e in find_events(fresh, wanted)] == answer, (break_it, wanted)


def _without(path: Path) -> None:
    path.unlink()


def _garbage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000] + b"\xff" * 3000)


def _events_moved(path: Path) -> None:
    """Rows that name an event which is not in the segment that they name."""
    _change(path, "UPDATE event SET event_id = 'X' || substr(event_id, 2)")


def _too_many(path: Path) -> None:
    """Rows that say of every event what is asked for."""
    _change(path, "UPDATE event SET actor = 'ann', \"trigger\" = 'claim', entity_id = 'WP01'")


def _behind(path: Path) -> None:
    _change(path, f"UPDATE meta SET value = '{'1' * 40}' WHERE key = 'tip'")


def _change(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


MISSION_FILE = """\
[mission]
title = "Shop"
target_branch = "trunk"

[[work_package]]
id = "WP01"
title = "First"
owned_files = ["WP01.txt"]
"""


@pytest.mark.slow
def test_the_options_of_the_command(repo: Path, kitty: Any, tmp_path: Path) -> None:
    source = tmp_path / "shop.toml"
    source.write_text(MISSION_FILE)
    assert kitty("mission", "import", source, cwd=repo).exit == 0

    def ids(*words: str) -> list[str]:
        done = kitty("log", "shop", *words, "--json", cwd=repo)
        assert done.exit == 0, done.stdout
        return [event["entity_id"] for event in done.json["data"]["events"]]

    everything = ids()
    assert ids("--since", "2000-01-01", "--until", "2999-12-31T00:00Z") == everything
    assert ids("--entity", "WP01", "--since", "1w") == ["WP01"]
    assert ids("--entity", everything[0]) == [name for name in everything if name == everything[0]]
    assert ids("--until", "1w") == ids("--since", "2999-01-01") == ids("--entity", "WP99") == []
    refused = kitty("log", "shop", "--until", "tomorrow", "--json", cwd=repo)
    assert (refused.exit, refused.json["error"]["code"]) == (2, "INVALID_TIME")
