"""The union of ledger trees: commutative, associative, idempotent, and no line is ever lost."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kitty_flow.errors import LedgerError
from kitty_flow.git.objects import TreeEntry
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.union import TreeStore, union

RunGit = Callable[..., str]
Folder = dict[str, Any]
"""A tree as a test writes it: a name to another `Folder`, to the content of a file, or to a `TreeEntry`."""


class Memory:
    """A store without git that gives the same names."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.trees: dict[str, dict[str, TreeEntry]] = {}
        self.reads: list[str] = []

    def read_blob(self, oid: str) -> bytes:
        self.reads.append(oid)
        return self.blobs[oid]

    def write_blob(self, content: bytes) -> str:
        oid = _name("blob", content)
        self.blobs[oid] = content
        return oid

    def read_tree(self, oid: str) -> dict[str, TreeEntry]:
        self.reads.append(oid)
        return dict(self.trees[oid])

    def write_tree(self, entries: Mapping[str, TreeEntry]) -> str:
        names = sorted(entries, key=lambda name: f"{name}/" if entries[name].type == "tree" else name)
        rows = [(entries[name].mode.lstrip("0"), name, bytes.fromhex(entries[name].oid)) for name in names]
        oid = _name("tree", b"".join(f"{mode} {name}\0".encode() + raw for mode, name, raw in rows))
        self.trees[oid] = dict(entries)
        return oid


def _name(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content).hexdigest()


def write(store: TreeStore, folder: Folder) -> str:
    entries = {}
    for name, value in folder.items():
        if isinstance(value, dict):
            entries[name] = TreeEntry.tree(write(store, value))
        elif isinstance(value, bytes):
            entries[name] = TreeEntry.blob(store.write_blob(value))
        else:
            mode, content = value
            entries[name] = TreeEntry(mode, "blob", store.write_blob(content))
    return store.write_tree(entries)


def files(store: TreeStore, tree: str, prefix: str = "") -> dict[str, bytes]:
    """Content of all regular files, by path."""
    found: dict[str, bytes] = {}
    for name, entry in store.read_tree(tree).items():
        if entry.type == "tree":
            found |= files(store, entry.oid, f"{prefix}{name}/")
        elif entry.mode.startswith("100"):
            found[prefix + name] = store.read_blob(entry.oid)
    return found


def line(lamport: Any, writer: Any = "w1", event_id: Any = "E", **more: Any) -> bytes:
    return json.dumps({"event_id": event_id, "lamport": lamport, "writer": writer, **more}).encode() + b"\n"


EVENTS = [line(n, writer, f"E{n}") for n in (1, 2, 10) for writer in ("w1", "w2")] + [line(1, "w1", "E1", schema="new")]
GARBAGE = [
    *(b"\x00\n", b'{"lamport": 1\n', b"[]\n", b"{}\n", b"null\n", b"caf\xe9\n", b"a\rb\n", b"\n", b"[" * 5000 + b"\n"),
    *(line(True), line(1.5), line("1"), line(1, 2), line(1, "w1", None)),
]

FEW = [line(2), line(1), b"x\n", b"\n"]

segments = st.builds(
    lambda lines, cut: b"".join(lines)[: -1 if cut else None],
    st.lists(st.sampled_from(EVENTS + GARBAGE)),
    st.booleans(),
)
logs = st.dictionaries(
    st.sampled_from(["w1", "w2"]), st.dictionaries(st.sampled_from(["1.jsonl", "2.jsonl"]), segments)
)
oddities = st.one_of(
    st.tuples(st.sampled_from(["100644", "100755", "120000"]), st.sampled_from([b"1", *EVENTS[:2]])),
    st.dictionaries(st.sampled_from(["a.json", "b.jsonl"]), st.sampled_from([b"1", *EVENTS[:2]])),
)
folders = st.builds(
    lambda log, rest: {"log": log, **rest},
    logs,
    st.dictionaries(st.sampled_from(["x", "x.jsonl", "definition"]), oddities),
)


def check_laws(store: TreeStore, one: Folder, two: Folder, three: Folder) -> None:
    a, b, c = (write(store, folder) for folder in (one, two, three))
    ab = union(store, a, b)

    assert ab == union(store, b, a), "commutative"
    assert union(store, ab, c) == union(store, a, union(store, b, c)), "associative"
    assert [union(store, x, x) for x in (a, ab)] == [a, ab], "idempotent"
    assert union(store, ab, a) == union(store, b, ab) == ab, "what is contained adds nothing"

    def lines(tree: str) -> set[tuple[str, bytes]]:
        logs = {path: content for path, content in files(store, tree).items() if path.startswith("log/")}
        return {(path, part) for path, content in logs.items() for part in content.split(b"\n") if part}

    assert lines(ab) == lines(a) | lines(b), "nothing lost, nothing made up"


@settings(max_examples=300)
@given(st.data(), st.lists(st.sampled_from(FEW), max_size=4).map(b"".join))
def test_the_laws_for_one_segment_that_was_cut_or_went_on_differently(data: st.DataObject, base: bytes) -> None:
    ends = st.lists(st.sampled_from(FEW), max_size=2).map(b"".join)
    sides = [base[: data.draw(st.integers(0, len(base)))] + data.draw(ends) for _ in range(3)]
    one, two, three = ({"log": {"w1": {"1.jsonl": side}}} for side in sides)
    check_laws(Memory(), one, two, three)


@settings(max_examples=100)
@given(folders, folders, folders)
def test_the_laws_for_whole_trees(one: Folder, two: Folder, three: Folder) -> None:
    check_laws(Memory(), one, two, three)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(folders, folders, folders)
def test_the_laws_hold_in_real_git_and_the_names_are_the_same(
    repo: Path, one: Folder, two: Folder, three: Folder
) -> None:
    memory = Memory()
    with Repository.discover(repo).objects() as objects:
        check_laws(objects, one, two, three)
        names = [union(store, write(store, one), write(store, two)) for store in (objects, memory)]
    assert names[0] == names[1]


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.one_of(st.integers(0, 3), st.lists(st.sampled_from(EVENTS + GARBAGE)))),
        max_size=12,
    )
)
def test_four_clones_that_talk_in_any_order_end_alike(steps: list[tuple[int, Any]]) -> None:
    """RELIABILITY V1: a step is a clone that records lines, or one that hears of another clone."""
    store = Memory()
    clones = [write(store, {"log": {}})] * 4
    everything: set[bytes] = set()
    for clone, step in steps:
        if isinstance(step, int):
            clones[clone] = union(store, clones[clone], clones[step])
            continue
        # All clones write the same segment, as copies of one directory would.
        known = files(store, clones[clone]).get("log/w/1.jsonl", b"")
        clones[clone] = write(store, {"log": {"w": {"1.jsonl": known + b"".join(step)}}})
        everything.update(b"".join(step).split(b"\n"))
    ends = set()
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        end = clones[order[0]]
        for clone in order[1:]:
            end = union(store, clones[clone], end)
        ends.add(end)
    ends.add(union(store, union(store, clones[2], clones[0]), union(store, clones[3], clones[1])))
    assert len(ends) == 1
    found = files(store, ends.pop()).get("log/w/1.jsonl", b"")
    assert set(found.split(b"\n")) - {b""} == everything - {b""}


# What comes out, case by case


@pytest.fixture
def store() -> Memory:
    return Memory()


def united(store: Memory, one: Folder, two: Folder) -> dict[str, bytes]:
    return files(store, union(store, write(store, one), write(store, two)))


def test_of_two_ends_of_a_sound_segment_the_longer_stays_as_it_is(store: Memory) -> None:
    long = b"".join(line(n) for n in range(1, 30))
    short = b"".join(line(n) for n in range(1, 12))
    assert united(store, {"s.jsonl": short}, {"s.jsonl": long}) == {"s.jsonl": long}


def test_events_come_in_the_order_of_the_log_and_the_rest_after_them(store: Memory) -> None:
    ours = line(10) + b"broken\n" + line(2, "w2") + line(2, "w1", "B")
    theirs = b"another\n" + line(2, "w1", "A") + line(10) + b"torn, without an end"
    assert united(store, {"s.jsonl": ours}, {"s.jsonl": theirs})["s.jsonl"] == (
        line(2, "w1", "A") + line(2, "w1", "B") + line(2, "w2") + line(10) + b"another\nbroken\ntorn, without an end\n"
    )


def test_events_that_claim_the_same_place_have_an_order_too(store: Memory) -> None:
    twins = [line(1, actor=f"a{n}") for n in range(10)]
    ours, theirs = b"".join(twins[:4:-1]), b"".join(twins[:5])
    assert united(store, {"s.jsonl": ours}, {"s.jsonl": theirs})["s.jsonl"] == b"".join(twins)


def test_an_event_of_a_newer_schema_is_ordered_as_its_writer_would(store: Memory) -> None:
    newer = line(1, schema="kitty-flow/event/99", strange=[{}])
    assert united(store, {"s.jsonl": line(2) + b"\n"}, {"s.jsonl": newer})["s.jsonl"] == newer + line(2)


def test_what_one_side_alone_has_is_taken_at_any_depth(store: Memory) -> None:
    ours = {"log": {"w1": {"1.jsonl": line(1)}}, "definition": {"a.json": b"a"}}
    theirs = {"log": {"w2": {"deep": {"er": {"1.jsonl": line(2)}}}}, "definition": {"b.json": b"b"}, "new": {"c": b"c"}}
    assert united(store, ours, theirs) == {
        "log/w1/1.jsonl": line(1),
        "log/w2/deep/er/1.jsonl": line(2),
        "definition/a.json": b"a",
        "definition/b.json": b"b",
        "new/c": b"c",
    }


def test_a_log_is_not_hidden_by_something_of_another_kind(store: Memory) -> None:
    for other in (("120000", b"/etc/passwd"), ("100755", line(1))):
        for pair in ([{"s.jsonl": line(1)}, {"s.jsonl": other}], [{"s.jsonl": other}, {"s.jsonl": line(1)}]):
            assert united(store, *pair) == {"s.jsonl": line(1)}
    links = [write(store, {"s.jsonl": ("120000", target)}) for target in (b"a", b"b")]
    assert union(store, *links) in links
    assert united(store, {"log": b"file"}, {"log": {"s.jsonl": line(1)}}) == {"log/s.jsonl": line(1)}


def test_the_work_grows_with_the_difference_and_not_with_the_ledger(store: Memory) -> None:
    base = {f"w{n}": {f"{k:05d}.jsonl": line(n * 100 + k) for k in range(20)} for n in range(100)}
    more = {**base, "w7": {**base["w7"], "00019.jsonl": base["w7"]["00019.jsonl"] + line(9999, "w7")}}
    a, b = write(store, {"log": base}), write(store, {"log": more})
    store.reads.clear()
    assert union(store, a, b) == b
    assert len(store.reads) == 8, "three trees and one segment, on both sides"


def test_an_object_that_is_missing_is_named(repo: Path) -> None:
    with Repository.discover(repo).objects() as objects, pytest.raises(LedgerError) as refused:
        union(objects, write(objects, {}), "12" * 20)
    assert refused.value.code == "OBJECT_MISSING"
