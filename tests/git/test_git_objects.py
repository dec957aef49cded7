"""Objects go in and come out byte for byte, in repositories of either hash."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kitty_flow import effects
from kitty_flow.errors import LedgerError
from kitty_flow.git.objects import CommitText, ObjectStore, TreeEntry
from kitty_flow.git.repository import Repository

RunGit = Callable[..., str]
MakeRepo = Callable[..., Path]
IDENT = "Ann Writer <ann@example.invalid> 1700000000 +0100"
# What git refuses or treats specially in a tree is not ours to promise: slashes, NUL, dots, and .git in disguise.
NAMES = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..") and "git" not in name.lower()
)


@pytest.fixture(params=["sha1", "sha256"])
def root(request: pytest.FixtureRequest, make_repo: MakeRepo) -> Path:
    return make_repo("hashed", f"--object-format={request.param}")


@pytest.fixture
def store(root: Path) -> Iterator[ObjectStore]:
    with Repository.discover(root).objects() as objects:
        yield objects


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"a\r\nb\r\n", bytes(range(256)), b"x" * 3_000_000],
    ids=["empty", "newline", "crlf", "all bytes", "large"],
)
def test_a_blob_comes_back_as_it_went_in(store: ObjectStore, root: Path, git: RunGit, content: bytes) -> None:
    git(root, "config", "core.autocrlf", "true")
    (root / ".git/info").mkdir(exist_ok=True)
    (root / ".git/info/attributes").write_text("* text eol=crlf\n")
    oid = store.write_blob(content)
    assert store.read_blob(oid) == content
    assert store.read(oid) == ("blob", content)
    assert git(root, "hash-object", "--no-filters", "--stdin", stdin=content) == oid


def test_names_in_trees_may_be_anything(store: ObjectStore, root: Path, git: RunGit) -> None:
    blob = store.write_blob(b"content")
    entries = {name: TreeEntry.blob(blob) for name in ("a\nb", "tab\there", "Ünïcödé 🐈", '"quoted"', "-x", "sp ace")}
    entries["odd\udcff"] = TreeEntry("100755", "blob", blob)
    entries["folder"] = TreeEntry.tree(store.write_tree({"link": TreeEntry("120000", "blob", blob)}))
    oid = store.write_tree(entries)
    assert store.read_tree(oid) == entries
    assert set(git(root, "ls-tree", "-z", "--name-only", oid).split("\0")) - {""} == set(entries)
    assert store.read(f"{oid}:folder/link") == ("blob", b"content")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES, st.binary(max_size=64), max_size=6))
def test_any_tree_round_trips(store: ObjectStore, files: dict[str, bytes]) -> None:
    written = {name: TreeEntry.blob(store.write_blob(content)) for name, content in files.items()}
    read = store.read_tree(store.write_tree(written))
    assert {name: store.read_blob(entry.oid) for name, entry in read.items()} == files


def test_a_commit_says_what_was_meant(store: ObjectStore, root: Path, git: RunGit) -> None:
    parent = git(root, "rev-parse", "HEAD")
    tree = store.write_tree({})
    oid = store.write_commit(CommitText(tree, (parent,), IDENT, IDENT, "Subject ⟶ done\n\nBody\n"))
    assert git(root, "show", "-s", "--format=%T %P %an %ae %at %B", oid) == (
        f"{tree} {parent} Ann Writer ann@example.invalid 1700000000 Subject ⟶ done\n\nBody"
    )
    assert store.read_tree(oid) == {}
    assert git(root, "fsck", "--strict", "--no-dangling") == ""


def test_what_is_not_there(store: ObjectStore, root: Path) -> None:
    missing = "12" * (len(store.write_blob(b"")) // 2)
    assert store.read(missing) is None
    assert store.read("HEAD:no/such/path") is None
    assert store.read("") is None
    assert store.read("two words") is None
    for ask in (store.read_blob, store.read_tree):
        with pytest.raises(LedgerError) as refused:
            ask(missing)
        assert refused.value.code == "OBJECT_MISSING"
        assert refused.value.details == {"object": missing}


def test_a_tree_is_no_blob(store: ObjectStore) -> None:
    tree = store.write_tree({})
    with pytest.raises(LedgerError) as refused:
        store.read_blob(tree)
    assert refused.value.code == "OBJECT_MISSING"


def test_a_name_over_two_lines_cannot_ask_two_questions(store: ObjectStore) -> None:
    with pytest.raises(LedgerError) as refused:
        store.read("HEAD\nHEAD")
    assert refused.value.code == "OBJECT_NAME_INVALID"
    assert store.read("HEAD") is not None


def test_no_commit_names_what_was_not_written_before(store: ObjectStore, root: Path, git: RunGit) -> None:
    """A tree is not checked for missing entries: what is written is complete by order, objects before their names."""
    inner = store.write_tree({"y": TreeEntry.blob(store.write_blob(b"y"))})
    oid = store.write_commit(CommitText(store.write_tree({"x": TreeEntry.tree(inner)}), (), IDENT, IDENT, "m\n"))
    assert git(root, "rev-list", "--objects", "--missing=print", oid).count("?") == 0
    assert git(root, "fsck", "--strict", "--no-dangling") == ""


@pytest.mark.parametrize("damage", [b"", b"\0" * 40, b"garbage"], ids=["empty", "zeroed", "garbage"])
def test_a_damaged_file_in_the_place_of_an_object_is_written_anew(
    store: ObjectStore, root: Path, git: RunGit, damage: bytes
) -> None:
    """As a power cut leaves what git itself wrote without fsync; the next batch may write the same attachment."""
    oid = git(root, "hash-object", "-w", "--stdin", stdin=b"the same")
    path = root / ".git/objects" / oid[:2] / oid[2:]
    path.chmod(0o644)
    path.write_bytes(damage)
    assert store.write_blob(b"the same") == oid
    assert store.read_blob(oid) == b"the same"
    assert git(root, "fsck", "--strict", "--no-dangling") == ""


def test_a_damaged_object_is_reported_as_such(repo: Path) -> None:
    content = os.urandom(60_000)
    with Repository.discover(repo).objects() as store:
        oid = store.write_blob(content)
        assert store.read_blob(oid) == content
    path = repo / ".git/objects" / oid[:2] / oid[2:]
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    path.chmod(0o644)
    path.write_bytes(damaged)
    with Repository.discover(repo).objects() as store:
        with pytest.raises(LedgerError) as refused:
            store.read_blob(oid)
        assert refused.value.code == "OBJECT_DAMAGED"
        assert refused.value.details == {"object": oid}
        assert store.read("HEAD") is not None, "other objects can still be read"


def test_objects_of_other_processes_are_seen(repo: Path, git: RunGit) -> None:
    with Repository.discover(repo).objects() as store:
        assert store.read("HEAD") is not None
        loose = git(repo, "hash-object", "-w", "--stdin", stdin=b"later")
        assert store.read_blob(loose) == b"later"
        git(repo, "update-ref", "refs/keep", loose)
        git(repo, "repack", "-adq")
        git(repo, "prune-packed")
        assert store.read_blob(loose) == b"later"


def test_reading_and_writing_leave_nothing_but_objects(repo: Path) -> None:
    repository = Repository.discover(repo)
    before = set((repo / ".git").rglob("*"))
    with repository.objects() as store:
        store.read("HEAD")
        assert set((repo / ".git").rglob("*")) == before
        oid = store.write_blob(b"x")
        path = repo / ".git/objects" / oid[:2] / oid[2:]
        assert set((repo / ".git").rglob("*")) - before - {path.parent} == {path}
        assert path.stat().st_mode & 0o777 == 0o444
    store.close()
    assert store.read("HEAD") is not None, "a closed store starts anew"
    store.close()


@pytest.mark.parametrize("action", ["short", "ENOSPC", "EIO", "EROFS"])
def test_a_write_that_fails_at_any_step_leaves_nothing_that_git_would_read(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    def files() -> set[Path]:
        return {path for path in (repo / ".git").rglob("*") if path.is_file()}

    def fresh() -> bytes:
        """A content whose object has no folder yet."""
        contents = (b"%d" % number for number in range(10_000))
        names = ((c, hashlib.sha1(b"blob %d\0" % len(c) + c).hexdigest()) for c in contents)
        return next(c for c, name in names if not (repo / ".git/objects" / name[:2]).exists())

    monkeypatch.setattr(effects, "_plan", None)  # as it is for every process without a failpoint
    trace = tmp_path / "trace"
    with Repository.discover(repo).objects() as store:
        effects.inject(None, str(trace))
        store.write_blob(fresh())
        effects.inject(None)
        steps = [line.split()[1] for line in trace.read_text().splitlines() if not line.split()[1].startswith("git.")]
        assert steps == [
            "object.create", "object.folder", "object.create", "object.write", "object.sync", "object.publish",
        ]  # fmt: skip
        before = files()
        for number, step in enumerate(steps, 1):
            if action == "short" and step != "object.write":
                continue  # nothing is written there
            content = fresh()
            effects.inject(f"{number}:{action}")
            with pytest.raises(OSError):
                store.write_blob(content)
            effects.inject(None)
            assert files() == before
        oid = store.write_blob(b"after all")
        assert store.read_blob(oid) == b"after all"
