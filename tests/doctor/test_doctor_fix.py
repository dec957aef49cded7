"""`kitty-flow doctor ledger --fix`: what was acknowledged comes back, whatever happened to a ref or an index."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.effects import inject
from kitty_flow.flow.adoption import adopt
from kitty_flow.flow.doctor.examination import Examination, examine
from kitty_flow.flow.project import Project
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.ledger import Batch, Draft, Ledger

_MISSION = """\
[mission]
title = "shop"
target_branch = "trunk"

[[work_package]]
id = "WP01"
title = "First"
owned_files = ["WP01.txt"]
"""


class Place:
    """A repository with the ledger of one mission, and what may happen to it."""

    def __init__(self, ward: Any) -> None:
        self.root: Path = ward.root
        self.git: Callable[..., str] = ward.git
        source = self.root.parent / "shop.toml"
        source.write_text(_MISSION)
        self.mission_id = adopt(Project.discover(self.root), source).mission_id
        self.ref = f"refs/kitty/m/{self.mission_id}"
        self.file = self.root / ".git" / self.ref
        self.index = self.root / ".git" / "kitty-flow" / "index" / f"{self.mission_id}.sqlite3"
        for number in range(3):
            self.note(f"note {number}")

    def note(self, reason: str) -> None:
        """Record one more event."""
        with self.ledger() as ledger:
            draft = Draft("work_package", "WP01", "work_package", "0", "note", "ann", reason=reason)
            ledger.record(lambda view: Batch([draft]))

    def ledger(self) -> Ledger:
        return Ledger(Repository.discover(self.root), self.mission_id, "shop")

    def notes(self) -> list[str]:
        """The reasons of all notes, read from the log alone."""
        with self.ledger() as ledger:
            return [event.reason or "" for event in ledger.events() if event.trigger == "note"]

    @property
    def tip(self) -> str:
        return self.git("rev-parse", self.ref)

    def doctor(self, *, fix: bool = False) -> Examination:
        return examine("ledger", self.root, fix=fix)

    def change_index(self, statement: str) -> None:
        with sqlite3.connect(self.index) as connection:
            connection.execute(statement)
        connection.close()


@pytest.fixture
def place(ward: Any) -> Iterator[Place]:
    yield Place(ward)
    inject(None)


NOTES = ["note 0", "note 1", "note 2"]


def _moved_back(place: Place) -> None:
    place.git("update-ref", place.ref, f"{place.ref}~2")


def _deleted(place: Place) -> None:
    place.git("update-ref", "-d", place.ref)


def _written(content: str) -> Callable[[Place], None]:
    return lambda place: (place.file.write_text(content), None)[1]


def _packed_and_torn(place: Place) -> None:
    """git reads the older value in packed-refs as soon as the file is gone."""
    tip = place.tip
    place.git("update-ref", place.ref, f"{tip}~1")
    place.git("pack-refs", "--all")
    place.git("update-ref", place.ref, tip)
    place.file.write_text(tip[:20])


def _folder_of_refs_deleted(place: Place) -> None:
    shutil.rmtree(place.root / ".git" / "refs" / "kitty")


@pytest.mark.parametrize(
    "harm",
    [
        _moved_back,
        _deleted,
        _written(""),
        _written("garbage\n"),
        _written("ref: refs/heads/nowhere\n"),
        _written("\0" * 41),
        _written("1" * 40 + "\n"),
        _packed_and_torn,
        _folder_of_refs_deleted,
    ],
)
def test_a_ref_that_lost_what_was_acknowledged(place: Place, harm: Callable[[Place], None]) -> None:
    before = place.tip
    harm(place)
    found = place.doctor()
    (problem,) = found.problems
    assert problem.as_data()["fixable"] is True
    assert problem.remedy == "kitty-flow doctor ledger --fix"
    after = place.doctor(fix=True)
    assert (after.problems, after.error) == ((), None)
    assert [t.done is not None for t in after.treatments or ()] == [True]
    assert place.tip == before
    again = place.doctor(fix=True)
    assert (again.treatments, again.problems) == ((), ())
    place.note("note 3")
    assert place.notes() == [*NOTES, "note 3"]


def test_a_ref_that_was_moved_aside_keeps_both_sides(place: Place) -> None:
    kept = place.index.read_bytes()
    _moved_back(place)
    place.index.unlink()
    place.note("other")
    place.index.write_bytes(kept)
    with place.ledger() as ledger:
        assert ledger.view().rewound_from is not None
    assert [f.status for f in place.doctor().problems] == ["problem"]
    assert place.doctor(fix=True).problems == ()
    assert sorted(place.notes()) == [*NOTES, "other"]
    place.note("note 3")


@pytest.mark.parametrize("whole", [False, True])
def test_damaged_packed_refs_are_the_users_and_stay(place: Place, whole: bool) -> None:
    place.git("pack-refs", "--all")
    packed = place.root / ".git" / "packed-refs"
    torn = b"\xff" * 200 if whole else packed.read_bytes().replace(place.tip.encode(), b"garbage")
    packed.write_bytes(torn)
    done = place.doctor(fix=True)
    (problem,) = done.problems
    assert (done.treatments, problem.mend) == ((), None)
    assert "packed-refs" in problem.message
    assert "packed-refs" in problem.remedy
    assert packed.read_bytes() == torn


def test_a_sound_ledger_from_a_clone_is_kept_as_it_is(place: Place, ward: Any) -> None:
    """The remedy for a damaged line is a ledger from elsewhere; uniting both would bring the damage back."""
    sound = place.tip
    ward.rewrite(place.mission_id, "log/", lambda content: content + b'{"torn')
    with place.ledger() as ledger:
        assert len(ledger.view().damage) == 1
    place.git("update-ref", place.ref, sound)
    after = place.doctor(fix=True)
    assert after.problems == ()
    assert place.tip == sound
    with place.ledger() as ledger:
        assert (ledger.view().damage, ledger.view().rewound_from) == ((), None)
    place.note("note 3")


def test_what_is_not_here_any_more_is_not_mended_and_nothing_is_touched(place: Place, ward: Any) -> None:
    _deleted(place)
    place.git("reflog", "expire", "--expire=now", "--all")
    place.git("prune", "--expire=now")
    shutil.rmtree(place.root / ".git" / "kitty-flow" / "fresh")  # kitty-flow would put back what it wrote lately
    (problem,) = place.doctor().problems
    assert not problem.as_data()["fixable"]
    index = place.index.read_bytes()
    done = ward.kitty("doctor", "ledger", "--fix", "--json", cwd=place.root)
    assert done.exit == 4
    assert done.json["data"]["treatments"] == []
    assert "could not be mended" in done.json["error"]["message"]
    assert place.index.read_bytes() == index
    ward.obey(problem.remedy.rpartition("to go on without it: ")[2])
    assert place.doctor().problems == ()


def _index_deleted(place: Place) -> None:
    place.index.unlink()


def _index_garbage(place: Place) -> None:
    place.index.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)


def _index_torn(place: Place) -> None:
    place.index.write_bytes(place.index.read_bytes()[:-5000])


def _index_row_damaged(place: Place) -> None:
    place.change_index("UPDATE entity SET text = replace(text, 'planned', 'done')")


def _index_states_wrong(place: Place) -> None:
    place.change_index("DELETE FROM entity WHERE id = 'WP01'")


def _index_events_wrong(place: Place) -> None:
    place.change_index("UPDATE event SET actor = 'eve'")


def _index_clock_wrong(place: Place) -> None:
    place.change_index("UPDATE meta SET value = '1' WHERE key = 'lamport'")


def _index_behind(place: Place) -> None:
    kept = place.index.read_bytes()
    place.note("note 3")
    place.index.write_bytes(kept)


@pytest.mark.parametrize(
    ("harm", "status"),
    [
        (_index_deleted, "warning"),
        (_index_garbage, "warning"),
        (_index_torn, "warning"),
        (_index_row_damaged, "warning"),
        (_index_behind, "warning"),
        (_index_states_wrong, "warning"),
        (_index_clock_wrong, "warning"),
        (_index_events_wrong, "problem"),
    ],
)
def test_an_index_that_is_not_right_is_made_anew(place: Place, harm: Callable[[Place], None], status: str) -> None:
    harm(place)
    (found,) = (f for f in place.doctor().findings if f.mend is not None)
    assert found.status == status
    with place.ledger() as ledger:
        events = ledger.events()
    harm_undone = place.doctor(fix=True)
    assert {f.status for f in harm_undone.findings} <= {"ok", "warning"}
    assert not any(f.mend for f in harm_undone.findings)
    with place.ledger() as ledger:
        assert ledger.events() == events
        view = ledger.index.load()
        assert view is not None and (view.tip, view.event_count) == (place.tip, len(events))


def test_a_damaged_index_and_a_ref_that_was_moved_back_are_both_mended(place: Place) -> None:
    before = place.tip
    _moved_back(place)
    place.change_index("UPDATE entity SET text = replace(text, 'planned', 'done')")
    assert place.doctor(fix=True).problems == ()
    assert place.tip == before
    assert not any(f.mend for f in place.doctor().findings)


@pytest.mark.parametrize("harm", [_written("garbage"), _moved_back, _index_events_wrong])
def test_a_fix_that_fails_is_done_by_the_next_one(place: Place, tmp_path: Path, harm: Callable[[Place], None]) -> None:
    """Every effect that a fix has fails once; commands of git that only ask are not counted among them."""
    before, trace = place.tip, tmp_path / "trace"
    harm(place)
    inject(None, str(trace))
    place.doctor(fix=True)
    inject(None)
    effects = {line.split()[1] for line in trace.read_text().splitlines() if " git." not in line}
    assert effects & {"ref.commit", "index.rebuild"}
    for effect in sorted(effects):
        harm(place)
        inject(f"{effect}:EIO")
        place.doctor(fix=True)
        inject(None)
        assert place.doctor(fix=True).problems == (), effect
        assert not any(f.mend for f in place.doctor().findings), effect
        assert (place.tip, place.notes()) == (before, NOTES), effect


def test_what_a_killed_command_left_behind_is_removed_and_nothing_else(place: Place) -> None:
    state = place.root / ".git" / "kitty-flow"
    ours = [f"index/{place.mission_id}.new", f"index/{place.mission_id}.new-journal", "writer.17.0a1b2c3d",
            "index/.x.sqlite3.17.0a1b2c3d"]  # fmt: skip
    others = ["writer", "writer.txt", "mine.new", f"index/{place.mission_id}.old", ".hidden", "../mine.17.0a1b2c3d"]
    for name in [*ours, *others]:
        path = state / name
        if not path.exists():
            path.write_text("x")
        os.utime(path, (0, 0))
    young = state / "writer.18.0a1b2c3d"
    young.write_text("x")
    assert len([f for f in place.doctor().findings if f.mend is not None]) == len(ours)
    after = place.doctor(fix=True)
    assert not any(f.mend for f in after.findings)
    assert not [name for name in ours if (state / name).exists()]
    assert [name for name in others if not (state / name).exists()] == []
    assert young.exists()


def test_looking_writes_nothing_whatever_the_index_is_like(place: Place) -> None:
    with place.ledger() as ledger:
        ledger.view()
        waiting = place.index.with_name(f"{place.index.name}-wal")
        place.note("note 3")
        kept = waiting.read_bytes() if waiting.exists() else b""
    for harm in (_index_garbage, _index_states_wrong, _index_behind, _index_deleted, _moved_back):
        whole = place.index.read_bytes()
        harm(place)
        before = _all(place.root)
        place.doctor()
        examine("conflicts", place.root)
        examine("worktrees", place.root)
        assert _all(place.root) == before, harm
        place.index.write_bytes(whole)
    assert kept or not waiting.exists()


def _all(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    }


@pytest.mark.slow
def test_the_command_says_what_it_did(place: Place, ward: Any) -> None:
    place.file.write_text("garbage")
    found = ward.kitty("doctor", "ledger", "--json", cwd=place.root)
    assert found.exit == 4
    assert "treatments" not in found.json["data"]
    assert [f["fixable"] for f in found.json["data"]["findings"] if f["status"] == "problem"] == [True]
    done = ward.kitty("doctor", "--fix", cwd=place.root)
    assert done.exit == 0, done.stderr
    assert "\nmended:\n" in done.stdout
    assert "its damaged file was kept as " in done.stdout
    assert ward.kitty("doctor", "ledger", "--fix", cwd=place.root).stdout.count("there was nothing to mend") == 1
    refused = ward.kitty("doctor", "--fix", "ledger", "--json", cwd=place.root)
    assert (refused.exit, refused.json["error"]["hint"]) == (2, "kitty-flow doctor ledger --fix")
