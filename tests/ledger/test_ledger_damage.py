"""Damaged segments, objects and refs: what can be read is read, what is damaged is named, nothing is silently empty."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.errors import LedgerError
from kitty_flow.ledger.fold import fold
from kitty_flow.ledger.ledger import Ledger, Receipt
from kitty_flow.ledger.segment import EVENT_BYTES, decode_lines, encode_event
from kitty_flow.model.event import Event

RunGit = Callable[..., str]
Record = Callable[..., Receipt]
Open = Callable[..., Ledger]


@pytest.fixture
def three(ledger: Ledger, record: Record) -> Receipt:
    """A ledger whose one segment has three events, written so long ago that no kept copy mends what is missing."""
    record(ledger, "WP01", None, "planned")
    record(ledger, "WP01", "planned", "claimed", evidence={"branch": "kitty/wp01"})
    receipt = record(ledger, "WP01", "claimed", "done", reason="fertig: ü")
    ledger.close()
    shutil.rmtree(ledger.repository.state_dir / "fresh")
    return receipt


def without_index(ledger: Ledger) -> None:
    ledger.close()
    shutil.rmtree(ledger.repository.state_dir / "index", ignore_errors=True)


# Segments (S1)


def segment(repo: Path, receipt: Receipt) -> bytes:
    done = subprocess.run(
        ["git", "cat-file", "blob", f"{receipt.commit}:{receipt.paths[0]}"], cwd=repo, capture_output=True, check=True
    )
    return done.stdout


def put_segments(repo: Path, ledger: Ledger, segments: list[bytes]) -> list[str]:
    """One more commit on the ledger, with these segments instead of its log, one writer each; gives their paths."""
    paths = [f"log/w{number:012x}/00000/2026-03-01-00001.jsonl" for number in range(len(segments))]
    script = bytearray(f"commit {ledger.ref}\ncommitter x <x@x> 1 +0000\ndata 0\nfrom {ledger.ref}^0\nD log\n".encode())
    for path, content in zip(paths, segments, strict=True):
        script += f"M 100644 inline {path}\ndata {len(content)}\n".encode() + content + b"\n"
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repo, input=bytes(script), check=True, timeout=60)
    return paths


def test_a_last_record_cut_at_any_byte_hides_no_other_and_is_named(repo: Path, three: Receipt, ledger: Ledger) -> None:
    content = segment(repo, three)
    begin = content.index(b"\n", content.index(b"\n") + 1) + 1
    events = decode_lines(content, "x")[0]
    cuts = range(begin, len(content))
    paths = put_segments(repo, ledger, [content[:cut] for cut in cuts])

    located, damage, _ = ledger.projection.located(str(ledger.repository.refs.read(ledger.ref)))
    found: dict[str, list[Event]] = {path: [] for path in paths}
    for event, path in located:
        found[path].append(event)
    named = {row.where: row.why for row in damage}
    for cut, path in zip(cuts, paths, strict=True):
        if cut == len(content) - 1:  # only the newline is lost
            assert found[path] == events
        else:
            assert found[path] == events[:2]
            # A cut between two lines cannot be seen in the lines: it gives another object name.
            assert (f"{path}:3" in named) == (cut != begin)
    assert len(named) == len(cuts) - 2
    assert ledger.view().damage == tuple(damage)
    assert ledger.view().event_count == 3, "each event is still whole in one of the segments"


def test_a_flipped_bit_in_the_last_record_is_named_or_changes_the_name_of_the_object(
    repo: Path, three: Receipt, ledger: Ledger
) -> None:
    content = segment(repo, three)
    begin = content.index(b"\n", content.index(b"\n") + 1) + 1
    events = decode_lines(content, "x")[0]
    flipped = [flip(content, bit) for bit in range(begin * 8, len(content) * 8)]
    readable, newer = [], 0
    for damaged in flipped:  # a flip in the name of the schema reads as a newer one
        try:
            decode_lines(damaged, "x")
            readable.append(damaged)
        except LedgerError as error:
            assert (error.code, error.message[:3]) == ("UNKNOWN_EVENT_SCHEMA", "x:3")
            newer += 1
    assert newer <= 8 * len('"schema":"kitty-flow/event/1"')
    readable = readable[::5]  # each one was read as lines; these also from a commit
    paths = put_segments(repo, ledger, readable)

    located, damage, segments = ledger.projection.located(str(ledger.repository.refs.read(ledger.ref)))
    found: dict[str, list[Event]] = {path: [] for path in paths}
    for event, path in located:
        found[path].append(event)
    named = {row.where.rpartition(":")[0] for row in damage}
    assert {row.where.rpartition(":")[2] for row in damage} <= {"3", "4"}, "a new newline makes two damaged lines"
    objects = [segments[path] for path in paths]
    assert len({*objects, ledger.store.objects.resolve(f"{three.commit}:{three.paths[0]}")}) == len(objects) + 1
    for path in paths:
        assert found[path][:2] == events[:2]
        assert (path in named) == (len(found[path]) == 2)
        assert found[path] != events


def flip(content: bytes, bit: int) -> bytes:
    data = bytearray(content)
    data[bit // 8] ^= 1 << bit % 8
    return bytes(data)


@pytest.mark.parametrize("line", [1, 2, 3])
@pytest.mark.parametrize("indexed", [True, False])
def test_a_damaged_line_anywhere_is_named_and_what_it_said_is_not_believed(
    repo: Path, three: Receipt, ledger: Ledger, open_ledger: Open, forge: Any, line: int, indexed: bool
) -> None:
    lines = segment(repo, three).splitlines(keepends=True)
    lines[line - 1] = lines[line - 1].replace(b'"kind"', b'"kind', 1)
    forge(ledger, {three.paths[0]: b"".join(lines)})
    if not indexed:
        without_index(ledger)
    other = open_ledger(repo)
    view = other.view()
    assert [row.where for row in view.damage] == [f"{three.paths[0]}:{line}"]
    assert view.damage[0].why
    assert (view.event_count, view.rewound_from) == (2, None)
    assert view.entities["work_package", "WP01"].state == ("claimed" if line == 3 else "done")
    assert len(other.events()) == 2
    assert open_ledger(repo).view() == view, "also by the index that was just made"


def test_the_next_record_after_a_torn_line_is_whole(
    repo: Path, three: Receipt, ledger: Ledger, open_ledger: Open, record: Record, forge: Any
) -> None:
    forge(ledger, {three.paths[0]: segment(repo, three)[:-30]})
    receipt = record(ledger, "WP01", "claimed", "blocked")
    assert receipt.paths == three.paths
    for one in (ledger, open_ledger(repo)):
        assert [event.to_state for event in one.events()] == ["planned", "claimed", "blocked"]
        assert one.view().entities["work_package", "WP01"].state == "blocked"
        assert [row.where for row in one.view().damage] == [f"{three.paths[0]}:3"]


# Large things (S6)


def test_a_line_of_10_megabytes_is_damage_and_the_log_goes_on(
    repo: Path, three: Receipt, ledger: Ledger, open_ledger: Open, record: Record, forge: Any
) -> None:
    lines = segment(repo, three).splitlines(keepends=True)
    large = lines[2].replace(b'"reason":"', b'"reason":"' + b"x" * 10_000_000)
    forge(ledger, {three.paths[0]: b"".join((*lines[:2], large, lines[2]))})
    view = ledger.view()
    (damage,) = view.damage
    assert damage.where == f"{three.paths[0]}:3"
    assert f"{EVENT_BYTES} is the limit" in damage.why
    assert view.event_count == 3
    assert record(ledger, "WP02", None, "planned").paths == three.paths
    assert open_ledger(repo).view() == ledger.view()
    assert ledger.view().damage == (damage,)


def test_an_event_over_64_kilobytes_is_refused_wherever_it_is_large(
    repo: Path, three: Receipt, ledger: Ledger, record: Record, git: RunGit
) -> None:
    large = "x" * EVENT_BYTES
    for fields in ({"reason": large}, {"actor": large}, {"evidence": {"a": large}}, {"payload": {"a": [large]}}):
        with pytest.raises(LedgerError) as refused:
            record(ledger, "WP01", "done", "large", **fields)
        assert refused.value.details["diagnostic_code"] == "EVENT_TOO_LARGE"
    assert git(repo, "rev-parse", ledger.ref) == three.commit


# Objects (S5)

OBJECTS = ["", "^{tree}", ":log", ":log/WRITER", ":log/WRITER/00000", ":PATH"]


def loose(repo: Path, oid: str) -> Path:
    path = repo / ".git/objects" / oid[:2] / oid[2:]
    path.chmod(0o644)
    return path


def in_the_middle(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(flip(content, len(content) * 4))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "flipped": in_the_middle,
    "text": lambda path: path.write_bytes(b"no object\n"),
}


def assert_refused(ask: Callable[[], object], *names: str) -> None:
    with pytest.raises(LedgerError) as refused:
        ask()
    said = f"{refused.value.message} {refused.value.details}"
    assert any(name in said for name in names), said
    assert refused.value.exit_status == 6


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_object_is_named_and_never_no_events(
    repo: Path, three: Receipt, ledger: Ledger, open_ledger: Open, record: Record, git: RunGit, damage: str
) -> None:
    for name in OBJECTS:
        name = name.replace("WRITER", three.events[0].writer).replace("PATH", three.paths[0])
        oid = git(repo, "rev-parse", f"{three.commit}{name}")
        path = loose(repo, oid)
        sound = path.read_bytes()
        for indexed in (True, False) if damage in ("missing", "flipped") else (False,):
            other = open_ledger(repo)
            DAMAGE[damage](path)
            if not indexed:
                without_index(other)
            if name == "" or not indexed:
                assert_refused(other.view, oid, ledger.ref)
            else:  # the index knows what was read before, and says no less
                assert (other.view().event_count, other.view().tip) == (3, three.commit)
            assert_refused(other.events, oid, ledger.ref)
            assert_refused(lambda other=other: record(other, "WP01", "done", "later"), oid, ledger.ref)
            assert (repo / ".git" / ledger.ref).read_text() == f"{three.commit}\n"
            path.write_bytes(sound)
            assert [event.to_state for event in other.events()] == ["planned", "claimed", "done"], "mended, it is read"


def test_a_bit_that_flips_anywhere_in_the_object_of_a_segment_is_seen(
    repo: Path, three: Receipt, ledger: Ledger, git: RunGit
) -> None:
    """zlib's own checksum covers every byte of the content; each flip is an error or changes nothing."""
    oid = git(repo, "rev-parse", f"{three.commit}:{three.paths[0]}")
    path = loose(repo, oid)
    sound, content = path.read_bytes(), segment(repo, three)
    chance = random.Random(2)
    bits = [*range(16), *range(len(sound) * 8 - 32, len(sound) * 8, 5), *chance.sample(range(len(sound) * 8), 40)]
    seen = 0
    for bit in bits:
        path.write_bytes(flip(sound, bit))
        try:
            assert ledger.store.objects.read_blob(oid) == content
        except LedgerError as error:
            assert error.code in ("OBJECT_DAMAGED", "OBJECT_MISSING")
            assert error.details == {"object": oid}
            seen += 1
    assert seen > len(bits) * 3 // 4


@pytest.mark.parametrize("damage", ["half", "zeroed", "empty", "no index"])
def test_a_damaged_pack_is_an_error_and_never_no_events(
    repo: Path, three: Receipt, ledger: Ledger, open_ledger: Open, record: Record, git: RunGit, damage: str
) -> None:
    without_index(ledger)
    git(repo, "repack", "-adq")
    git(repo, "prune-packed")
    (pack,) = (repo / ".git/objects/pack").glob("*.pack")
    pack.chmod(0o644)
    if damage == "no index":
        pack.with_suffix(".idx").unlink()
    else:
        DAMAGE[damage](pack)
    other = open_ledger(repo)
    for ask in (other.view, other.events, lambda: record(other, "WP01", "done", "later")):
        assert_refused(ask, three.commit, ledger.ref)


# Refs (S5)

REFS = {
    "empty": b"",
    "garbage": b"\xff\xfegarbage\n",
    "NUL": bytes(41),
    "zeros": b"0" * 40 + b"\n",
    "half": b"0123456789abcdef",
    "missing commit": b"1234567890" * 4 + b"\n",
    "to nowhere": b"ref: refs/heads/nowhere\n",
    "to itself": b"ref: REF\n",
    "a blob": b"BLOB\n",
}


@pytest.mark.parametrize("indexed", [True, False])
def test_a_damaged_ref_is_named_and_never_written_over(
    repo: Path, three: Receipt, ledger: Ledger, record: Record, git: RunGit, indexed: bool
) -> None:
    blob = git(repo, "rev-parse", f"{three.commit}:{three.paths[0]}").encode()
    path = repo / ".git" / ledger.ref
    for content in REFS.values():
        damaged = content.replace(b"BLOB", blob).replace(b"REF", ledger.ref.encode())
        path.write_bytes(damaged)
        if not indexed:
            without_index(ledger)
        ledger.close()
        for ask in (ledger.view, ledger.events, lambda: record(ledger, "WP01", "done", "later")):
            assert_refused(ask, ledger.ref)
        assert path.read_bytes() == damaged
        path.write_text(f"{three.commit}\n")
        assert ledger.view().event_count == 3


def test_damaged_packed_refs_are_an_error(
    repo: Path, three: Receipt, ledger: Ledger, record: Record, git: RunGit
) -> None:
    git(repo, "pack-refs", "--all", "--prune")
    path = repo / ".git/packed-refs"
    sound = path.read_bytes()
    for damage in (b"no commit", b"1234567890" * 4, b"", b"x" * 40):
        without_index(ledger)
        path.write_bytes(sound.replace(three.commit.encode(), damage))
        for ask in (ledger.view, ledger.events, lambda: record(ledger, "WP01", "done", "later")):
            assert_refused(ask, ledger.ref)
        assert path.read_bytes() == sound.replace(three.commit.encode(), damage)
        path.write_bytes(sound)
        ledger.close()  # git looks at this file again only when its time of change, in seconds, is another one
        assert ledger.view().event_count == 3


@pytest.mark.parametrize("moved", ["back", "aside", "away"])
def test_a_ref_behind_what_was_acknowledged_is_noticed_and_nothing_is_recorded_there(
    repo: Path, three: Receipt, ledger: Ledger, open_ledger: Open, record: Record, git: RunGit, moved: str
) -> None:
    first = git(repo, "rev-list", "--max-parents=0", three.commit)
    if moved == "aside":
        tree = f"{first}^{{tree}}"
        git(repo, "update-ref", ledger.ref, git(repo, "commit-tree", "-m", "another life", "-p", first, tree))
    elif moved == "back":
        git(repo, "update-ref", ledger.ref, first)
    else:
        git(repo, "update-ref", "-d", ledger.ref)
    at = git(repo, "for-each-ref", "--format=%(objectname)", ledger.ref)
    for other in (ledger, open_ledger(repo), open_ledger(repo)):
        view = other.view()
        assert (view.rewound_from, view.tip or "") == (three.commit, at)
        assert view.event_count == len(other.events()) == (0 if moved == "away" else 1), "reading answers"
        with pytest.raises(LedgerError) as refused:
            record(other, "WP02", None, "planned")
        assert refused.value.code == "LEDGER_REWOUND"
        assert refused.value.details == {"ref": ledger.ref, "last_seen": three.commit, "tip": at or None}
        assert git(repo, "for-each-ref", "--format=%(objectname)", ledger.ref) == at

    git(repo, "update-ref", ledger.ref, three.commit)
    for other in (ledger, open_ledger(repo)):
        assert (other.view().rewound_from, other.view().event_count) == (None, 3)
    assert record(ledger, "WP02", None, "planned").view.event_count == 4


def test_a_view_with_damage_is_the_fold_of_what_can_be_read(
    repo: Path, three: Receipt, ledger: Ledger, record: Record, forge: Any
) -> None:
    """Reading on from a damaged log says the same as reading it whole."""
    lines = segment(repo, three).splitlines(keepends=True)
    forge(ledger, {three.paths[0]: lines[0] + b"damaged\n" + lines[2]})
    assert ledger.view().entities["work_package", "WP01"].state == "done"
    record(ledger, "WP01", "done", "again")
    record(ledger, "WP02", None, "planned")
    assert dict(ledger.view().entities) == fold(ledger.events()).entities
    assert ledger.view().damage[0].where == f"{three.paths[0]}:2"
    assert encode_event(ledger.events()[1]) == lines[2]
