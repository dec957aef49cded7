"""Clones that exchange their ledgers through a remote: one truth everywhere, nothing lost, losers told."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from workbench import DIAMOND, Workbench, files_of

from kitty_flow.flow.project import Project
from kitty_flow.flow.sync.exchange import sync
from kitty_flow.ledger.ledger import Batch, Draft, Ledger

pytestmark = pytest.mark.slow

Clone = Callable[[str], Workbench]
MISSION = "01JZ5N3C8RWE5P1YF0K6SHTAVD"
REF = f"refs/kitty/m/{MISSION}"


@pytest.fixture
def hub(bench: Workbench) -> Path:
    """A bare repository as the remote `origin` of the bench, which has a mission."""
    path = bench.root.parent / "hub.git"
    bench.git("init", "-q", "--bare", path)
    bench.git("remote", "add", "origin", path)
    bench.mission(DIAMOND, target_branch="trunk")
    bench.git("push", "-q", "origin", "trunk")
    return path


@pytest.fixture
def clone(bench: Workbench, hub: Path) -> Clone:
    """Make another clone of the hub."""

    def make(name: str) -> Workbench:
        bench.git("clone", "-q", hub, bench.root.parent / name)
        return Workbench(bench.root.parent / name, bench.command)

    return make


def answers(bench: Workbench) -> list[Any]:
    """Everything that reading commands say, without what differs from place to place."""
    bench.git("clean", "-q", "-fdx", "-e", ".kitty-flow")
    found = []
    for words in (("status", "sample"), ("log", "sample"), ("wp", "show", "WP01"), ("why", "WP04"), ("next", "--peek")):
        more = ("--agent", "zoe") if words[0] == "next" else ("-m", "sample") if words[0] in ("wp", "why") else ()
        data = bench.kitty(*words, *more)["data"]
        data.pop("worktree", None)
        found.append(data)
    return found


def test_a_fresh_clone_has_everything_after_a_sync(bench: Workbench, clone: Clone) -> None:
    bench.run("", "reject=WP02")
    before = answers(bench)
    sent = bench.kitty("sync")["data"]
    assert [log["relation"] for log in sent["logs"] if log["ref"] == REF] == ["ahead"]
    assert sent["work"]["sent"] > 0
    other = clone("other")
    assert "kitty-flow sync" in other.kitty("status", exit=2)["error"]["hint"]
    received = other.kitty("sync", "origin")["data"]
    (log,) = [log for log in received["logs"] if log["ref"] == REF]
    assert (log["relation"], log["received"], log["slug"]) == ("behind", len(bench.events()), "sample")
    assert answers(other) == before
    for root in (bench.root, other.root):
        shutil.rmtree(root / ".git" / "kitty-flow")
    assert answers(bench) == answers(other) == before
    assert bench.kitty("sync")["data"]["logs"][0]["relation"] == "equal"


def test_work_begun_in_one_clone_is_finished_in_another(bench: Workbench, clone: Clone) -> None:
    bench.kitty(*bench.run_words(), "--until", "1")
    bench.kitty("sync")
    other = clone("other")
    other.kitty("sync")
    other.run()
    other.kitty("sync")
    bench.kitty("sync")
    assert set(bench.states().values()) == {"approved"}
    assert bench.tree(bench.mission_branch) == other.tree(other.mission_branch)
    bench.kitty("merge", "sample", "--test-command", "test -f left.txt")
    assert set(bench.states().values()) == {"done"}


def test_claims_made_apart_have_one_winner_and_the_loser_is_told(bench: Workbench, clone: Clone) -> None:
    bench.kitty("status", "sample")
    bench.kitty("sync")
    other = clone("other")
    other.kitty("sync")
    first = bench.kitty("next", "--agent", "ann", "-m", "sample")["data"]
    second = other.kitty("next", "--agent", "ben")["data"]
    assert (first["wp_id"], first["epoch"]) == (second["wp_id"], second["epoch"]) == ("WP01", 1)
    bench.kitty("sync")
    told = other.kitty("sync")
    bench.kitty("sync")
    other.kitty("sync")
    assert [d["diagnostic_code"] for d in told["diagnostics"]].count("LEDGER_CONFLICT") >= 1

    claims = [e for e in bench.events() if e["trigger"] == "claim"]
    winner, loser = sorted(claims, key=lambda e: e["event_id"], reverse=True)
    assert (winner["superseded"], loser["superseded"]) == (False, True)
    places = {"ann": bench, "ben": other}
    for place in places.values():
        card = place.kitty("status", "sample")
        assert card["data"]["work_packages"]["WP01"]["actor"] == winner["actor"]
        assert any("superseded" in warning for warning in card["data"]["warnings"])
        assert any("larger event id" in d["message"] for d in card["diagnostics"])
        assert place.events() == bench.events()
    lost = places[loser["actor"]]
    words = ("next", "--agent", loser["actor"], "-m", "sample", "--result", "success")
    assert lost.refusal(*words, exit=5)["code"] == "CLAIM_SUPERSEDED"
    ended = [e for e in lost.events() if e["entity_type"] == "invocation" and e["to_state"] == "abandoned"]
    assert [e["reason"] for e in ended] == ["another clone's claim counts"]
    won = places[winner["actor"]]
    assert won.kitty("next", "--agent", winner["actor"], "-m", "sample")["data"]["wp_id"] == "WP01"


def test_a_claim_is_confirmed_by_its_push_and_provisional_without(bench: Workbench, clone: Clone, hub: Path) -> None:
    two = {"WP01": {"owned_files": ["a"]}, "WP02": {"owned_files": ["b"]}, "WP03": {"owned_files": ["c"]}}
    bench.mission(two, target_branch="trunk")
    bench.settings("[sync]\nconfirm_claims = true\n")
    bench.kitty("status", "sample")
    bench.kitty("sync")
    other = clone("other")
    other.settings("[sync]\nconfirm_claims = true\n")
    other.kitty("sync")
    assert bench.kitty("next", "--agent", "ann", "-m", "sample")["data"]["confirmation"] == "confirmed"
    # Ben's clone does not know of Ann's claim until it asks for one of its own.
    step = other.kitty("next", "--agent", "ben")["data"]
    assert (step["wp_id"], step["confirmation"]) == ("WP02", "confirmed")
    for place in (other, bench, other):
        place.kitty("sync")
    assert bench.kitty("status", "sample") == other.kitty("status", "sample")
    assert not any(e["superseded"] for e in bench.events())

    hub.rename(hub.with_name("gone.git"))
    step = other.kitty("next", "--agent", "cay")["data"]
    assert step["confirmation"] == "provisional"
    status = other.kitty("status", "sample")["data"]
    assert [name for name, card in status["work_packages"].items() if card["provisional"]] == [step["wp_id"]]
    assert any("provisional" in warning for warning in status["warnings"])
    hub.with_name("gone.git").rename(hub)
    other.kitty("sync")
    status = other.kitty("status", "sample")["data"]
    assert not any(card["provisional"] for card in status["work_packages"].values())


def test_a_host_that_refuses_our_names_gets_branches(bench: Workbench, clone: Clone, hub: Path) -> None:
    bench.git("config", "--file", hub / "config", "transfer.hideRefs", "refs/kitty")
    bench.kitty("status", "sample")
    bench.kitty("sync")
    listed = bench.git("ls-remote", "origin").split()
    assert f"refs/heads/kitty/state/{MISSION}" in listed
    assert REF not in listed
    other = clone("other")
    other.kitty("sync")
    other.kitty("wp", "block", "WP01", "--reason", "wait", "-m", "sample")
    other.kitty("sync")
    bench.kitty("sync")
    assert bench.states()["WP01"] == "blocked"
    assert bench.events() == other.events()


def test_the_users_side_is_not_touched(bench: Workbench, clone: Clone) -> None:
    bench.kitty("status", "sample")
    (bench.root / "README.md").write_text("edited\n")
    (bench.root / "new.txt").write_text("staged\n")
    bench.git("add", "new.txt")

    def users_side() -> Any:
        ours = ("kitty-flow/", "objects/", "refs/kitty/")
        files = files_of(bench.root / ".git", without=lambda name: name.startswith(ours))
        return files, files_of(bench.root, without=lambda name: name.startswith(".git/"))

    before = users_side()
    bench.kitty("sync")
    other = clone("other")
    other.kitty("sync")
    other.kitty("wp", "block", "WP01", "--reason", "wait", "-m", "sample")
    other.kitty("sync")
    bench.kitty("sync")
    assert bench.states()["WP01"] == "blocked"
    assert users_side() == before


def test_what_cannot_be_reached_or_named(bench: Workbench, hub: Path) -> None:
    bench.kitty("status", "sample")
    hub.rename(hub.with_name("gone.git"))
    assert bench.refusal("sync", exit=7)["code"] == "REMOTE_UNREACHABLE"
    assert bench.refusal("sync", "ext::touch x", exit=2)["code"] == "REMOTE_UNKNOWN"
    bench.git("remote", "remove", "origin")
    assert bench.refusal("sync", exit=2)["code"] == "REMOTE_NEEDED"
    assert not (bench.root / "x").exists()
    assert bench.states()["WP01"] == "planned"


def draft(entity_id: str, was: str | None, to: str) -> Draft:
    return Draft("work_package", entity_id, "work_package", "sha256:0", "move", "ann", was, to)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_three_clones_converge_in_any_order(
    bench: Workbench, clone: Clone, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RELIABILITY V2: random recording and exchange; in the end one tip, and every event that was acknowledged."""
    chance = random.Random(seed)
    places = [bench, clone("two"), clone("three")]
    acknowledged: set[str] = set()

    def step(place: Workbench) -> None:
        monkeypatch.chdir(place.root)
        project = Project.discover()
        if chance.random() < 0.4:
            sync(project, "origin")
            return
        with Ledger(project.repository, MISSION, "sample") as ledger:
            name = f"WP{chance.randint(1, 4):02d}"

            def build(view: Any) -> Batch:
                known = view.entity("work_package", name)
                return Batch([draft(name, known.state if known else None, chance.choice(["planned", "claimed", "x"]))])

            acknowledged.update(e.event_id for e in ledger.record(build).events)

    for _ in range(40):
        step(chance.choice(places))
    for _ in range(2):
        for place in places:
            monkeypatch.chdir(place.root)
            sync(Project.discover(), "origin")
    tips = {place.git("rev-parse", REF) for place in places}
    assert len(tips) == 1
    views = []
    for place in places:
        monkeypatch.chdir(place.root)
        with Ledger(Project.discover().repository, MISSION, "sample") as ledger:
            assert acknowledged == {e.event_id for e in ledger.events()}
            view = ledger.view()
            views.append((dict(view.entities), view.conflicts, view.lamport, view.event_count))
        shutil.rmtree(place.root / ".git" / "kitty-flow")
        with Ledger(Project.discover().repository, MISSION, "sample") as ledger:
            again = ledger.view()
            views.append((dict(again.entities), again.conflicts, again.lamport, again.event_count))
    assert all(view == views[0] for view in views)
    assert len(views[0][1]) > 0, "there were conflicts to be resolved"
