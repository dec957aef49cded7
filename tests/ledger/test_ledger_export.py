"""`kitty-flow ledger export`: the lines of the log as they are, in files that are always the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.errors import LedgerError, UsageError
from kitty_flow.flow.export import Export, export
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.error_log import append_errors, encode_entry
from kitty_flow.ledger.ledger import Ledger, new_ulid
from kitty_flow.ledger.segment import encode_event
from kitty_flow.model.error_entry import ErrorEntry

RunGit = Callable[..., str]
MISSION, OTHER = "01J0000000000000000000000A", "01J0000000000000000000000B"


@pytest.fixture
def begin(open_ledger: Callable[..., Ledger], record: Callable[..., Any]) -> Callable[..., Ledger]:
    """A ledger whose mission is created: ``begin(repo, MISSION, "shop")``."""

    def make(root: Path, mission_id: str, slug: str) -> Ledger:
        ledger = open_ledger(root, mission_id, slug)
        record(ledger, mission_id, None, "planned", entity_type="mission", machine="mission")
        return ledger

    return make


def _export(root: Path, folder: Path, name: str | None = None) -> Export:
    return export(Repository.discover(root), folder, name)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_line_as_it_is_in_the_ledgers_order(
    repo: Path, tmp_path: Path, begin: Any, record: Any, clock: Any
) -> None:
    ledger = begin(repo, MISSION, "shop")
    for day in range(3):
        clock.move(days=-1 if day else 1)
        record(ledger, notes=50)
    events = ledger.events()
    out = tmp_path / "deep" / "out"
    first = _export(repo, out)
    assert _contents(out) == {"shop-01J00000.jsonl": b"".join(encode_event(event) for event in events)}
    assert [(f.ref, f.lines, f.commit) for f in first.files] == [(ledger.ref, 151, ledger.view().tip)]
    assert (first.diagnostics, first.error) == ([], None)
    before = _contents(out)
    (out / "mine.txt").write_text("mine")
    _export(repo, out)
    assert _contents(out) == {**before, "mine.txt": b"mine"}


def test_both_sides_of_a_conflict_are_in_it_and_clones_export_the_same(
    repo: Path, tmp_path: Path, git: RunGit, begin: Any, record: Any, open_ledger: Any
) -> None:
    ledger = begin(repo, MISSION, "shop")
    record(ledger, "WP01", None, "planned")
    git(tmp_path, "clone", "-q", repo, "clone")
    git(tmp_path / "clone", "fetch", "-q", "origin", f"{ledger.ref}:{ledger.ref}")
    other = open_ledger(tmp_path / "clone", MISSION, "shop")
    one, two = (record(side, "WP01", "planned", "claimed").events[0] for side in (ledger, other))
    git(repo, "fetch", "-q", tmp_path / "clone", ledger.ref)
    ledger.receive(git(repo, "rev-parse", "FETCH_HEAD"))
    git(tmp_path / "clone", "fetch", "-q", "origin", f"+{ledger.ref}:{ledger.ref}")
    assert len(ledger.view().conflicts) == 1
    _export(repo, tmp_path / "one")
    _export(tmp_path / "clone", tmp_path / "two")
    assert _contents(tmp_path / "one") == _contents(tmp_path / "two")
    ids = [json.loads(line)["event_id"] for line in _contents(tmp_path / "one")["shop-01J00000.jsonl"].splitlines()]
    assert {one.event_id, two.event_id} <= set(ids)


@pytest.mark.parametrize("slug", ["../../evil", "/etc/passwd", "a/b", "..", "nul\x00byte", "-rf", "x" * 300, "CON:"])
def test_a_slug_of_somebody_else_never_becomes_a_path(repo: Path, tmp_path: Path, begin: Any, slug: str) -> None:
    begin(repo, MISSION, slug)
    before = sorted(path.name for path in tmp_path.iterdir())
    _export(repo, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mission-01J00000.jsonl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "out"])


def test_missions_of_one_name_get_files_of_their_own(repo: Path, tmp_path: Path, begin: Any) -> None:
    begin(repo, MISSION, "Shop")
    begin(repo, OTHER, "shop")
    _export(repo, tmp_path / "all")
    names = {f"Shop-{MISSION}.jsonl", f"shop-{OTHER}.jsonl"}
    assert _contents(tmp_path / "all").keys() == names
    _export(repo, tmp_path / "one", OTHER)
    assert _contents(tmp_path / "one").keys() == {f"shop-{OTHER}.jsonl"}
    with pytest.raises(UsageError) as ambiguous:
        _export(repo, tmp_path / "none", "01J0")
    assert ambiguous.value.code == "AMBIGUOUS_MISSION"
    with pytest.raises(UsageError) as missing:
        _export(repo, tmp_path / "none", "other")
    assert missing.value.code == "MISSION_NOT_FOUND"
    assert not (tmp_path / "none").exists()


def test_damaged_lines_are_left_out_and_named(
    repo: Path, tmp_path: Path, begin: Any, record: Any, damage: Callable[[Ledger, Callable[[bytes], bytes]], None]
) -> None:
    ledger = begin(repo, MISSION, "shop")
    record(ledger, notes=3)
    whole = b"".join(encode_event(event) for event in ledger.events())
    damage(ledger, lambda content: content[:-20])
    done = _export(repo, tmp_path / "out")
    (line,) = done.diagnostics
    assert ".jsonl:4 of refs/kitty/m/" in line.message
    assert _contents(tmp_path / "out")["shop-01J00000.jsonl"] == b"".join(whole.splitlines(keepends=True)[:-1])


def test_a_ledger_that_cannot_be_read_hides_no_other(repo: Path, tmp_path: Path, begin: Any, git: RunGit) -> None:
    begin(repo, MISSION, "shop")
    begin(repo, OTHER, "cafe")
    (repo / ".git" / "refs" / "kitty" / "m" / OTHER).write_text("garbage")
    git(repo, "update-ref", "refs/kitty/m/copy", f"refs/kitty/m/{MISSION}")
    done = _export(repo, tmp_path / "out")
    assert _contents(tmp_path / "out").keys() == {"shop-01J00000.jsonl"}
    assert done.error is not None and done.error.code == "EXPORT_INCOMPLETE"
    assert sorted(done.unreadable) == [f"refs/kitty/m/{OTHER}", "refs/kitty/m/copy"]


def test_a_newer_schema_is_refused(repo: Path, tmp_path: Path, begin: Any, damage: Any) -> None:
    damage(begin(repo, MISSION, "shop"), lambda content: content.replace(b"kitty-flow/event/1", b"kitty-flow/event/9"))
    done = _export(repo, tmp_path / "out")
    assert [type(error) for error in done.unreadable.values()] == [LedgerError]
    assert "kitty-flow/event/9" in str(done.error.details if done.error else "")


def test_the_error_log_is_exported_beside_them(repo: Path, tmp_path: Path, begin: Any) -> None:
    begin(repo, MISSION, "shop")
    at = datetime(2026, 3, 1, tzinfo=UTC)
    entries = [
        ErrorEntry(
            error_id=new_ulid(),
            error_type="GateFailure",
            entity_id=f"WP0{number}",
            attempted_operation="merge",
            reason="no",
            timestamp=at.isoformat(timespec="milliseconds"),
        )
        for number in range(3)
    ]
    append_errors(Repository.discover(repo), entries, at)
    done = _export(repo, tmp_path / "out")
    by_id = sorted(entries, key=lambda entry: entry.error_id)
    assert _contents(tmp_path / "out")["errors.jsonl"] == b"".join(encode_entry(entry) for entry in by_id)
    assert [file.path.name for file in done.files] == ["shop-01J00000.jsonl", "errors.jsonl"]


@pytest.mark.slow
def test_the_command(repo: Path, tmp_path: Path, begin: Any, kitty: Any) -> None:
    begin(repo, MISSION, "shop")
    outside = tmp_path / "outside.jsonl"
    outside.write_text("outside\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "shop-01J00000.jsonl").symlink_to(outside)
    done = kitty("ledger", "export", "../out", "shop", "--json", cwd=repo)
    assert (done.exit, done.json["schema"]) == (0, "kitty-flow/ledger-export/1")
    (file,) = done.json["data"]["files"]
    assert (file["ledger"], file["lines"], file["path"]) == (f"refs/kitty/m/{MISSION}", 1, "../out/shop-01J00000.jsonl")
    assert outside.read_text() == "outside\n"
    refused = kitty("ledger", "export", repo / "README.md" / "below", "--json", cwd=repo)
    assert (refused.exit, refused.json["error"]["code"]) == (7, "OUTPUT_NOT_WRITTEN")
