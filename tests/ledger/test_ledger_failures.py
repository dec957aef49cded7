"""Whatever fails while something is recorded, the log stays as it was and the error says what was not recorded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.errors import ConflictError, LedgerError
from kitty_flow.ledger import ledger as ledger_module
from kitty_flow.ledger.ledger import Batch, Draft, Ledger, Receipt
from kitty_flow.ledger.lock import exclusive
from kitty_flow.ledger.store import SegmentStore
from kitty_flow.model.event import Event

RunGit = Callable[..., str]
Record = Callable[..., Receipt]
Damage = Callable[[tuple[Event, ...]], Sequence[Event]]


class DamagingStore(SegmentStore):
    """A store whose medium gives back something else than was written to it."""

    damage: Damage

    def read_back(self, commit: str, paths: Sequence[str]) -> tuple[Event, ...]:
        return tuple(self.damage(super().read_back(commit, paths)))


def damage_store(ledger: Ledger, damage: Damage) -> None:
    store = DamagingStore(ledger.store.objects, ledger.repository.state_dir)
    store.damage = damage
    ledger._store = store


def assert_not_recorded(repo: Path, git: RunGit, ledger: Ledger, error: LedgerError, tip: str) -> None:
    assert (error.code, error.exit_status) == ("STATUS_EVENT_PERSISTENCE_FAILED", 6)
    facts = error.details
    assert (facts["mission_slug"], facts["mission_id"]) == ("sample", ledger.mission_id)
    assert (facts["work_package_id"], facts["requested_state"]) == ("WP01", "claimed")
    assert facts["path"] == ledger.ref
    assert facts["violated_invariant"].startswith("STA-00")
    assert facts["diagnostic_code"]
    assert facts["remediation"]
    assert "WP01 did not become claimed" in error.message
    assert git(repo, "rev-parse", ledger.ref) == tip
    assert ledger.view().tip == tip
    assert [event.to_state for event in ledger.view().events] == ["planned"]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda found: found[:-1], id="the event is lost"),
        pytest.param(lambda found: (), id="the segment is empty"),
        *(
            pytest.param(lambda found, c=change: (*found[:-1], found[-1].model_copy(update=c)), id=next(iter(change)))
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
    "failure", [OSError(28, "No space left on device"), LedgerError("EVENT_DAMAGED", "a bit fell")]
)
def test_a_read_back_that_fails(repo: Path, ledger: Ledger, record: Record, git: RunGit, failure: Exception) -> None:
    tip = record(ledger, "WP01", None, "planned").commit

    def fail(found: tuple[Event, ...]) -> Sequence[Event]:
        raise failure

    damage_store(ledger, fail)
    with pytest.raises(LedgerError) as refused:
        record(ledger, "WP01", "planned", "claimed")
    assert_not_recorded(repo, git, ledger, refused.value, tip)


def test_every_event_of_a_batch_is_compared_not_only_the_resulting_state(
    repo: Path, ledger: Ledger, record: Record, draft: Callable[..., Draft], git: RunGit
) -> None:
    tip = record(ledger, "WP01", None, "planned").commit
    damage_store(ledger, lambda found: [e.model_copy(update={"reason": "?"}) if e.lamport == 2 else e for e in found])
    with pytest.raises(LedgerError) as refused:
        ledger.record(lambda view: Batch([draft("WP01", "planned", "claimed"), draft("WP01")]))
    assert_not_recorded(repo, git, ledger, refused.value, tip)
    assert refused.value.details["diagnostic_code"] == "READ_BACK_MISMATCH"


def test_the_command_works_again_when_the_cause_is_mended(ledger: Ledger, record: Record) -> None:
    record(ledger, "WP01", None, "planned")
    damage_store(ledger, lambda found: ())
    with pytest.raises(LedgerError):
        record(ledger, "WP01", "planned", "claimed")
    ledger.close()
    view = record(ledger, "WP01", "planned", "claimed").view
    assert [(event.to_state, event.lamport) for event in view.events] == [("planned", 1), ("claimed", 2)]


def test_objects_that_cannot_be_written(repo: Path, ledger: Ledger, record: Record, git: RunGit) -> None:
    tip = record(ledger, "WP01", None, "planned").commit
    with no_new_objects(repo, git):
        with pytest.raises(LedgerError) as refused:
            record(ledger, "WP01", "planned", "claimed")
        assert_not_recorded(repo, git, ledger, refused.value, tip)
    assert record(ledger, "WP01", "planned", "claimed").view.lamport == 2


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


def test_a_damaged_ref_is_never_written_over(repo: Path, ledger: Ledger, record: Record) -> None:
    record(ledger, "WP01", None, "planned")
    path = repo / ".git" / ledger.ref
    path.write_text("damaged\n")
    ledger.close()
    with pytest.raises(LedgerError) as refused:
        record(ledger, "WP02", None, "planned")
    assert refused.value.code == "STATUS_EVENT_PERSISTENCE_FAILED"
    assert path.read_text() == "damaged\n"


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


def test_a_log_with_a_missing_object_is_not_read_as_an_empty_one(
    repo: Path, ledger: Ledger, record: Record, open_ledger: Any, git: RunGit
) -> None:
    receipt = record(ledger, "WP01", None, "planned")
    blob = git(repo, "rev-parse", f"{receipt.commit}:{receipt.paths[0]}")
    shutil.move(repo / ".git/objects" / blob[:2] / blob[2:], repo / "lost")
    other = open_ledger(repo)
    with pytest.raises(LedgerError) as refused:
        other.view()
    assert refused.value.code == "OBJECT_MISSING"
    assert refused.value.details == {"object": blob}
    with pytest.raises(LedgerError):
        record(other, "WP01", "planned", "claimed")
    assert git(repo, "rev-parse", ledger.ref) == receipt.commit


def test_a_damaged_line_is_named(repo: Path, ledger: Ledger, open_ledger: Any, record: Record, git: RunGit) -> None:
    record(ledger, "WP01", None, "planned")
    receipt = record(ledger, "WP01", "planned", "claimed")
    first, second = git(repo, "cat-file", "blob", f"{receipt.commit}:{receipt.paths[0]}").splitlines()
    forge(repo, git, ledger, receipt, f"{first}\n{second[:-10]}\n")
    with pytest.raises(LedgerError) as refused:
        open_ledger(repo).view()
    assert refused.value.code == "EVENT_DAMAGED"
    assert refused.value.details["where"] == f"{receipt.paths[0]}:2"


def test_a_newer_schema_is_refused_and_an_unknown_field_is_kept(
    repo: Path, ledger: Ledger, open_ledger: Any, record: Record, git: RunGit
) -> None:
    receipt = record(ledger, "WP01", None, "planned")
    data = json.loads(git(repo, "cat-file", "blob", f"{receipt.commit}:{receipt.paths[0]}"))
    forge(repo, git, ledger, receipt, json.dumps(data | {"mood": {"good": [1, 2]}}) + "\n")
    other = open_ledger(repo)
    later = record(other, "WP01", "planned", "claimed")
    assert later.view.events[0].model_dump()["mood"] == {"good": [1, 2]}
    lines = git(repo, "cat-file", "blob", f"{later.commit}:{later.paths[0]}").splitlines()
    assert [json.loads(line).get("mood") for line in lines] == [{"good": [1, 2]}, None]

    forge(repo, git, ledger, receipt, json.dumps(data | {"schema": "kitty-flow/event/2"}) + "\n")
    with pytest.raises(LedgerError) as refused:
        open_ledger(repo).view()
    assert refused.value.code == "UNKNOWN_EVENT_SCHEMA"


def forge(repo: Path, git: RunGit, ledger: Ledger, receipt: Receipt, content: str) -> None:
    """Put a ledger commit in place whose only segment has this content."""
    oid = git(repo, "hash-object", "-w", "--stdin", stdin=content.encode())
    for name in reversed(receipt.paths[0].split("/")):
        kind = "100644 blob" if name.endswith(".jsonl") else "040000 tree"
        oid = git(repo, "mktree", stdin=f"{kind} {oid}\t{name}\n".encode())
    commit = git(repo, "commit-tree", "-m", "forged", oid)
    git(repo, "update-ref", ledger.ref, commit)


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
