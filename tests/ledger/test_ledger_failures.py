"""Whatever fails while something is recorded, the log stays as it was and the error says what was not recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.errors import ConflictError, LedgerError, RefusedError
from kitty_flow.ledger import ledger as ledger_module
from kitty_flow.ledger.ledger import Batch, Draft, Ledger, Receipt
from kitty_flow.ledger.lock import exclusive
from kitty_flow.ledger.segment import decode_event, encode_event
from kitty_flow.ledger.view import LedgerView
from kitty_flow.model.event import Event

RunGit = Callable[..., str]
Record = Callable[..., Receipt]
Damage = Callable[[bytes], bytes]


def damage_store(ledger: Ledger, damage: Damage) -> None:
    """From now on the medium gives back something else than was written to it, where a segment is read back."""
    objects = ledger.store.objects
    read = objects.read

    def damaged(name: str) -> tuple[str, bytes] | None:
        found = read(name)
        return found if found is None or ":log/" not in name else (found[0], damage(found[1]))

    objects.read = damaged  # type: ignore[method-assign]


def on_last_event(change: Callable[[Event], Event]) -> Damage:
    """Damage that replaces the last line by another whole event."""

    def damage(content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        return b"".join((*lines[:-1], encode_event(change(decode_event(lines[-1], "x")))))

    return damage


def assert_not_recorded(repo: Path, git: RunGit, ledger: Ledger, error: LedgerError, tip: str) -> None:
    assert (error.code, error.exit_status) == ("STATUS_EVENT_PERSISTENCE_FAILED", 6)
    facts = error.details
    assert (facts["mission_slug"], facts["mission_id"]) == ("sample", ledger.mission_id)
    assert (facts["work_package_id"], facts["requested_lane"]) == ("WP01", "claimed")
    assert facts["path"] == ledger.ref
    assert facts["violated_invariant"].startswith("STA-00")
    assert facts["diagnostic_code"]
    assert facts["remediation"]
    assert "WP01 of sample did not become claimed" in error.message
    assert git(repo, "rev-parse", ledger.ref) == tip
    assert ledger.view().tip == tip
    assert [event.to_state for event in ledger.events()] == ["planned"]
    assert ledger.view().event_count == 1


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: b"".join(content.splitlines(keepends=True)[:-1]), id="the event is lost"),
        pytest.param(lambda content: b"", id="the segment is empty"),
        pytest.param(lambda content: content[:-20], id="the event is torn"),
        pytest.param(lambda content: content[:-1] + b"\xff\n", id="the event is no text"),
        pytest.param(lambda content: content + content.splitlines(keepends=True)[-1], id="the event comes twice"),
        pytest.param(lambda content: content.replace(b"planned", b"claimed", 1), id="an older line"),
        pytest.param(lambda content: content[content.index(b"\n") + 1 :], id="an older line is lost"),
        *(
            pytest.param(on_last_event(lambda event, c=change: event.model_copy(update=c)), id=next(iter(change)))
            for change in (
                {"to_state": "done"},
                {"event_id": "01J0000000000000000000000Z"},
                {"lamport": 7},
                {"actor": "eve"},
                {"evidence": {"digest": "forged"}},
                {"reason": ""},
                {"payload": {"x": 1}},
                {"surplus": "field"},
            )
        ),
    ],
)
def test_what_reads_back_differently_is_not_recorded(
    repo: Path, ledger: Ledger, record: Record, git: RunGit, damage: Damage
) -> None:
    tip = record(ledger, "WP01", None, "planned").commit
    damage_store(ledger, damage)
    with pytest.raises(LedgerError) as refused:
        record(ledger, "WP01", "planned", "claimed")
    assert_not_recorded(repo, git, ledger, refused.value, tip)
    assert refused.value.details["violated_invariant"] == "STA-002"
    assert refused.value.details["diagnostic_code"] == "READ_BACK_MISMATCH"


@pytest.mark.parametrize(
    "failure", [OSError(28, "No space left on device"), LedgerError("OBJECT_DAMAGED", "a bit fell")]
)
def test_a_read_back_that_fails(repo: Path, ledger: Ledger, record: Record, git: RunGit, failure: Exception) -> None:
    tip = record(ledger, "WP01", None, "planned").commit

    def fail(content: bytes) -> bytes:
        raise failure

    damage_store(ledger, fail)
    with pytest.raises(LedgerError) as refused:
        record(ledger, "WP01", "planned", "claimed")
    assert_not_recorded(repo, git, ledger, refused.value, tip)


def test_every_event_of_a_batch_is_compared_not_only_the_resulting_state(
    repo: Path, ledger: Ledger, record: Record, draft: Callable[..., Draft], git: RunGit
) -> None:
    tip = record(ledger, "WP01", None, "planned").commit
    damage_store(ledger, lambda content: content.replace(b"because", b"becauze"))
    with pytest.raises(LedgerError) as refused:
        ledger.record(lambda view: Batch([draft("WP01", "planned", "claimed", reason="because"), draft("WP01")]))
    assert_not_recorded(repo, git, ledger, refused.value, tip)
    assert refused.value.details["diagnostic_code"] == "READ_BACK_MISMATCH"


def test_the_command_works_again_when_the_cause_is_mended(ledger: Ledger, record: Record) -> None:
    record(ledger, "WP01", None, "planned")
    damage_store(ledger, lambda content: b"")
    with pytest.raises(LedgerError):
        record(ledger, "WP01", "planned", "claimed")
    ledger.close()
    assert record(ledger, "WP01", "planned", "claimed").view.event_count == 2
    assert [(event.to_state, event.lamport) for event in ledger.events()] == [("planned", 1), ("claimed", 2)]


def test_objects_that_cannot_be_written(repo: Path, ledger: Ledger, record: Record, git: RunGit) -> None:
    tip = record(ledger, "WP01", None, "planned").commit
    with no_new_objects(repo, git):
        with pytest.raises(LedgerError) as refused:
            record(ledger, "WP01", "planned", "claimed")
        assert_not_recorded(repo, git, ledger, refused.value, tip)
    assert record(ledger, "WP01", "planned", "claimed").view.lamport == 2


def test_what_is_refused_anyway_does_not_wait_for_the_lock(ledger: Ledger, record: Record) -> None:
    record(ledger, "WP01", None, "planned")
    path = ledger.repository.state_dir / "locks" / f"{ledger.mission_id}.lock"

    def refuse(view: LedgerView) -> Batch:
        raise RefusedError("NO", f"at {view.lamport}")

    with exclusive(path, timeout_s=0, what="the test"), pytest.raises(RefusedError, match="at 1"):
        ledger.record(refuse)


def test_not_even_the_first_event(repo: Path, ledger: Ledger, record: Record, git: RunGit) -> None:
    with no_new_objects(repo, git), pytest.raises(LedgerError) as refused:
        record(ledger, "WP01", None, "planned")
    assert refused.value.code == "STATUS_EVENT_PERSISTENCE_FAILED"
    assert git(repo, "for-each-ref", "refs/kitty") == ""
    assert ledger.view().tip is None


class no_new_objects:
    """Objects can be read, none can be written: a file stands where each folder of loose objects would be.

    Permissions would not do: tests may run as root.
    """

    def __init__(self, root: Path, git: RunGit) -> None:
        git(root, "repack", "-a", "-d", "-q")
        git(root, "prune-packed", "-q")
        self.places = [root / ".git/objects" / f"{number:02x}" for number in range(256)]

    def __enter__(self) -> None:
        for place in self.places:
            if place.is_dir():
                place.rename(place.with_name(f"away-{place.name}"))
            place.touch()

    def __exit__(self, *failure: object) -> None:
        for place in self.places:
            place.unlink()
            away = place.with_name(f"away-{place.name}")
            if away.is_dir():
                away.rename(place)


def test_a_ref_that_cannot_be_written_is_no_conflict(repo: Path, ledger: Ledger, record: Record, git: RunGit) -> None:
    path = repo / ".git" / ledger.ref
    path.parent.parent.mkdir(parents=True)
    path.parent.write_text("a file where the folder of the ref would be")
    with pytest.raises(LedgerError) as refused:
        record(ledger, "WP01", None, "planned")
    assert refused.value.code == "STATUS_EVENT_PERSISTENCE_FAILED"
    assert refused.value.details["diagnostic_code"] == "GIT_FAILED"


@pytest.mark.parametrize(
    "evidence", [{"x": float("nan")}, {"x": float("inf")}, {"x": object()}, {"x": "\ud800"}, {"x": "y" * 65_536}]
)
def test_what_is_no_strict_json_is_not_recorded(
    repo: Path, ledger: Ledger, record: Record, git: RunGit, evidence: dict[str, Any]
) -> None:
    tip = record(ledger, "WP01", None, "planned").commit
    with pytest.raises(LedgerError) as refused:
        record(ledger, "WP01", "planned", "claimed", evidence=evidence)
    assert_not_recorded(repo, git, ledger, refused.value, tip)
    assert refused.value.details["diagnostic_code"] in ("EVENT_INVALID", "EVENT_TOO_LARGE")


def test_one_bad_draft_takes_the_whole_batch_with_it(
    repo: Path, ledger: Ledger, record: Record, draft: Callable[..., Draft], git: RunGit
) -> None:
    tip = record(ledger, "WP01", None, "planned").commit
    good = draft("WP01", "planned", "claimed")
    bad = replace(draft("WP02", None, "planned"), evidence={"x": float("nan")})
    with pytest.raises(LedgerError) as refused:
        ledger.record(lambda view: Batch([good, bad]))
    assert_not_recorded(repo, git, ledger, refused.value, tip)


def test_a_newer_schema_is_refused_and_an_unknown_field_is_kept(
    repo: Path, ledger: Ledger, open_ledger: Any, record: Record, git: RunGit, forge: Any
) -> None:
    receipt = record(ledger, "WP01", None, "planned")
    data = json.loads(git(repo, "cat-file", "blob", f"{receipt.commit}:{receipt.paths[0]}"))
    forge(ledger, {receipt.paths[0]: json.dumps(data | {"mood": {"good": [1, 2]}}).encode() + b"\n"})
    other = open_ledger(repo)
    later = record(other, "WP01", "planned", "claimed")
    assert other.events()[0].model_dump()["mood"] == {"good": [1, 2]}
    lines = git(repo, "cat-file", "blob", f"{later.commit}:{later.paths[0]}").splitlines()
    assert [json.loads(line).get("mood") for line in lines] == [{"good": [1, 2]}, None]

    forge(ledger, {receipt.paths[0]: json.dumps(data | {"schema": "kitty-flow/event/2"}).encode() + b"\n"})
    for ask in (other.view, other.events, open_ledger(repo).view, lambda: record(other, "WP01", "claimed", "done")):
        with pytest.raises(LedgerError) as refused:
            ask()
        assert refused.value.code == "UNKNOWN_EVENT_SCHEMA"


def test_a_held_lock_is_waited_for_and_then_given_up(
    ledger: Ledger, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    tip = record(ledger, "WP01", None, "planned").commit
    path = ledger.repository.state_dir / "locks" / f"{ledger.mission_id}.lock"
    monkeypatch.setattr(ledger_module, "LOCK_TIMEOUT_S", 0.05)
    with exclusive(path, timeout_s=0, what="the test"), pytest.raises(ConflictError) as refused:
        record(ledger, "WP01", "planned", "claimed")
    assert (refused.value.code, refused.value.exit_status) == ("LOCK_TIMEOUT", 5)
    assert "the ledger of sample" in refused.value.message
    assert refused.value.details == {"lock": str(path)}
    assert ledger.view().tip == tip
    assert record(ledger, "WP01", "planned", "claimed").view.lamport == 2
