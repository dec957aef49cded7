"""Several threads record at once: one commit where they come together, and to each its own answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kitty_flow.errors import ConflictError, LedgerError, RefusedError
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.ledger import Batch, Draft, Ledger, Receipt
from kitty_flow.ledger.view import LedgerView

MISSION = "01JZ5N3C8RWE5P1YF0K6SHTAVD"


def draft(
    name: str, trigger: str = "plan", before: str | None = None, after: str = "planned", **fields: object
) -> Draft:
    return Draft("work_package", name, "work_package", "sha256:0", trigger, "ann", before, after, **fields)  # type: ignore[arg-type]


def claim(name: str, by: str) -> Callable[[LedgerView], Batch]:
    def build(view: LedgerView) -> Batch:
        entity = view.entity("work_package", name)
        if entity is None or entity.state != "planned":
            raise RefusedError("ALREADY_CLAIMED", f"{name} is claimed")
        return Batch([draft(name, "claim", "planned", "claimed", evidence={"holder": by})])

    return build


@pytest.fixture
def ledger(repo: Path) -> Iterator[Ledger]:
    with Ledger(Repository.discover(repo), MISSION, "sample") as made:
        yield made


def together(ledger: Ledger, builds: list[Callable[[LedgerView], Batch]]) -> list[Receipt | BaseException]:
    """Record all of them while the first one to come is kept until all stand in line."""
    all_wait = threading.Event()
    first = threading.Lock()
    real = ledger.lock

    def lock(meanwhile: Callable[[], object] = lambda: None):  # type: ignore[no-untyped-def]
        with first:
            assert all_wait.wait(60)
        return real(meanwhile)

    ledger.lock = lock  # type: ignore[method-assign]

    def record(build: Callable[[LedgerView], Batch]) -> Receipt | BaseException:
        try:
            return ledger.record(build)
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(builds)) as pool:
        asked = [pool.submit(record, build) for build in builds]
        while len(ledger._line) < len(builds):
            pass
        all_wait.set()
        answers = [one.result(60) for one in asked]
    ledger.lock = real  # type: ignore[method-assign]
    return answers


def commits(ledger: Ledger) -> int:
    return int(ledger.repository.git.text("rev-list", "--count", ledger.ref))


def test_what_comes_together_is_one_commit(ledger: Ledger) -> None:
    ledger.record(lambda view: Batch([draft("WP00")]))
    told: list[Receipt] = []
    ledger.on_commit = told.append
    answers = together(ledger, [lambda view, n=n: Batch([draft(f"WP{n:02}")]) for n in range(1, 9)])  # type: ignore[misc]
    assert all(isinstance(answer, Receipt) for answer in answers), answers
    assert commits(ledger) == 2
    assert {event.entity_id for a in answers for event in a.events} == {f"WP{n:02}" for n in range(1, 9)}  # type: ignore[union-attr]
    assert all(len(a.events) == 1 and a.paths for a in answers)  # type: ignore[union-attr]
    assert sorted(r.events[0].event_id for r in told) == sorted(a.events[0].event_id for a in answers)  # type: ignore[union-attr]
    assert [e.lamport for e in ledger.events()] == list(range(1, 10))


def test_each_decides_on_what_those_before_it_leave(ledger: Ledger) -> None:
    """Of eight that want the same work package one gets it; the others are refused, and hurt nobody."""
    ledger.record(lambda view: Batch([draft("WP01"), draft("WP02")]))
    builds = [claim("WP01", f"agent-{n}") for n in range(7)] + [claim("WP02", "other")]
    answers = together(ledger, builds)
    won = [a for a in answers if isinstance(a, Receipt)]
    lost = [a for a in answers if isinstance(a, RefusedError)]
    assert (len(won), len(lost), commits(ledger)) == (2, 6, 2)
    holder = ledger.view().entities["work_package", "WP01"].facts["holder"]
    assert holder in {r.events[0].evidence["holder"] for r in won}


def test_a_failure_to_write_is_told_to_everybody_it_concerns(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was refused because of what could not be written decides again."""
    ledger.record(lambda view: Batch([draft("WP01")]))
    move, failures = ledger._move, iter([OSError(28, "No space left on device")])

    def fail_once(before: str | None, commit: str) -> None:
        for error in failures:
            raise error
        move(before, commit)

    monkeypatch.setattr(ledger, "_move", fail_once)
    answers = together(ledger, [claim("WP01", "ann"), claim("WP01", "bob")])
    kinds = sorted(type(answer).__name__ for answer in answers)
    assert kinds == ["LedgerError", "Receipt"], answers
    assert {a.code for a in answers if isinstance(a, LedgerError)} == {"STATUS_EVENT_PERSISTENCE_FAILED"}
    assert commits(ledger) == 2


def test_attachments_end_a_commit_and_a_published_one_is_alone(ledger: Ledger) -> None:
    ledger.record(lambda view: Batch([draft("WP00")]))
    seen: list[str] = []

    def attach(view: LedgerView) -> Batch:
        return Batch([draft("WP01")], {"review/a.json": b"{}"})

    def read(view: LedgerView) -> Batch:
        has = view.entity("work_package", "WP01") is not None
        assert not has or ledger.store.attachment(str(view.tip), "review/a.json") == b"{}"
        return Batch([draft("WP02")])

    assert all(isinstance(a, Receipt) for a in together(ledger, [attach, read]))
    ledger.record(lambda view: Batch([draft("WP03")]), publish=seen.append)
    assert seen == [ledger.view().tip]


def test_threads_that_read_and_record_at_once(ledger: Ledger) -> None:
    """No order of reads and writes of many threads damages what is remembered, or mixes up answers of git."""
    ledger.record(lambda view: Batch([draft(f"WP{n:02}") for n in range(20)]))

    def work(number: int) -> None:
        name = f"WP{number:02}"
        ledger.record(claim(name, name))
        view = ledger.view()
        assert view.entities["work_package", name].facts["holder"] == name
        assert len(view.of_type("work_package")) == 20
        assert view.entity("invocation", f"none-{number}") is None

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(20), timeout=60))
    assert len(ledger.events()) == 40
    with Ledger(ledger.repository, MISSION, "sample") as other:
        assert other.view().entities == ledger.view().entities


def test_a_conflict_of_one_is_nobody_elses(ledger: Ledger) -> None:
    ledger.record(lambda view: Batch([draft("WP01")]))
    wrong = [lambda view: Batch([draft("WP01", "start", "claimed", "in_progress")])]
    answers = together(ledger, [*wrong, claim("WP01", "ann")])
    assert isinstance(answers[1], Receipt)
    assert isinstance(answers[0], ConflictError) or answers[0].events  # type: ignore[union-attr]
