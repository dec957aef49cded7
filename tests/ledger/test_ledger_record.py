"""The record protocol: append, read back, commit, and only then a receipt."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitty_flow import EVENT_SCHEMA
from kitty_flow.errors import ConflictError, LedgerError
from kitty_flow.git import stale_lock
from kitty_flow.git.refs import RefMover
from kitty_flow.ledger.ledger import Batch, Draft, Ledger, Receipt
from kitty_flow.ledger.store import SegmentStore
from kitty_flow.ledger.view import LedgerView

RunGit = Callable[..., str]
Record = Callable[..., Receipt]
MakeDraft = Callable[..., Draft]


def test_an_empty_ledger(ledger: Ledger) -> None:
    view = ledger.view()
    assert (view.tip, view.event_count, view.lamport, dict(view.entities)) == (None, 0, 0, {})
    assert ledger.events() == ()


def test_a_receipt_says_where_the_events_are(repo: Path, ledger: Ledger, record: Record, git: RunGit) -> None:
    receipt = record(ledger, "WP01", None, "planned", reason="because", evidence={"digest": "abc"}, epoch=1)

    assert receipt.ref == "refs/kitty/m/01J0000000000000000000000A"
    assert receipt.commit == git(repo, "rev-parse", receipt.ref)
    (path,) = receipt.paths
    assert re.fullmatch(r"log/w[0-9a-f]{12}/00000/2026-03-01-00001\.jsonl", path)
    (line,) = git(repo, "cat-file", "blob", f"{receipt.commit}:{path}").splitlines()
    (event,) = receipt.events
    assert json.loads(line) == event.model_dump(by_alias=True)
    assert json.loads(line) | {"event_id": "", "writer": ""} == {
        "event_id": "",
        "writer": "",
        "schema": EVENT_SCHEMA,
        "kind": "transition",
        "mission_id": "01J0000000000000000000000A",
        "mission_slug": "sample",
        "entity_type": "work_package",
        "entity_id": "WP01",
        "machine": "work_package",
        "machine_digest": "sha256:0",
        "trigger": "move",
        "from_state": None,
        "to_state": "planned",
        "parent": None,
        "lamport": 1,
        "at": "2026-03-01T12:00:00.000+00:00",
        "actor": "ann",
        "epoch": 1,
        "force": False,
        "reason": "because",
        "evidence": {"digest": "abc"},
        "causation_id": None,
        "correlation_id": None,
        "payload": {},
    }
    assert receipt.view == ledger.view()
    assert ledger.events() == receipt.events


def test_another_reader_sees_the_same(repo: Path, ledger: Ledger, record: Record, open_ledger: Any) -> None:
    record(ledger, "WP01", None, "planned")
    receipt = record(ledger, "WP01", "planned", "claimed", evidence={"actor": "ann"})
    other = open_ledger(repo)
    assert other.view() == receipt.view
    first, second = other.events()
    assert second.parent == first.event_id
    assert other.view().entity("work_package", "WP01").state == "claimed"


def test_nothing_is_visible_before_the_commit(
    repo: Path, ledger: Ledger, record: Record, open_ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of the steps, seen from another reader at each of them."""
    record(ledger, "WP01", None, "planned")
    steps: list[tuple[str, int]] = []
    other = open_ledger(repo)

    def watched(step: str, action: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            steps.append((f"before {step}", other.view().event_count))
            result = action(*args)
            steps.append((f"after {step}", other.view().event_count))
            return result

        return run

    monkeypatch.setattr(SegmentStore, "append", watched("append", SegmentStore.append))
    monkeypatch.setattr(SegmentStore, "read_back", watched("read back", SegmentStore.read_back))
    monkeypatch.setattr(RefMover, "swap", watched("commit", RefMover.swap))
    record(ledger, "WP01", "planned", "claimed")

    assert steps == [
        ("before append", 1),
        ("after append", 1),
        ("before read back", 1),
        ("after read back", 1),
        ("before commit", 1),
        ("after commit", 2),
    ]


def test_an_empty_batch_records_nothing(ledger: Ledger, record: Record) -> None:
    nothing = ledger.record(lambda view: Batch(()))
    assert (nothing.commit, nothing.events, nothing.paths) == ("", (), ())
    assert ledger.view().tip is None
    tip = record(ledger, "WP01", None, "planned").commit
    nothing = ledger.record(lambda view: Batch(()))
    assert (nothing.commit, nothing.events) == (tip, ())
    assert ledger.view().tip == tip


def test_a_batch_is_one_commit_whose_events_know_each_other(
    repo: Path, ledger: Ledger, draft: MakeDraft, git: RunGit
) -> None:
    drafts = [
        draft("WP01", None, "planned"),
        draft("WP01", "planned", "claimed", correlation_id="run-1"),
        draft("WP02", None, "planned"),
        draft("WP01", trigger="note", evidence={"seen": True}),
    ]
    first, second, third, fourth = ledger.record(lambda view: Batch(drafts)).events
    assert [e.lamport for e in (first, second, third, fourth)] == [1, 2, 3, 4]
    assert (second.parent, third.parent, fourth.parent) == (first.event_id, None, second.event_id)
    assert (first.causation_id, fourth.causation_id) == (None, third.event_id)
    assert second.correlation_id == "run-1"
    assert (fourth.kind, fourth.from_state, fourth.to_state) == ("annotation", "claimed", "claimed")
    assert git(repo, "rev-list", "--count", ledger.ref) == "1"


@pytest.mark.parametrize("wrong", [None, "in_progress"])
def test_a_draft_from_another_state_is_refused(ledger: Ledger, record: Record, wrong: str | None) -> None:
    tip = record(ledger, "WP01", None, "planned").commit
    with pytest.raises(ConflictError) as refused:
        record(ledger, "WP01", wrong, "claimed")
    assert (refused.value.code, refused.value.exit_status) == ("STATE_CHANGED", 5)
    assert "WP01 is planned" in refused.value.message
    assert ledger.view().tip == tip


def test_what_build_raises_passes_and_leaves_the_ledger(ledger: Ledger, record: Record) -> None:
    tip = record(ledger, "WP01", None, "planned").commit

    def build(view: LedgerView) -> Batch:
        raise LookupError("no")

    with pytest.raises(LookupError):
        ledger.record(build)
    assert ledger.view().tip == tip
    assert record(ledger, "WP01", "planned", "claimed").view.lamport == 2


def test_build_decides_again_when_the_ref_moved_in_between(
    repo: Path, tmp_path: Path, ledger: Ledger, draft: MakeDraft, git: RunGit, record: Record, open_ledger: Any
) -> None:
    """A fetch of another clone's ledger takes no lock of ours; only the compare-and-swap notices it."""
    record(ledger, "WP01", None, "planned")
    git(tmp_path, "clone", "-q", repo, "there")
    git(tmp_path / "there", "fetch", "-q", "origin", f"{ledger.ref}:{ledger.ref}")
    newer = record(open_ledger(tmp_path / "there"), "WP01", "planned", "claimed").commit
    seen: list[str] = []

    def build(view: LedgerView) -> Batch:
        state = view.entities["work_package", "WP01"].state
        if not seen:
            git(repo, "fetch", "-q", tmp_path / "there", f"{ledger.ref}:{ledger.ref}")
        seen.append(state)
        return Batch([draft("WP01", state, "in_progress")])

    receipt = ledger.record(build)
    assert seen == ["planned", "claimed"]
    assert [e.to_state for e in ledger.events()] == ["planned", "claimed", "in_progress"]
    assert (receipt.view.event_count, receipt.view.conflicts) == (3, ())
    assert git(repo, "rev-parse", f"{receipt.commit}^") == newer


def test_a_ref_that_another_git_process_keeps_locked_is_given_up(
    repo: Path, ledger: Ledger, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stale_lock, "_WAIT_S", 0.05)
    tip = record(ledger, "WP01", None, "planned").commit
    lock = repo / ".git" / f"{ledger.ref}.lock"
    lock.touch()
    with subprocess.Popen(["git", "fast-import", "--quiet"], cwd=repo, stdin=subprocess.PIPE) as alive:
        with pytest.raises(ConflictError) as refused:
            record(ledger, "WP01", "planned", "claimed")
        assert alive.stdin is not None
        alive.stdin.close()
    assert (refused.value.code, refused.value.exit_status) == ("LEDGER_BUSY", 5)
    assert "locked" in refused.value.details["reason"]
    lock.unlink()
    assert ledger.view().tip == tip
    assert record(ledger, "WP01", "planned", "claimed").view.event_count == 2


def test_attachments_travel_with_the_log(repo: Path, ledger: Ledger, draft: MakeDraft, open_ledger: Any) -> None:
    ledger.record(lambda view: Batch([draft("WP01", None, "planned")], {"definition/a.json": b"{}\n"}))
    ledger.record(lambda view: Batch([draft("WP01")], {"definition/b.json": b"\0\xff"}))
    other = open_ledger(repo)
    assert other.attachment("definition/a.json") == b"{}\n"
    assert other.attachment("definition/b.json") == b"\0\xff"
    for missing in ("definition/c.json", "definition", "log"):
        with pytest.raises(LedgerError) as refused:
            other.attachment(missing)
        assert refused.value.code == "ATTACHMENT_MISSING"


def test_an_attachment_of_an_empty_ledger_is_missing(ledger: Ledger) -> None:
    with pytest.raises(LedgerError) as refused:
        ledger.attachment("definition/a.json")
    assert refused.value.code == "ATTACHMENT_MISSING"


def test_the_log_reads_as_a_diary(repo: Path, ledger: Ledger, draft: MakeDraft, record: Record, git: RunGit) -> None:
    mission = draft(ledger.mission_id, None, "running", entity_type="mission", machine="mission")
    ledger.record(lambda view: Batch([mission, draft("WP01", None, "planned")]))
    record(ledger, "WP01", "planned", "done", force=True, actor="evil\n\nKitty-Mission: sample shipped")
    form = "%s|%(trailers:key=Kitty-Mission,valueonly,separator=;)|%(trailers:key=Kitty-Lamport,valueonly,separator=;)"
    assert git(repo, "log", f"--format={form}", ledger.ref).splitlines() == [
        "WP01 planned → done FORCED (evil??Kitty-Mission: sample shipped)|sample running|3",
        "sample new → running (ann) and 1 more|sample running|2",
    ]
    assert git(repo, "log", "-1", "--format=%an <%ae>", ledger.ref) == "kitty-flow <kitty-flow@localhost>"


def test_a_ledger_in_a_sha256_and_in_a_bare_repository(
    tmp_path: Path, open_ledger: Any, record: Record, git: RunGit
) -> None:
    git(tmp_path, "init", "-q", "--bare", "--object-format=sha256", "bare.git")
    ledger = open_ledger(tmp_path / "bare.git")
    record(ledger, "WP01", None, "planned")
    record(ledger, "WP01", "planned", "claimed")
    assert open_ledger(tmp_path / "bare.git").view().entities["work_package", "WP01"].state == "claimed"


def test_a_worktree_and_the_main_checkout_share_one_log(
    repo: Path, tmp_path: Path, open_ledger: Any, record: Record, git: RunGit
) -> None:
    git(repo, "worktree", "add", "-q", tmp_path / "linked")
    one, other = open_ledger(repo), open_ledger(tmp_path / "linked")
    record(one, "WP01", None, "planned")
    receipt = record(other, "WP01", "planned", "claimed")
    assert len({event.writer for event in other.events()}) == 1
    assert one.view() == receipt.view


def test_the_log_survives_cleaning_housekeeping_and_cloning(
    repo: Path, tmp_path: Path, ledger: Ledger, record: Record, open_ledger: Any, git: RunGit
) -> None:
    for state in range(5):
        record(ledger, "WP01", str(state - 1) if state else None, str(state))
    view = ledger.view()
    ledger.close()
    git(repo, "clean", "-q", "-fdx")
    git(repo, "-c", "gc.pruneExpire=now", "gc", "-q")
    git(tmp_path, "clone", "-q", "--mirror", repo, "mirror.git")
    assert open_ledger(repo).view() == view
    assert open_ledger(tmp_path / "mirror.git").view() == view
    assert git(repo, "fsck", "--strict") == ""
    assert record(ledger, "WP01", "4", "5").view.lamport == 6, "a closed ledger starts anew"


def test_reading_needs_no_place_to_write(repo: Path, ledger: Ledger, record: Record, open_ledger: Any) -> None:
    view = record(ledger, "WP01", None, "planned").view
    ledger.close()
    state_dir = ledger.repository.state_dir
    state_dir.rename(repo / "moved-away")
    state_dir.write_text("no directory can be made here")
    other = open_ledger(repo)
    assert other.view() == view
    with pytest.raises(LedgerError) as refused:
        record(other, "WP01", "planned", "claimed")
    assert refused.value.code == "LOCK_UNAVAILABLE"


def test_a_lost_writer_id_comes_back_the_same(repo: Path, ledger: Ledger, record: Record, open_ledger: Any) -> None:
    first = record(ledger, "WP01", None, "planned").events[0]
    path = ledger.repository.state_dir / "writer"
    kept = path.read_bytes()
    for content in (None, b"", b"\xffdamaged", b"w0123", b"w000000000000", b"w000000000000 1\n"):
        path.unlink() if content is None else path.write_bytes(content)
        assert record(open_ledger(repo), "WP01").events[0].writer == first.writer
        assert path.read_bytes() == kept
    assert [event.lamport for event in open_ledger(repo).events()] == [1, 2, 3, 4, 5, 6, 7]


def test_an_id_once_given_is_kept_when_the_machine_is_renamed(
    repo: Path, ledger: Ledger, record: Record, open_ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = record(ledger, "WP01", None, "planned").events[0]
    monkeypatch.setattr("platform.node", lambda: "renamed")
    assert record(open_ledger(repo), "WP01").events[0].writer == first.writer
    (ledger.repository.state_dir / "writer").unlink()
    with_new = open_ledger(repo)
    assert record(with_new, "WP01").events[0].writer != first.writer, "a new writer is allowed at any time"
    assert [event.lamport for event in with_new.events()] == [1, 2, 3]


def test_a_copied_repository_is_another_writer(
    repo: Path, tmp_path: Path, ledger: Ledger, record: Record, open_ledger: Any, git: RunGit
) -> None:
    record(ledger, "WP01", None, "planned")
    shutil.copytree(repo, tmp_path / "copy")
    copy = open_ledger(tmp_path / "copy")
    here, there = record(ledger, "WP02", None, "planned"), record(copy, "WP03", None, "planned")
    assert here.paths != there.paths
    assert [len({event.writer for event in one.events()}) for one in (ledger, copy)] == [1, 2]
    assert git(tmp_path / "copy", "rev-parse", f"{there.commit}:{here.paths[0]}") == git(
        repo, "rev-parse", f"{here.commit}^:{here.paths[0]}"
    ), "the copy left the segment of the original alone"
