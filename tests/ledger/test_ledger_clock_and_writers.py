"""The order of the log comes from its own clock, in one clone and between two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.git.objects import CommitText, ObjectStore, TreeEntry
from kitty_flow.ledger.fold import fold
from kitty_flow.ledger.ledger import Ledger, Receipt

RunGit = Callable[..., str]
Record = Callable[..., Receipt]
IDENT = "Ann Writer <ann@example.invalid> 1700000000 +0000"


def test_the_wall_clock_may_jump_as_it_likes(repo: Path, ledger: Ledger, record: Record, clock: Any) -> None:
    state = None
    for step, jump in enumerate((0, -3600, 86_400 * 400, -86_400 * 900, 1)):
        clock.move(seconds=jump)
        record(ledger, "WP01", state, str(step))
        state = str(step)
    events = ledger.events()
    assert [event.lamport for event in events] == [1, 2, 3, 4, 5]
    assert [event.to_state for event in events] == ["0", "1", "2", "3", "4"]
    assert [event.at for event in events] != sorted(event.at for event in events)
    assert ledger.view().entities["work_package", "WP01"].state == "4"


@pytest.fixture
def clones(repo: Path, tmp_path: Path, git: RunGit, open_ledger: Any, record: Record) -> tuple[Ledger, Ledger]:
    """Two clones that share the first event and then each record on their own."""
    here = open_ledger(repo)
    record(here, "WP01", None, "planned")
    git(tmp_path, "clone", "-q", repo, "there")
    there = open_ledger(tmp_path / "there")
    git(tmp_path / "there", "fetch", "-q", "origin", f"{there.ref}:{there.ref}")
    record(here, "WP01", "planned", "claimed")
    record(here, "WP02", None, "planned")
    record(there, "WP01", "planned", "blocked")
    record(there, "WP03", None, "planned")
    record(there, "WP03", "planned", "claimed")
    return here, there


def fetch(into: Ledger, source: Ledger, git: RunGit) -> str:
    """Fetch the other clone's log by hand; returns its commit."""
    git(into.repository.root, "fetch", "-q", source.repository.root, f"{source.ref}:refs/kitty/theirs")
    return git(into.repository.root, "rev-parse", "refs/kitty/theirs")


def bring_together(here: Ledger, there: Ledger, git: RunGit) -> None:
    """Move the log of `here` to a commit that unites both."""
    theirs = fetch(here, there, git)
    with here.repository.objects() as objects:
        union = unite(objects, str(here.view().tip), theirs)
    here.repository.refs.swap(here.ref, union, str(here.view().tip))


def test_two_clones_are_two_writers_in_separate_segments(clones: tuple[Ledger, Ledger], git: RunGit) -> None:
    here, there = clones
    assert here.store.writer != there.store.writer
    assert git(there.repository.root, "ls-tree", "--name-only", f"{there.ref}:log").split() == sorted(
        [here.store.writer, there.store.writer]
    )


def test_both_fold_to_the_same_state(clones: tuple[Ledger, Ledger], git: RunGit) -> None:
    here, there = clones
    folded = []
    for one, other in ((here, there), (there, here)):
        theirs = [found.event for found in one.projection.located(fetch(one, other, git))[0]]
        folded.append(fold((*one.events(), *theirs)))
    assert folded[0] == folded[1]
    assert list(folded[0].entities) == list(folded[1].entities)
    assert (folded[0].event_count, folded[0].lamport) == (6, 4)
    (claimed,) = (event for event in here.events() if event.to_state == "claimed")
    (blocked,) = (event for event in there.events() if event.to_state == "blocked")
    winner, loser = sorted((claimed, blocked), key=lambda event: event.event_id, reverse=True)
    assert folded[0].entities["work_package", "WP01"].state == winner.to_state, "the larger event id counts"
    (conflict,) = folded[0].conflicts
    assert (conflict.winner, conflict.loser) == (winner.event_id, loser.event_id)
    assert (conflict.loser_writer, conflict.superseded) == (loser.writer, (loser.event_id,))


def test_a_union_commit_is_read_alike_and_the_clock_goes_on(
    clones: tuple[Ledger, Ledger], git: RunGit, record: Record
) -> None:
    here, there = clones
    bring_together(here, there, git)
    git(there.repository.root, "fetch", "-q", here.repository.root, f"{here.ref}:{there.ref}")

    assert here.view() == there.view()
    assert here.events() == there.events()
    assert [event.order for event in here.events()] == sorted(event.order for event in here.events())
    assert [event.lamport for event in here.events()] == [1, 2, 2, 3, 3, 4]
    assert (here.view().event_count, len(here.view().conflicts), here.view().damage) == (6, 1, ())
    for ledger, expected in ((here, 5), (there, 5)):
        assert record(ledger, "WP09").events[0].lamport == expected
    assert there.view().event_count == len(there.events()) == 7


def test_the_loser_of_a_conflict_works_on_from_the_state_that_counts(
    clones: tuple[Ledger, Ledger], git: RunGit, record: Record
) -> None:
    here, there = clones
    bring_together(here, there, git)
    state = here.view().entities["work_package", "WP01"]
    (event,) = record(here, "WP01", state.state, "in_progress").events
    assert event.parent == state.last_event.event_id == here.view().conflicts[0].winner
    assert [here.view().entities["work_package", "WP01"].state, len(here.view().conflicts)] == ["in_progress", 1]


def unite(objects: ObjectStore, ours: str, theirs: str) -> str:
    """A commit with the segments of both; where both have a writer, the owner's newer side has more of them."""
    logs = [objects.read_tree(objects.read_tree(commit)["log"].oid) for commit in (theirs, ours)]
    writers = {writer for log in logs for writer in log}
    log = {
        writer: max((log[writer] for log in logs if writer in log), key=lambda entry: size(objects, entry))
        for writer in writers
    }
    root = objects.write_tree({"log": TreeEntry.tree(objects.write_tree(log))})
    return objects.write_commit(CommitText(root, (ours, theirs), IDENT, IDENT, "union\n"))


def size(objects: ObjectStore, entry: TreeEntry) -> int:
    """How many bytes of segments there are below a tree."""
    if entry.type == "blob":
        return len(objects.read_blob(entry.oid))
    return sum(size(objects, child) for child in objects.read_tree(entry.oid).values())
