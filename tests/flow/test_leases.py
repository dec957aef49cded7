"""Leases: judged by a clock that nobody can set, renewed in one commit, and what follows when one has run out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workbench import Workbench

from kitty_flow.errors import ConflictError, RefusedError
from kitty_flow.flow import lease as leasing
from kitty_flow.flow.board import make_board
from kitty_flow.flow.claim import Claim
from kitty_flow.flow.expire import expire, expire_due
from kitty_flow.flow.hand_in import hand_in, sign_of_life
from kitty_flow.flow.lease import SKEW_S, Lease, Now, next_expiry, renew
from kitty_flow.flow.mission import OpenMission, open_mission
from kitty_flow.flow.next_step import next_step, report
from kitty_flow.flow.peek import peek
from kitty_flow.flow.project import Project
from kitty_flow.ledger.ledger import Batch

DAY = 86_400.0
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORK_PACKAGES = {"WP01": {"owned_files": ["one.txt"]}, "WP02": {"owned_files": ["two.txt"]}}

lengths = st.floats(0.5, 10 * DAY)
jumps = st.floats(-DAY, DAY)


class Clock:
    """The clock of one boot, which a test moves."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return monotonic() + self.ahead_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that leases of this process are granted and judged by."""
    made = Clock()
    monkeypatch.setattr(leasing, "monotonic", made)
    return made


@pytest.fixture
def mission(bench: Workbench) -> Iterator[OpenMission]:
    """Two work packages that can be worked on at the same time, in an execution lane each."""
    bench.mission(WORK_PACKAGES, target_branch="trunk")
    bench.settings("[run]\nhand_lease_s = 60\n")
    with open_mission(Project.discover(bench.root), bench.slug) as opened:
        yield opened


def take(mission: OpenMission, agent: str, role: Any = "implement") -> dict[str, Any]:
    step = next_step(mission, agent, role=role)
    assert step.kind == "step", step
    return step.fields


def work(bench: Workbench, step: dict[str, Any], text: str = "done\n") -> str:
    worktree = Path(step["worktree"])
    (worktree / f"{'one' if step['wp_id'] == 'WP01' else 'two'}.txt").write_text(text, encoding="utf-8")
    bench.git("add", "-A", cwd=worktree)
    bench.git("commit", "-q", "-m", "work", cwd=worktree)
    return bench.git("rev-parse", "HEAD", cwd=worktree)


def salvaged(bench: Workbench, path: str) -> set[str]:
    """What salvage refs hold under that path."""
    refs = bench.git("for-each-ref", "--format=%(refname)", "refs/kitty/salvage").splitlines()
    holding = [ref for ref in refs if bench.git("ls-tree", ref, "--", path)]
    return {bench.git("show", f"{ref}:{path}") for ref in holding}


@given(lengths, jumps, st.floats(0, 20 * DAY))
def test_on_one_boot_the_wall_clock_does_not_matter(length: float, jump: float, later: float) -> None:
    lease = Lease.grant(length, Now("b", 1000.0, NOON))
    left = lease.remaining_s(Now("b", 1000.0 + later, NOON + timedelta(seconds=jump)))
    assert left == pytest.approx(length - later, abs=0.01)


@given(lengths, st.floats(0, 20 * DAY), st.sampled_from(["other", None]))
def test_another_boot_goes_by_the_wall_clock_and_allows_for_skew(length: float, later: float, boot: str | None) -> None:
    lease = Lease.grant(length, Now("b", 5_000_000.0, NOON))
    left = lease.remaining_s(Now(boot, 3.0, NOON + timedelta(seconds=later)))
    assert left == pytest.approx(length + SKEW_S - later, abs=0.01)


@given(lengths, st.floats(0, 20 * DAY))
def test_without_a_clock_of_its_boot_the_wall_clock_decides(length: float, later: float) -> None:
    told = {**Lease.grant(length, Now(None, 5.0, NOON)).evidence(), "claim_id": None}
    lease = Lease.of(json.loads(json.dumps(told)))
    assert lease is not None and lease.clock is None
    assert lease.remaining_s(Now("b", 9.0, NOON + timedelta(seconds=later))) == pytest.approx(length - later, abs=0.01)


@pytest.mark.parametrize("value", [None, "soon", 7, ["2026"]])
def test_an_end_that_cannot_be_read_is_no_lease(value: object) -> None:
    assert Lease.of({"lease_expires_at": value, "lease_s": 5.0, "lease_clock": {"boot": "b", "at": 1.0}}) is None


def test_what_the_clocks_of_two_boots_say_survives_the_ledger(mission: OpenMission, clock: Clock) -> None:
    take(mission, "ann")
    lease = Lease.of(mission.work_package("WP01").facts)
    assert lease is not None and lease.lease_s == 60
    assert 0 < lease.remaining_s() <= 60
    clock.ahead_s = 59
    assert next_expiry(mission) == pytest.approx(1, abs=0.9)
    clock.ahead_s = 61
    assert next_expiry(mission) == 0


def test_a_heartbeat_begins_the_lease_anew(mission: OpenMission, clock: Clock) -> None:
    step = take(mission, "ann")
    clock.ahead_s = 50
    told = sign_of_life(mission, "WP01", "ann", epoch=step["epoch"])
    assert told["epoch"] == 1 and told["lease_s"] == 60
    clock.ahead_s = 105
    assert expire_due(mission) == ()
    assert mission.work_package("WP01").state == "in_progress"
    for agent, epoch in (("ben", None), ("ann", 2)):
        with pytest.raises(RefusedError) as caught:
            sign_of_life(mission, "WP01", agent, epoch=epoch)
        assert caught.value.code == "STALE_EPOCH"
    assert mission.work_package("WP01").counts["heartbeat"] == 1


def test_who_asks_for_its_step_again_is_alive(mission: OpenMission, clock: Clock) -> None:
    first = take(mission, "ann")
    assert take(mission, "ann") == first
    assert "heartbeat" not in mission.work_package("WP01").counts
    clock.ahead_s = 90
    assert take(mission, "ann")["invocation_id"] == first["invocation_id"]
    clock.ahead_s = 140
    assert expire_due(mission) == ()


def test_many_claims_are_renewed_in_one_commit(mission: OpenMission, clock: Clock) -> None:
    take(mission, "ann")
    take(mission, "ben")
    claims = [Claim.on(mission.work_package(name)) for name in WORK_PACKAGES]
    before = mission.view().tip
    clock.ahead_s = 30
    assert renew(mission, [*claims, Claim("01JZ5N3C8RWE5P1YF0K6SHTAVD", "WP01", "ann", 1, "")], run_id="R") == (
        Claim("01JZ5N3C8RWE5P1YF0K6SHTAVD", "WP01", "ann", 1, ""),
    )
    added = mission.project.repository.git.text("rev-list", "--count", f"{before}..{mission.view().tip}")
    assert added == "1"
    beats = [event for event in mission.ledger.events() if event.trigger == "heartbeat"]
    assert [(e.entity_id, e.actor, e.correlation_id) for e in beats] == [("WP01", "ann", "R"), ("WP02", "ben", "R")]
    clock.ahead_s = 85
    assert expire_due(mission) == ()


def test_a_lease_that_ran_out_frees_the_work_and_fences_the_holder(
    bench: Workbench, mission: OpenMission, clock: Clock
) -> None:
    old = take(mission, "ann")
    worktree = Path(old["worktree"])
    (worktree / "one.txt").write_text("half\n", encoding="utf-8")
    clock.ahead_s = 61
    new = take(mission, "ben")
    entity = mission.work_package("WP01")
    assert (new["wp_id"], new["epoch"], entity.counts["expire"]) == ("WP01", old["epoch"] + 1, 1)
    assert salvaged(bench, "one.txt") == {"half"}
    assert entity.facts["retired_worktree"] == old["worktree"] != new["worktree"]
    assert new["worktree"] == f"{old['worktree']}.2"
    # The old holder is alive and goes on in its worktree: nothing of the new holder's moves, and it loses nothing.
    assert (worktree / "one.txt").read_text() == "half\n"
    assert bench.git("status", "--porcelain", cwd=worktree) == "?? one.txt"
    work(bench, old, "late commit\n")
    (worktree / "one.txt").write_text("later still\n", encoding="utf-8")
    head = bench.git("rev-parse", "HEAD", cwd=Path(new["worktree"]))
    assert bench.git("rev-parse", f"refs/heads/{new['branch']}") == head == new["base_commit"]
    for words in ("success", "failed", old["result_path"]):
        with pytest.raises(ConflictError) as caught:
            report(mission, "ann", words)
        assert caught.value.code == "CLAIM_EXPIRED" and caught.value.hint == "kitty-flow next --agent ann -m sample"
        details = caught.value.details
        assert (details["epoch"], details["current_epoch"], details["holder"]) == (1, 2, "ben")
        assert bench.git("show", f"{details['salvage_ref']}:one.txt") == "later still"
        assert bench.git("show", f"{details['salvage_ref']}~:one.txt") == "late commit"
        assert details["salvage_ref"] in caught.value.message
    with pytest.raises(RefusedError, match="ann does not hold WP01"):
        sign_of_life(mission, "WP01", "ann", epoch=1)
    assert mission.work_package("WP01").facts["holder"] == "ben"
    work(bench, new, "right\n")
    assert report(mission, "ben", "success", epoch=2) == "WP01"
    assert mission.work_package("WP01").state == "for_review"


def test_a_report_of_the_same_name_from_an_old_process_is_not_taken_for_the_new_claim(
    bench: Workbench, mission: OpenMission, clock: Clock
) -> None:
    old = take(mission, "ann")
    work(bench, old, "old\n")
    clock.ahead_s = 61
    assert expire_due(mission) == ("WP01",)
    new = take(mission, "ann")
    assert (new["wp_id"], new["epoch"]) == ("WP01", 2)
    work(bench, new, "new\n")
    Path(old["result_path"]).write_text('{"outcome": "success", "summary": "old"}', encoding="utf-8")
    told: tuple[dict[str, Any], ...] = ({"epoch": 1}, {"epoch": 1, "work_package_id": "WP01"})
    for which in told:
        with pytest.raises(ConflictError, match="the lease of ann on WP01 ran out"):
            report(mission, "ann", "success", **which)
    with pytest.raises(ConflictError, match="the lease of ann on WP01 ran out"):
        report(mission, "ann", old["result_path"])
    with pytest.raises(RefusedError) as caught:
        report(mission, "ann", "success", work_package_id="WP02")
    assert caught.value.code == "STALE_EPOCH"
    assert mission.work_package("WP01").state == "in_progress"
    assert "old" in salvaged(bench, "one.txt")
    assert report(mission, "ann", "success", epoch=2) == "WP01"


def test_the_environment_tells_which_claim_is_meant(bench: Workbench, mission: OpenMission, clock: Clock) -> None:
    work(bench, take(mission, "ann"))
    clock.ahead_s = 61
    assert expire_due(mission) == ("WP01",)
    work(bench, take(mission, "ann"), "again\n")
    bench.env |= {"KITTY_FLOW_EPOCH": "1", "KITTY_FLOW_WP": "WP01"}
    assert bench.refusal("next", "--agent", "ann", "--result", "success", exit=5)["code"] == "CLAIM_EXPIRED"
    assert bench.refusal("wp", "submit", "WP01", "--agent", "ann", exit=5)["code"] == "CLAIM_EXPIRED"
    assert bench.refusal("wp", "heartbeat", "WP01", "--agent", "ann", exit=4)["code"] == "STALE_EPOCH"
    bench.env["KITTY_FLOW_EPOCH"] = "2"
    assert bench.kitty("wp", "submit", "WP01", "--agent", "ann")["data"]["state"] == "for_review"


def test_a_lease_that_is_renewed_in_the_last_moment_holds(mission: OpenMission, clock: Clock) -> None:
    """The holder's heartbeat gets into the ledger after somebody saw that the lease had run out."""
    take(mission, "ann")
    clock.ahead_s = 61
    record, renewed = mission.ledger.record, []

    def late(build: Any, **more: Any) -> Any:
        mission.ledger.record = record  # type: ignore[method-assign]
        renewed.append(renew(mission, [Claim.on(mission.work_package("WP01"))]))
        return record(build, **more)

    mission.ledger.record = late  # type: ignore[method-assign]
    assert expire(mission, "WP01") is False
    assert renewed == [()]
    entity = mission.work_package("WP01")
    assert (entity.state, entity.counts.get("expire")) == ("in_progress", None)


def test_a_reviewer_that_has_gone_is_replaced(bench: Workbench, mission: OpenMission, clock: Clock) -> None:
    head = work(bench, take(mission, "ann"))
    report(mission, "ann", "success")
    gone = take(mission, "ben", "review")
    (Path(gone["worktree"]) / "notes.txt").write_text("seen so far\n", encoding="utf-8")
    card = {c.id: c for c in make_board(mission).work_packages}["WP01"]
    assert (card.actor, card.lease_expires_at) == ("ben", gone["lease_expires_at"]) and gone["lease_expires_at"]
    assert next_step(mission, "cleo", role="review").kind == "wait"
    clock.ahead_s = 61
    review = take(mission, "cleo", "review")
    assert (review["wp_id"], review["worktree"]) == ("WP01", f"{gone['worktree']}.2")
    assert salvaged(bench, "notes.txt") == {"seen so far"}
    for step, agent in ((gone, "ben"), (review, "cleo")):
        verdict = {"verdict": "approved", "reviewed_commit": head, "summary": "seen"}
        Path(step["result_path"]).write_text(json.dumps(verdict), encoding="utf-8")
        if agent == "ben":
            with pytest.raises(ConflictError) as caught:
                report(mission, agent, step["result_path"])
            assert (caught.value.code, mission.work_package("WP01").state) == ("CLAIM_EXPIRED", "in_review")
        else:
            report(mission, agent, step["result_path"])
    assert mission.work_package("WP01").state == "approved"
    assert mission.work_package("WP01").facts["reviewer"] == "cleo"


def test_a_claim_whose_preparation_was_killed_gets_another_worktree(mission: OpenMission, clock: Clock) -> None:
    """Whoever was preparing may be only slow: it must not switch the worktree of the next holder."""
    from kitty_flow.flow.claim import claim
    from kitty_flow.flow.life import begin
    from kitty_flow.flow.workspace import workspace_path

    begin(mission, run_id="r")
    claim(mission, "WP01", actor="ann", lease_s=5)
    lane = mission.plan.placements["WP01"].execution_lane
    before = workspace_path(mission, lane)
    clock.ahead_s = 6
    step = take(mission, "ben")
    assert (step["wp_id"], step["worktree"]) == ("WP01", f"{before}.2")


def test_a_worktree_that_was_not_retired_in_time_is_retired_by_the_next_holder(
    bench: Workbench, mission: OpenMission, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill between the event and the worktree."""
    from kitty_flow.git.worktrees import Checkout

    old = take(mission, "ann")
    work(bench, old)
    clock.ahead_s = 61
    with monkeypatch.context() as killed:
        killed.setattr(Checkout, "detach", lambda self: None)
        assert expire_due(mission) == ("WP01",)
    assert bench.git("branch", "--show-current", cwd=Path(old["worktree"])) == old["branch"]
    new = take(mission, "ben")
    assert bench.git("branch", "--show-current", cwd=Path(old["worktree"])) == ""
    assert bench.git("branch", "--show-current", cwd=Path(new["worktree"])) == new["branch"]
    assert "done" in salvaged(bench, "one.txt")


def test_commits_on_a_branch_that_the_holder_has_left_are_kept(
    bench: Workbench, mission: OpenMission, clock: Clock
) -> None:
    step = take(mission, "ann")
    work(bench, step)
    bench.git("checkout", "-q", "--detach", step["base_commit"], cwd=Path(step["worktree"]))
    clock.ahead_s = 61
    assert expire_due(mission) == ("WP01",)
    assert salvaged(bench, "one.txt") == {"done"}
    assert bench.git("show", f"{mission.work_package('WP01').facts['salvage_ref']}:one.txt") == "done"


def test_processes_of_the_holder_are_ended(bench: Workbench, mission: OpenMission, clock: Clock) -> None:
    import os
    import subprocess
    import sys

    step = take(mission, "ann")
    environment = {**os.environ, "KITTY_FLOW_INVOCATION": step["invocation_id"]}
    words = [sys.executable, "-I", "-S", "-c", "print(flush=True)\nwhile True: input()"]
    with subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as left_over:
        assert left_over.stdout is not None
        left_over.stdout.readline()
        clock.ahead_s = 61
        assert expire_due(mission) == ("WP01",)
        assert left_over.wait(30) == -9


def test_looking_takes_nothing_back(mission: OpenMission, clock: Clock) -> None:
    take(mission, "ann")
    take(mission, "ben")
    clock.ahead_s = 61
    tip = mission.view().tip
    seen = peek(mission, "cleo")
    assert seen.kind == "wait" and {(r.wp_id, r.code) for r in seen.reasons} == {
        ("WP01", "LEASE_EXPIRED"),
        ("WP02", "LEASE_EXPIRED"),
    }
    assert "the lease of ann on WP01 ran out: whoever asks for work takes it back" in make_board(mission).warnings
    assert (mission.view().tip, seen.as_data()["retry_after_s"]) == (tip, 1)


def test_the_reasons_say_when_a_lease_runs_out(mission: OpenMission, clock: Clock) -> None:
    take(mission, "ann")
    take(mission, "ben")
    clock.ahead_s = 20
    waits = next_step(mission, "cleo")
    assert waits.kind == "wait" and waits.due_s is not None and 30 < waits.due_s <= 40
    assert waits.as_data()["retry_after_s"] == 30
    assert waits.reasons[0].message.startswith("WP01 is in_progress by ann, whose lease runs out in ")


def test_a_claim_of_another_clone_is_not_taken_back_unasked(
    mission: OpenMission, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its heartbeats may not be here yet; where the remote cannot be asked, nobody here can know."""
    take(mission, "ann")
    mission.ledger.store.writer = "another-clone"
    clock.ahead_s = 3600
    assert expire_due(mission) == ()
    assert mission.work_package("WP01").state == "in_progress"
    assert (next_expiry(mission) or 0) > 30, "nobody asks again and again"
    reasons = {r.wp_id: r for r in peek(mission, "ben", role="review").reasons}
    assert (reasons["WP01"].code, reasons["WP01"].hint) == ("LEASE_EXPIRED", "kitty-flow sync")


def test_an_imported_holder_without_a_lease_stays(mission: OpenMission, clock: Clock) -> None:
    from kitty_flow.flow.batch import BatchBuilder

    take(mission, "ann")

    def build(view: Any) -> Batch:
        builder = BatchBuilder(view, actor="ann")
        gone = {"lease_expires_at": None, "lease_s": None, "lease_clock": None}
        builder.annotate("work_package", "WP01", "imported", evidence=gone)
        return builder.build()

    mission.ledger.record(build)
    clock.ahead_s = 10 * DAY
    assert (expire_due(mission), next_expiry(mission)) == ((), None)
    with pytest.raises(RefusedError) as caught:
        sign_of_life(mission, "WP01", "ann")
    assert caught.value.code == "NO_LEASE"


def test_handing_in_claims_nothing_else(bench: Workbench, mission: OpenMission) -> None:
    work(bench, take(mission, "ann"))
    assert hand_in(mission, "WP01", "ann", epoch=1) == "for_review"
    assert mission.work_package("WP02").state == "planned"
