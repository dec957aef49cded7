"""`kitty-flow ledger verify`: what is sound is proved so, and whatever was taken away or changed is found."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.flow.doctor.soundness import Soundness, examine_ledger
from kitty_flow.flow.ledgers import KnownLedger
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.index_rows import Located
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.ledger.segment import Damage
from kitty_flow.ledger.view import Entities, LedgerView

RunGit = Callable[..., str]
MISSION = "01J0000000000000000000000A"
REF = f"refs/kitty/m/{MISSION}"


def _prove(root: Path) -> Soundness:
    return examine_ledger(Repository.discover(root), KnownLedger(REF, "sample"), history=True)


def _problems(root: Path) -> list[str]:
    return [finding.message for finding in _prove(root).problems]


@pytest.fixture
def small(ledger: Ledger, record: Callable[..., Any], clock: Any) -> Ledger:
    """A ledger of three commits and two segments."""
    record(ledger, MISSION, None, "planned", entity_type="mission", machine="mission")
    record(ledger, "WP01", None, "planned")
    clock.move(days=1)
    record(ledger, "WP01", "planned", "claimed")
    return ledger


def test_a_sound_ledger_is_counted_and_nothing_is_changed(repo: Path, small: Ledger, record: Any) -> None:
    record(small, notes=100)
    small.close()
    before = {path: path.lstat().st_mtime_ns for path in repo.rglob("*")}
    sound = _prove(repo)
    assert sound.problems == []
    assert sound.counts == {"events": 103, "segments": 3, "writers": 1, "conflicts": 0, "commits": 4}
    assert {path: path.lstat().st_mtime_ns for path in repo.rglob("*")} == before


def test_a_conflict_between_clones_is_no_fault(
    repo: Path, tmp_path: Path, git: RunGit, small: Ledger, open_ledger: Any, record: Any
) -> None:
    git(tmp_path, "clone", "-q", repo, "clone")
    git(tmp_path / "clone", "fetch", "-q", "origin", f"{REF}:{REF}")
    for root, state in ((repo, "done"), (tmp_path / "clone", "blocked")):
        record(open_ledger(root), "WP01", "claimed", state)
    git(repo, "fetch", "-q", tmp_path / "clone", REF)
    open_ledger(repo).receive(git(repo, "rev-parse", "FETCH_HEAD"))
    sound = _prove(repo)
    assert sound.problems == []
    assert sound.counts == {"events": 5, "segments": 3, "writers": 2, "conflicts": 1, "commits": 6}


def test_every_object_that_is_taken_away_is_missed(repo: Path, git: RunGit, small: Ledger) -> None:
    small.close()
    objects = git(repo, "rev-list", "--objects", REF).splitlines()
    assert len(objects) > 12
    for name in (line.split()[0] for line in objects):
        path = repo / ".git" / "objects" / name[:2] / name[2:]
        aside = path.with_name("aside")
        path.rename(aside)
        assert _problems(repo), name
        aside.rename(path)
    assert _problems(repo) == []


def test_every_object_of_the_tip_is_what_its_name_says(repo: Path, git: RunGit, small: Ledger) -> None:
    small.close()
    listed = git(repo, "ls-tree", "-r", "-t", "--format=%(objectname)", REF).splitlines()
    for name in {*listed, git(repo, "rev-parse", f"{REF}^{{tree}}")}:
        path = repo / ".git" / "objects" / name[:2] / name[2:]
        whole = path.read_bytes()
        content = zlib.decompress(whole)
        path.chmod(0o644)
        # A digit of a segment's line, or of an object's name in a tree: still something that git reads.
        path.write_bytes(zlib.compress(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]))
        assert _problems(repo), name
        path.write_bytes(whole)
    assert _problems(repo) == []


def test_a_line_that_a_later_commit_dropped_is_missed(repo: Path, git: RunGit, small: Ledger, damage: Any) -> None:
    lost = json.loads(git(repo, "show", f"{REF}^:{_first(git, repo)}").splitlines()[-1])["event_id"]
    damage(small, lambda content: b"".join(content.splitlines(keepends=True)[:-1]))
    small.index.remove()
    (message,) = [m for m in _problems(repo) if "not in it any more" in m]
    assert message.startswith("1 event(s) that were recorded")
    assert message.endswith(lost)


def test_a_damaged_line_is_named(repo: Path, small: Ledger, damage: Any) -> None:
    damage(small, lambda content: content.replace(b'"kind"', b'"kind', 1))
    assert any(".jsonl:1 is damaged" in message for message in _problems(repo))


def test_a_replaced_object_does_not_deceive(repo: Path, git: RunGit, small: Ledger) -> None:
    blob = git(repo, "rev-parse", f"{REF}:{_first(git, repo)}")
    git(repo, "replace", blob, git(repo, "hash-object", "-w", "--stdin", stdin=b"{}\n"))
    assert _problems(repo) == []


def test_a_commit_graph_does_not_hide_a_missing_commit(repo: Path, git: RunGit, small: Ledger) -> None:
    git(repo, "update-ref", "refs/heads/seen", REF)
    git(repo, "commit-graph", "write", "--reachable")
    name = git(repo, "rev-parse", f"{REF}~1")
    (repo / ".git" / "objects" / name[:2] / name[2:]).unlink()
    assert any("not whole" in message for message in _problems(repo))


Whole = tuple[LedgerView, list[Located], dict[str, str]]


@pytest.mark.parametrize(
    ("change", "about"),
    [
        (lambda view, events, paths: (replace(view, lamport=7), events, paths), "clock"),
        (lambda view, events, paths: (replace(view, event_count=7), events, paths), "number of events"),
        (lambda view, events, paths: (replace(view, damage=(Damage("log/x:1", "y"),)), events, paths), "damaged lines"),
        (lambda view, events, paths: (replace(view, entities=_without(view, "WP01")), events, paths), "states"),
        (lambda view, events, paths: (view, events[:-1], paths), "places of events"),
        (lambda view, events, paths: (view, events, dict.fromkeys(paths, "1" * 40)), "segments"),
    ],
)
def test_an_index_that_is_sound_and_says_something_else_is_a_problem(
    repo: Path, small: Ledger, change: Callable[..., Whole], about: str
) -> None:
    view = small.view()
    events, _, paths = small.projection.located(str(view.tip))
    small.index.rebuild(*change(view, events, paths))
    small.close()
    (message,) = _problems(repo)
    assert message == f"its index disagrees with the log about the {about}"


def _without(view: LedgerView, entity_id: str) -> Entities:
    return Entities({key: state for key, state in view.entities.items() if key[1] != entity_id})


def test_a_damaged_index_is_no_fault_of_the_ledger(repo: Path, small: Ledger) -> None:
    small.close()
    with sqlite3.connect(small.index.path) as connection:
        connection.execute("UPDATE meta SET value = '7' WHERE key = 'lamport'")
    connection.close()
    sound = _prove(repo)
    assert sound.problems == []
    assert [f.status for f in sound.findings if "its index is damaged" in f.message] == ["warning"]


def test_what_was_acknowledged_and_is_not_contained_is_missed(repo: Path, git: RunGit, small: Ledger) -> None:
    git(repo, "update-ref", REF, f"{REF}~1")
    (message,) = _problems(repo)
    assert "was moved back or aside" in message
    assert str(small.index.tip())[:12] in message


@pytest.mark.slow
def test_the_command(repo: Path, small: Ledger, kitty: Any, damage: Any, git: RunGit) -> None:
    small.close()
    done = kitty("ledger", "verify", "sample", "--json", cwd=repo)
    assert (done.exit, done.json["schema"], done.json["data"]["sound"]) == (0, "kitty-flow/ledger-verify/1", True)
    (proved,) = done.json["data"]["ledgers"]
    assert proved["mission"] == {"id": MISSION, "slug": "sample"}
    assert proved["counts"] == {"events": 3, "segments": 2, "writers": 1, "conflicts": 0, "commits": 3}
    damage(small, lambda content: content[:-20])
    small.close()
    before = git(repo, "for-each-ref")
    failed = kitty("ledger", "verify", cwd=repo)
    assert failed.exit == 6
    assert failed.stdout.startswith("sample: NOT SOUND (events ")
    assert "is damaged" in failed.stderr
    error = kitty("ledger", "verify", MISSION, "--json", cwd=repo).json["error"]
    assert error["code"] == "LEDGER_NOT_SOUND"
    assert {problem["where"] for problem in error["details"]["problems"]} == {"sample"}
    assert git(repo, "for-each-ref") == before


def _first(git: RunGit, root: Path) -> str:
    return git(root, "ls-tree", "-r", "--name-only", REF, "log/").splitlines()[0]
