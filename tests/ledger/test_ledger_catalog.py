"""Which missions there are, without reading their logs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.errors import LedgerError
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.catalog import UNREADABLE, CatalogEntry, catalog, refuse_unreadable
from kitty_flow.ledger.ledger import Receipt

RunGit = Callable[..., str]
Record = Callable[..., Receipt]
IDS = ["01J0000000000000000000000A", "01J0000000000000000000000B", "01K0000000000000000000000A"]


def test_no_missions(repo: Path) -> None:
    assert catalog(Repository.discover(repo)) == ()


def test_several_missions_in_their_latest_state(repo: Path, open_ledger: Any, record: Record) -> None:
    for mission_id, slug in zip(reversed(IDS), ("third", "second", "first"), strict=True):
        ledger = open_ledger(repo, mission_id, slug)
        record(ledger, mission_id, None, "planned", entity_type="mission")
        tip = record(ledger, mission_id, "planned", "running", entity_type="mission").commit
    record(ledger, "WP01", None, "planned")
    tip = record(ledger, "WP01", "planned", "claimed").commit

    found = catalog(Repository.discover(repo))

    assert [(entry.mission_id, entry.slug, entry.state) for entry in found] == [
        (IDS[0], "first", "running"),
        (IDS[1], "second", "running"),
        (IDS[2], "third", "running"),
    ]
    assert found[0].tip == tip


def test_a_ledger_that_cannot_be_read_hides_no_other(repo: Path, open_ledger: Any, record: Record) -> None:
    for mission_id, slug in zip(IDS, ("first", "second", "third"), strict=True):
        record(open_ledger(repo, mission_id, slug), mission_id, None, "planned", entity_type="mission")
    (repo / ".git/refs/kitty/m" / IDS[1]).write_text("12" * 20 + "\n")
    found = catalog(Repository.discover(repo))
    assert [(entry.slug, entry.state) for entry in found] == [
        ("first", "planned"),
        (IDS[1], UNREADABLE),
        ("third", "planned"),
    ]
    refuse_unreadable(found[::2])
    with pytest.raises(LedgerError) as refused:
        refuse_unreadable(found)
    assert refused.value.details == {"refs": [f"refs/kitty/m/{IDS[1]}"]}


@pytest.mark.parametrize(
    ("state", "is_open"),
    [
        ("planned", True),
        ("paused", True),
        ("accepted", True),
        ("merged", False),
        ("shipped", False),
        ("aborted", False),
    ],
)
def test_open_missions(repo: Path, open_ledger: Any, record: Record, state: str, is_open: bool) -> None:
    ledger = open_ledger(repo)
    tip = record(ledger, ledger.mission_id, None, state, entity_type="mission").commit
    (entry,) = catalog(Repository.discover(repo))
    assert entry == CatalogEntry(ledger.mission_id, "sample", state, tip)
    assert entry.is_open == is_open


def test_a_log_stays_listed_through_a_large_batch_and_packed_refs(
    repo: Path, open_ledger: Any, record: Record, git: RunGit
) -> None:
    ledger = open_ledger(repo)
    record(ledger, ledger.mission_id, None, "running", entity_type="mission")
    record(ledger, notes=130)
    git(repo, "pack-refs", "--all", "--prune")
    assert [entry.state for entry in catalog(Repository.discover(repo))] == ["running"]


def test_foreign_commits_among_the_refs_are_left_out(repo: Path, open_ledger: Any, record: Record, git: RunGit) -> None:
    git(repo, "update-ref", f"refs/kitty/m/{IDS[1]}", "HEAD")
    git(repo, "update-ref", "refs/kitty/mine", "HEAD")
    ledger = open_ledger(repo, IDS[0])
    record(ledger, ledger.mission_id, None, "running", entity_type="mission")
    assert [entry.mission_id for entry in catalog(Repository.discover(repo))] == [IDS[0]]
