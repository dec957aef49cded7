"""The error log's own storage: segments, damage, and writers beside each other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ulid import ULID

from kitty_flow.errors import ConflictError, LedgerError
from kitty_flow.git.identity import OWN_IDENTITY, stamp
from kitty_flow.git.objects import CommitText, TreeEntry
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.error_log import ENTRY_BYTES, ERRORS_REF, append_errors, encode_entry, read_errors
from kitty_flow.model.error_entry import ErrorEntry

RunGit = Callable[..., str]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def entry(at: datetime = NOON, reason: str = "no") -> ErrorEntry:
    return ErrorEntry(
        error_id=str(ULID()),
        error_type="RefusedError",
        entity_id="WP01",
        attempted_operation="wp start",
        reason=reason,
        timestamp=at.isoformat(timespec="milliseconds"),
        context={"mission": "sample", "code": "NOPE"},
    )


def segments(repo: Path, git: RunGit) -> list[tuple[str, int]]:
    """(name, number of lines) of every segment, in order of names."""
    paths = git(repo, "ls-tree", "-r", "--name-only", ERRORS_REF).split()
    return [(path.rpartition("/")[2], len(git(repo, "show", f"{ERRORS_REF}:{path}").splitlines())) for path in paths]


def test_a_segment_rolls_when_it_is_full_and_at_a_new_day(repo: Path, git: RunGit) -> None:
    repository = Repository.discover(repo)
    entries = [entry() for _ in range(70)]
    append_errors(repository, entries[:60], NOON)
    append_errors(repository, entries[60:], NOON)
    tomorrow = NOON + timedelta(days=1)
    append_errors(repository, [entry(tomorrow)], tomorrow)
    assert segments(repo, git) == [
        ("2026-03-01-00001.jsonl", 64),
        ("2026-03-01-00002.jsonl", 6),
        ("2026-03-02-00003.jsonl", 1),
    ]
    found, warnings = read_errors(repository)
    assert list(found[:-1]) == entries
    assert warnings == ()
    assert git(repo, "rev-list", "--count", ERRORS_REF) == "3"


def test_an_entry_that_is_too_large_is_refused(repo: Path) -> None:
    with pytest.raises(LedgerError, match="bytes"):
        encode_entry(entry(reason="x" * ENTRY_BYTES))


def damage(repository: Repository, change: Callable[[bytes], bytes]) -> str:
    """Change the only segment's content and let the ref point there; returns the segment's path."""
    with repository.objects() as objects:
        tip = repository.refs.read(ERRORS_REF) or ""
        ((writer, own),) = objects.read_tree(objects.read_tree(tip)["log"].oid).items()
        ((folder, names),) = objects.read_tree(own.oid).items()
        ((name, blob),) = objects.read_tree(names.oid).items()
        changed = objects.write_blob(change(objects.read_blob(blob.oid)))
        tree = objects.write_tree({name: TreeEntry.blob(changed)})
        for level in (folder, writer, "log"):
            tree = objects.write_tree({level: TreeEntry.tree(tree)})
        ident = stamp(OWN_IDENTITY, NOON)
        repository.refs.swap(ERRORS_REF, objects.write_commit(CommitText(tree, (), ident, ident, "damage\n")), tip)
    return f"log/{writer}/{folder}/{name}"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: line[:-20],
        lambda line: line.replace(b'"NOPE"', b"NaN"),
        lambda line: line.replace(b'"code":"NOPE"', b'"code":"A","code":"NOPE"'),
        lambda line: line.replace(b'"WP01"', b"7"),
        lambda line: line.replace(b"+00:00", b"+01:00"),
        lambda line: b"\xff" + line,
        lambda line: b"[" * 100_000,
    ],
    ids=["cut", "not a number", "key given twice", "wrong type", "other clock", "not UTF-8", "nested without end"],
)
def test_a_damaged_line_is_named_and_left_out(repo: Path, spoil: Callable[[bytes], bytes]) -> None:
    repository = Repository.discover(repo)
    entries = [entry(), entry(), entry()]
    append_errors(repository, entries, NOON)

    def change(content: bytes) -> bytes:
        lines = content.splitlines()
        return b"\n".join([lines[0], spoil(lines[1]), lines[2], b""])

    path = damage(repository, change)
    found, warnings = read_errors(repository)
    assert found == (entries[0], entries[2])
    assert [(w.severity, w.diagnostic_code, w.details["where"]) for w in warnings] == [
        ("warning", "ERROR_ENTRY_DAMAGED", f"{path}:2")
    ]
    append_errors(repository, [entry()], NOON)
    assert len(read_errors(repository)[0]) == 3, "the log goes on"


def test_nothing_is_glued_to_a_torn_line(repo: Path, git: RunGit) -> None:
    repository = Repository.discover(repo)
    append_errors(repository, [entry(), entry()], NOON)
    damage(repository, lambda content: content[:-30])
    append_errors(repository, [entry()], NOON)
    found, warnings = read_errors(repository)
    assert (len(found), len(warnings)) == (2, 1)
    assert segments(repo, git) == [("2026-03-01-00001.jsonl", 3)]


def test_a_segment_that_is_gone_is_named_and_the_others_are_read(repo: Path, git: RunGit) -> None:
    repository = Repository.discover(repo)
    append_errors(repository, [entry()], NOON)
    tomorrow = NOON + timedelta(days=1)
    append_errors(repository, [entry(tomorrow)], tomorrow)
    path = git(repo, "ls-tree", "-r", "--name-only", ERRORS_REF).split()[0]
    oid = git(repo, "rev-parse", f"{ERRORS_REF}:{path}")
    (repo / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    found, warnings = read_errors(repository)
    assert [each.timestamp[:10] for each in found] == ["2026-03-02"]
    assert [each.details["where"] for each in warnings] == [path]


def test_writers_beside_each_other_lose_nothing_that_was_acknowledged(repo: Path, git: RunGit) -> None:
    def write(number: int) -> list[str]:
        kept = []
        while len(kept) < 5:
            made = entry(reason=f"{number}")
            try:
                append_errors(Repository.discover(repo), [made], NOON)
            except ConflictError:  # the lock was held for too long; a command would go on without the log
                continue
            kept.append(made.error_id)
        return kept

    with ThreadPoolExecutor(4) as pool:
        kept = [error_id for part in pool.map(write, range(4)) for error_id in part]
    found, warnings = read_errors(Repository.discover(repo))
    assert sorted(each.error_id for each in found) == sorted(kept)
    assert warnings == ()
    assert git(repo, "rev-list", "--count", ERRORS_REF) == "20"
