"""The wall clock jumps, stands still or goes back between records: order, states and claims stay what they are."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from workbench import Workbench

from kitty_flow.git.repository import Repository
from kitty_flow.ledger.ledger import Batch, Draft, Ledger

MISSION = "01JZ5N3C8RWE5P1YF0K6SHTAVD"
DAY = 86_400

# Loaded by the interpreter before anything else: this process believes in another time, or in one that stands still.
_FAKED = """\
import datetime, os, time

offset, frozen = float(os.environ["FAKED_OFFSET_S"]), os.environ.get("FAKED_FROZEN_AT")
real, real_ns = time.time, time.time_ns
time.time = lambda: float(frozen) if frozen else real() + offset
time.time_ns = lambda: int(time.time() * 1e9)

class Faked(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)

datetime.datetime = Faked
"""


@pytest.fixture
def jumps() -> Iterator[timedelta]:
    """A day ahead, a day back, frozen, a second back, and so on."""
    days = (1, -1, 0, 0, -1, 1, 1, 0, -1)
    return iter([timedelta(days=day, seconds=-number % 3) for number, day in enumerate(days)])


def test_one_ledger_whose_clock_jumps(bench: Workbench, jumps: Iterator[timedelta]) -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    events = []
    state: str | None = None
    with Ledger(Repository.discover(bench.root), MISSION, "sample", now=lambda: at) as ledger:
        for number, jump in enumerate(jumps, 1):
            at += jump
            before, state = state, ("claimed" if state == "planned" else "planned")
            trigger = "claim" if state == "claimed" else "release" if before else "plan"
            step = Draft(
                "work_package", "WP01", "work_package", "sha256:0", trigger, "ann", before, state, epoch=number
            )
            receipt = ledger.record(lambda view, step=step: Batch([step]))  # type: ignore[misc]
            events.append(receipt.events[0])
            assert receipt.view.lamport == number
            assert receipt.view.entities["work_package", "WP01"].state == state
        ledger.index.remove()
    with Ledger(Repository.discover(bench.root), MISSION, "sample") as again:
        assert again.events() == tuple(events)
        entity = again.view().entities["work_package", "WP01"]
    assert (entity.state, entity.epoch) == (state, len(events))
    assert [event.at for event in events] != sorted(event.at for event in events)
    assert not again.view().conflicts


@pytest.mark.slow
def test_processes_that_believe_in_different_days(bench: Workbench, tmp_path: Path) -> None:
    bench.mission({f"WP{n:02d}": {"owned_files": [f"part{n}/**"]} for n in range(1, 5)})
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "sitecustomize.py").write_text(_FAKED)
    paths = [str(tmp_path / "fake"), *map(os.path.abspath, filter(None, sys.path))]
    bench.env["PYTHONPATH"] = os.pathsep.join(paths)
    beliefs = {"today": 0, "tomorrow": DAY, "yesterday": -DAY, "frozen": 0}
    given = {}
    for name, offset in beliefs.items():
        bench.env["FAKED_OFFSET_S"] = str(offset)
        if name == "frozen":
            bench.env["FAKED_FROZEN_AT"] = "1767225600"
        given[name] = bench.kitty("next", "--agent", name, "-m", bench.slug)["data"]["wp_id"]

    assert len(set(given.values())) == 4
    bench.env["FAKED_FROZEN_AT"] = ""
    for name, offset in {"today": -DAY, "frozen": 2 * DAY, "later": 30 * DAY, "long ago": -30 * DAY}.items():
        bench.env["FAKED_OFFSET_S"] = str(offset)
        holding = bench.kitty("next", "--agent", name, "-m", bench.slug)["data"]
        assert holding.get("wp_id") == given.get(name), "a claim holds whatever the clock says"
    assert set(bench.states().values()) == {"in_progress"}
    events = bench.events()
    assert [event["lamport"] for event in events] == list(range(1, len(events) + 1))
    claims = [event for event in events if event["trigger"] == "claim"]
    assert [event["actor"] for event in claims] == list(beliefs), "in the order of their recording"
    assert [event["event_id"] for event in claims] != sorted(event["event_id"] for event in claims)
    assert [event["at"][:10] for event in claims] != sorted(event["at"][:10] for event in claims)
