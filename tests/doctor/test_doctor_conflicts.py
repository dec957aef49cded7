"""`kitty-flow doctor conflicts`: who won, who lost, and whether it still matters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitty_flow.flow.adoption import adopt
from kitty_flow.flow.doctor.examination import Examination, examine
from kitty_flow.flow.project import Project
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.ledger import Batch, Draft, Ledger
from kitty_flow.model.event import Event

_MISSION = """\
[mission]
title = "shop"
target_branch = "trunk"

[[work_package]]
id = "WP01"
title = "First"
owned_files = ["WP01.txt"]

[[work_package]]
id = "WP02"
title = "Second"
owned_files = ["WP02.txt"]
"""


class Clones:
    """A repository and a clone of it, both with the ledger of one mission."""

    def __init__(self, ward: Any) -> None:
        self.one: Path = ward.root
        self.two: Path = ward.root.parent / "clone"
        self.git: Callable[..., str] = ward.git
        source = ward.root.parent / "shop.toml"
        source.write_text(_MISSION)
        self.mission_id = adopt(Project.discover(self.one), source).mission_id
        self.ref = f"refs/kitty/m/{self.mission_id}"
        ward.git("clone", "-q", str(self.one), str(self.two))
        ward.git("-C", str(self.two), "fetch", "-q", "origin", f"{self.ref}:{self.ref}")

    def ledger(self, root: Path) -> Ledger:
        return Ledger(Repository.discover(root), self.mission_id, "shop")

    def move(self, root: Path, name: str, actor: str, *steps: tuple[str, str, str], **evidence: str) -> Event:
        """Record transitions of a work package; returns the first event."""
        with self.ledger(root) as ledger:
            events = [
                ledger.record(
                    lambda view, step=step: Batch(
                        [Draft("work_package", name, "work_package", "0", step[0], actor, *step[1:], evidence=evidence)]
                    )
                ).events[0]
                for step in steps
            ]
        return events[0]

    def exchange(self) -> None:
        """Bring the events of the clone to the first repository."""
        self.git("fetch", "-q", str(self.two), self.ref)
        with self.ledger(self.one) as ledger:
            ledger.receive(self.git("rev-parse", "FETCH_HEAD"))

    def examine(self) -> Examination:
        return examine("conflicts", self.one)


@pytest.fixture
def clones(ward: Any) -> Clones:
    return Clones(ward)


CLAIM, START = ("claim", "planned", "claimed"), ("start", "claimed", "in_progress")


def test_without_conflicts_it_says_so(clones: Clones) -> None:
    (found,) = clones.examine().findings
    assert (found.check, found.status) == ("conflicts", "ok")


def test_an_open_conflict_is_a_warning_with_both_sides(clones: Clones, ward: Any) -> None:
    ann = clones.move(clones.one, "WP01", "ann", CLAIM, START)
    ben = clones.move(clones.two, "WP01", "ben", CLAIM, START)
    clones.exchange()
    done = ward.kitty("doctor", "conflicts", "--json", cwd=clones.one)
    assert done.exit == 0
    (found,) = done.json["data"]["findings"]
    winner, loser = (ben, ann) if ben.event_id > ann.event_id else (ann, ben)
    assert (found["status"], found["subject"], found["fixable"]) == ("warning", "shop/WP01", False)
    assert found["remedy"] == "kitty-flow log shop --entity WP01"
    details = found["details"]
    assert (details["entity_type"], details["entity_id"], details["open"]) == ("work_package", "WP01", True)
    for side, event in (("winner", winner), ("loser", loser)):
        shown = details[side]
        assert shown == {name: getattr(event, name) for name in ("event_id", "trigger", "actor", "at", "writer")}
    assert len(details["superseded"]) == 2
    assert f"claim by {loser.actor} at {loser.at[:19]} is superseded with 1 event(s) built on it" in found["message"]


def test_a_settled_conflict_is_history(clones: Clones) -> None:
    clones.move(clones.one, "WP01", "ann", ("cancel", "planned", "canceled"))
    clones.move(clones.two, "WP01", "ben", ("cancel", "planned", "canceled"))
    clones.move(clones.two, "WP02", "ben", CLAIM)
    clones.exchange()
    (found,) = clones.examine().findings
    assert (found.status, found.details["open"]) == ("ok", False)
    assert found.message.startswith("settled: cancel by ")
    ledger = examine("ledger", clones.one)
    assert ledger.problems == ()


def test_a_claim_that_no_remote_confirmed_is_a_warning(clones: Clones) -> None:
    clones.move(clones.one, "WP01", "ann", CLAIM, confirm_at="origin", claim_id="01", holder="ann")
    clones.move(clones.one, "WP02", "ann", CLAIM, claim_id="02", holder="ann")
    (found,) = clones.examine().findings
    assert (found.status, found.subject, found.remedy) == ("warning", "shop/WP01", "kitty-flow sync")
    assert "the claim of ann is provisional" in found.message


def test_a_ledger_that_cannot_be_read_hides_no_conflict(clones: Clones) -> None:
    other = clones.one.parent / "other.toml"
    other.write_text(_MISSION)
    broken = adopt(Project.discover(clones.one), other).mission_id
    clones.move(clones.one, "WP01", "ann", CLAIM)
    clones.move(clones.two, "WP01", "ben", CLAIM)
    clones.exchange()
    (clones.one / ".git" / "refs" / "kitty" / "m" / broken).write_text("garbage")
    found = {f.subject: f.remedy for f in clones.examine().findings}
    assert found == {broken: "kitty-flow doctor ledger", "shop/WP01": "kitty-flow log shop --entity WP01"}


def test_worktrees_have_nothing_to_mend_yet(clones: Clones) -> None:
    done = examine("worktrees", clones.one, fix=True)
    assert (done.treatments, done.error) == ((), None)
