"""Two tips of one ledger: which contains which, one commit for the same two tips, and clones that end alike."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.errors import LedgerError
from kitty_flow.git.history import History
from kitty_flow.git.objects import CommitText
from kitty_flow.git.refs import ABSENT
from kitty_flow.git.remote import Update, open_remote
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.catalog import catalog
from kitty_flow.ledger.exchange import relation, write_union
from kitty_flow.ledger.ledger import Ledger, Receipt, mission_ref
from kitty_flow.ledger.union import union

RunGit = Callable[..., str]
OpenLedger = Callable[..., Ledger]
Record = Callable[..., Receipt]

MISSION = "01J0000000000000000000000A"
REF = mission_ref(MISSION)
TRAILERS = ("Kitty-Mission: sample running",)


@pytest.fixture
def clones(tmp_path: Path, repo: Path, git: RunGit) -> list[Path]:
    """Three clones of one bare repository, without a ledger."""
    git(tmp_path, "clone", "-q", "--bare", repo, "host.git")
    for name in "abc":
        git(tmp_path, "clone", "-q", "host.git", name)
    return [tmp_path / name for name in "abc"]


def sync(root: Path) -> str:
    """As little as an exchange can be; says what it did."""
    repository = Repository.discover(root)
    remote = open_remote(repository, "origin", start=root)
    theirs = remote.fetch(remote.refs(REF)).get(REF)
    ours = repository.refs.read(REF)
    found = relation(History(repository.git), ours, theirs)
    tip = theirs if found == "behind" else ours
    if found == "diverged":
        assert ours and theirs
        with repository.objects() as objects:
            tip = write_union(objects, union(objects, ours, theirs), (ours, theirs), TRAILERS)
    assert tip
    if tip != ours:
        repository.refs.swap(REF, tip, ours or ABSENT)
    if tip != theirs:
        (pushed,) = remote.push([Update(REF, tip, theirs or ABSENT)])
        assert pushed.outcome == "pushed"
        assert remote.unconfirmed({REF: tip}) == {}
    return found


def test_each_relation_of_two_tips(clones: list[Path], open_ledger: OpenLedger, record: Record) -> None:
    a, b, _ = clones
    history = History(Repository.discover(a).git)
    assert relation(history, None, None) == "equal"
    first = record(open_ledger(a), notes=2).commit
    assert relation(history, first, first) == "equal"
    assert (relation(history, None, first), relation(history, first, None)) == ("behind", "ahead")
    assert sync(a) == "ahead"
    assert sync(b) == "behind"
    record(open_ledger(a), notes=1)
    record(open_ledger(b), notes=1)
    assert [sync(a), sync(b), sync(a), sync(b)] == ["ahead", "diverged", "behind", "equal"]


@pytest.mark.slow
def test_three_clones_that_sync_at_random_end_at_the_same_tip(
    clones: list[Path], open_ledger: OpenLedger, record: Record, git: RunGit
) -> None:
    """RELIABILITY V2 and V4."""
    chance = random.Random(7)
    ledgers = [open_ledger(root) for root in clones]
    recorded: dict[str, set[str]] = {}
    for _ in range(14):
        clone = chance.randrange(3)
        if chance.random() < 0.5:
            seen = {event.event_id for event in ledgers[clone].view().events}
            receipt = record(ledgers[clone], notes=chance.randrange(1, 40))
            recorded |= {event.event_id: seen for event in receipt.events}
        elif ledgers[clone].view().events:
            sync(clones[clone])
    for clone in (0, 1, 2, 0, 1):
        sync(clones[clone])

    assert len({git(root, "rev-parse", REF, f"{REF}^{{tree}}") for root in clones}) == 1
    events = ledgers[0].view().events
    assert {event.event_id for event in events} == recorded.keys()
    assert len(events) == len(recorded)
    place = {event.event_id: number for number, event in enumerate(events)}
    assert all(place[before] < place[event] for event, seen in recorded.items() for before in seen)
    assert all(sync(root) == "equal" for root in clones)
    git(clones[0], "fsck", "--strict")


def test_both_sides_make_the_same_commit_and_the_catalog_reads_it(
    clones: list[Path], open_ledger: OpenLedger, record: Record, git: RunGit, clock: Any
) -> None:
    a, b, _ = clones
    record(open_ledger(a), notes=1)
    clock.move(days=-2)
    record(open_ledger(b), notes=1)
    tips = [git(root, "rev-parse", REF) for root in (a, b)]
    git(a, "fetch", "-q", b, REF)
    git(b, "fetch", "-q", a, REF)

    made = []
    for root, (ours, theirs) in ((a, tips), (b, tips[::-1])):
        with Repository.discover(root).objects() as objects:
            made.append(write_union(objects, union(objects, ours, theirs), (ours, theirs), TRAILERS))

    assert made[0] == made[1]
    assert git(a, "log", "-1", "--format=%P|%an <%ae>|%cn|%at %ct|%s", made[0]) == (
        f"{' '.join(sorted(tips))}|kitty-flow <kitty-flow@localhost>|kitty-flow|1772366400 1772366400|"
        f"sync: {min(tips)[:12]} and {max(tips)[:12]} united"
    )
    git(a, "update-ref", REF, made[0])
    assert [(entry.slug, entry.state) for entry in catalog(Repository.discover(a))] == [("sample", "running")]
    assert len(open_ledger(a).view().events) == 2
    assert record(open_ledger(a), notes=1).events[0].lamport == 2


@pytest.mark.parametrize(
    ("ident", "moment"), [("A <a@b> 5 -0330", "5"), ("A <a@b> 9999999999999 +0000", "0"), ("A <a@b> 7 +0000\nx y", "7")]
)
def test_the_time_of_a_foreign_commit(repo: Path, git: RunGit, ident: str, moment: str) -> None:
    with Repository.discover(repo).objects() as objects:
        tree = objects.write_tree({})
        text = "not in the header:\ncommitter A <a@b> 99 +0000\n"
        tips = [objects.write_commit(CommitText(tree, (), "A <a@b> 1 +0000", ident, text + end)) for end in "12"]
        made = write_union(objects, tree, (tips[0], tips[1]), ())
    assert git(repo, "log", "-1", "--format=%ct %cd", "--date=format:%z", made) == f"{moment} +0000"


def test_a_commit_that_is_missing_is_named(repo: Path, git: RunGit) -> None:
    with Repository.discover(repo).objects() as objects, pytest.raises(LedgerError) as refused:
        write_union(objects, objects.write_tree({}), ("12" * 20, git(repo, "rev-parse", "HEAD")), ())
    assert (refused.value.code, refused.value.details["object"]) == ("OBJECT_MISSING", "12" * 20)
