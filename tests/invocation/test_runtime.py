"""Requests on record: begun, completed, listed, swept and exchanged, in real repositories."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from forks import all_at_once
from workbench import Workbench

from kitty_flow.errors import KittyFlowError, LedgerError, RefusedError, UsageError
from kitty_flow.flow.project import Project
from kitty_flow.flow.sync.exchange import sync
from kitty_flow.invocation import InvocationRecord, Opening, begin, complete, promote_to_evidence
from kitty_flow.invocation.conflicts import tell_exchanged
from kitty_flow.invocation.listing import find_record, list_invocations
from kitty_flow.invocation.runtime import annotate, keep_evidence
from kitty_flow.invocation.soundness import examine_requests
from kitty_flow.ledger.lock import exclusive
from kitty_flow.ledger.op_log import OPS_REF

Begin = Callable[..., InvocationRecord]
Kitty = Callable[..., Any]


def git(repo: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=repo, check=True, capture_output=True, text=True).stdout


def ids(project: Project) -> list[str]:
    return [row["invocation_id"] for row in list_invocations(project, limit=1000).rows]


def test_a_request_from_its_beginning_to_its_end(repo: Path, project: Project, opened: Begin) -> None:
    (repo / "report.md").write_text("seen\n")
    before = git(repo, "status", "--porcelain=v2", "--branch", "--untracked-files=all"), git(repo, "rev-parse", "HEAD")
    record = opened()
    assert (record.state, record.log) == ("started", OPS_REF)
    assert git(repo, "rev-list", "--count", OPS_REF).strip() == "1"
    closed = complete(
        project, record.invocation_id, "done", summary="mended", evidence=repo / "report.md", artifacts=["a", "a"],
        commits=["HEAD"], actor="bob",
    )  # fmt: skip
    assert (closed.state, [link.ref for link in closed.artifacts]) == ("done", ["a"])
    assert [link.sha for link in closed.commits] == [before[1].strip()]
    assert closed.completed is not None
    assert git(repo, "cat-file", "-p", f"{OPS_REF}:{closed.completed.evidence_ref}") == "seen\n"
    # One commit an event, a chain in which each event names the one before, and nothing on the user's side.
    subjects = git(repo, "log", "--format=%s", "--grep=^op(", OPS_REF).splitlines()
    assert subjects == [f"op(implementer): implement [{record.invocation_id[:8]}]"] * len(closed.events)
    assert [event.parent for event in closed.events] == [None, *(event.event_id for event in closed.events[:-1])]
    after = git(repo, "status", "--porcelain=v2", "--branch", "--untracked-files=all"), git(repo, "rev-parse", "HEAD")
    assert after == before
    assert find_record(project, record.invocation_id[:9].lower()) == closed

    with pytest.raises(RefusedError) as caught:
        complete(project, record.invocation_id, "failed")
    assert caught.value.code == "INVOCATION_CLOSED"
    assert caught.value.details["closed"]["actor"] == "bob"
    noted = annotate(project, record.invocation_id, artifacts=["b", "a"])
    assert ([link.ref for link in noted.artifacts], noted.completed) == (["a", "b"], closed.completed)


def test_what_is_refused_is_refused_before_anything_is_written(repo: Path, project: Project, opened: Begin) -> None:
    (repo / "seen").write_text("seen")
    record = opened(mode_of_work="advisory")
    tip = git(repo, "rev-parse", OPS_REF)
    one = record.invocation_id
    attempts: list[tuple[str, Callable[[], object]]] = [
        ("EVIDENCE_NOT_ALLOWED", lambda: complete(project, one, "done", evidence=repo / "seen")),
        ("EVIDENCE_NOT_ALLOWED", lambda: keep_evidence(project, one, b"seen")),
        ("EVIDENCE_NOT_ALLOWED", lambda: promote_to_evidence(record, repo / "out", "seen")),
        ("EVIDENCE_UNREADABLE", lambda: complete(project, one, "done", evidence=repo / "nowhere")),
        ("COMMIT_UNKNOWN", lambda: complete(project, one, "done", commits=["nowhere"])),
        ("INVALID_INVOCATION", lambda: complete(project, one, "done", artifacts=[""])),
        ("INVOCATION_UNKNOWN", lambda: complete(project, "01KTB49K8RWE5P1YF0K6SHTAVD", "done")),
        ("INVOCATION_UNKNOWN", lambda: find_record(project, "7ZZZ")),
        ("INVALID_INVOCATION_ID", lambda: find_record(project, "../..")),
        ("ACTOR_MISSING", lambda: opened(actor="")),
        ("INVALID_INVOCATION", lambda: opened(mode_of_work="guessing")),
        ("REQUEST_TOO_LARGE", lambda: opened(request_text="x" * 70_000)),
    ]
    for code, attempt in attempts:
        with pytest.raises(KittyFlowError) as caught:
            attempt()
        assert (caught.value.code, bool(caught.value.hint)) == (code, True)
    assert git(repo, "rev-parse", OPS_REF) == tip
    assert not (repo / "out").exists()


def test_evidence_is_an_annotation(repo: Path, project: Project, opened: Begin, tmp_path: Path) -> None:
    record = opened()
    kept = [promote_to_evidence(record, repo / "trail", "what was seen") for _ in range(2)]
    assert kept[0].path.read_text() == "what was seen"
    assert json.loads(kept[0].record_path.read_text())["evidence"][0]["sha256"] == kept[0].sha256
    (event,) = kept[1].record.evidence
    assert git(repo, "cat-file", "-p", f"{OPS_REF}:{event.ref}") == "what was seen"
    assert kept[1].record.state == "started"
    outside = promote_to_evidence(record, tmp_path / "elsewhere", "seen")
    assert (outside.is_recorded, outside.path.read_text()) == (False, "seen")


def test_many_at_once_lose_none(project: Project, opened: Begin) -> None:
    first = opened()

    def work(number: int) -> None:
        own = Project.discover(project.root)
        begin(own, Opening("implementer", "implement", str(number), "", False, None, "task_execution", f"a{number}"))

    def race() -> None:
        complete(Project.discover(project.root), first.invocation_id, "done")

    ended = all_at_once([*(lambda n=n: work(n) for n in range(20)), race, race])
    assert ended[:20] == [0] * 20
    assert sorted(ended[20:]) == [0, 3]
    found = list_invocations(project, limit=50)
    assert {row["request_text"] for row in found.rows} == {*map(str, range(20)), "mend the door"}
    assert (ids(project), found.warnings) == (sorted(ids(project), reverse=True), ())
    assert git(project.root, "rev-list", "--count", OPS_REF).strip() == "22"


def test_a_log_that_cannot_be_read_or_locked_gives_nothing(project: Project, opened: Begin, repo: Path) -> None:
    record = opened()
    blob = git(repo, "rev-parse", f"{OPS_REF}:kitty-ops").strip()
    place = repo / ".git" / "objects" / blob[:2] / blob[2:]
    content = place.read_bytes()
    place.unlink()
    (repo / ".git" / "kitty-flow" / "fresh").rename(repo / ".git" / "kitty-flow" / "gone")
    with pytest.raises(LedgerError):
        opened()
    with pytest.raises(LedgerError):
        list_invocations(project, limit=1)
    place.write_bytes(content)
    assert ids(project) == [record.invocation_id]
    with exclusive(repo / ".git" / "kitty-flow" / "locks" / "ops.lock", timeout_s=1, what="the test"):
        assert ids(project) == [record.invocation_id]  # who reads waits for nobody


def test_two_clones_meet(repo: Path, project: Project, opened: Begin, tmp_path: Path) -> None:
    git(repo, "init", "-q", "--bare", str(tmp_path / "hub.git"))
    git(repo, "remote", "add", "origin", str(tmp_path / "hub.git"))
    git(repo, "push", "-q", "origin", "HEAD")
    shared, others = opened(), [opened() for _ in range(2)]
    sync(project)
    git(tmp_path, "clone", "-q", "hub.git", "second")
    second = Project.discover(tmp_path / "second")
    sync(second)
    complete(second, shared.invocation_id, "failed", summary="there")
    complete(project, shared.invocation_id, "done", summary="here")
    complete(project, others[0].invocation_id, "done")
    complete(second, others[1].invocation_id, "abandoned", summary="nobody asks")
    told = []
    for one in (project, second, project):
        report = sync(one)
        tell_exchanged(one, report)
        told.append([(log.received, [c.entity_id for c in log.conflicts]) for log in report.logs])
    assert told == [[(0, [])], [(2, [shared.invocation_id])], [(2, [shared.invocation_id])]]
    found = [find_record(one, shared.invocation_id) for one in (project, second)]
    assert found[0] == found[1]
    assert found[0].completed is not None
    (loser,) = found[0].superseded
    assert found[0].completed.event_id > loser.event_id
    assert {found[0].completed.outcome, loser.outcome} == {"done", "failed"}
    (finding,) = examine_requests(project, "conflicts")
    assert (finding.status, finding.subject) == ("ok", f"requests/{shared.invocation_id}")
    assert [finding.details[end]["event_id"] for end in ("winner", "loser")] == [
        found[0].completed.event_id, loser.event_id,
    ]  # fmt: skip
    assert git(repo, "rev-parse", OPS_REF) == git(tmp_path / "second", "rev-parse", OPS_REF)

    # Every completed one is there after a clean, and in a fresh clone; and the grep finds the events and nothing else.
    before = list_invocations(project, limit=10)
    git(repo, "clean", "-q", "-fdx")
    git(tmp_path, "clone", "-q", "hub.git", "third")
    third = Project.discover(tmp_path / "third")
    sync(third)
    assert list_invocations(Project.discover(repo), limit=10) == before == list_invocations(third, limit=10)
    count = sum(len(find_record(third, name).events) for name in ids(third))
    subjects = git(third.root, "log", "--format=%s", "--grep=^op(", OPS_REF).splitlines()
    assert len(subjects) == count == 7
    assert all(subject.startswith("op(implementer): implement [") for subject in subjects)


def test_the_commands(kitty: Kitty, repo: Path, project: Project, opened: Begin) -> None:
    kitty = partial(kitty, cwd=repo)
    old, new, asked = opened(), opened(profile_id="reviewer", action="review"), opened()
    closed = kitty(
        "profile-invocation", "complete", "--invocation-id", old.invocation_id, "--outcome", "done", "--json"
    )
    assert closed.json["data"]["state"] == "done"
    listed = kitty("invocations", "list", "--json").json["data"]["invocations"]
    assert [row["invocation_id"] for row in listed] == [r.invocation_id for r in (asked, new, old)]
    only = kitty("invocations", "list", "--profile", "reviewer", "--limit", "5", "--json").json["data"]["invocations"]
    assert [row["invocation_id"] for row in only] == [new.invocation_id]
    shown = kitty("invocations", "show", old.invocation_id, "--json").json["data"]
    assert [event["event"] for event in shown["events"]] == ["started", "completed"]
    vague = kitty("invocations", "show", old.invocation_id[:4], "--json")
    assert (vague.exit, vague.json["error"]["code"]) == (2, "INVOCATION_AMBIGUOUS")

    report = kitty("doctor", "ops", "--json").json["data"]
    assert [op["invocation_id"] for op in report["open_ops"]] == [asked.invocation_id, new.invocation_id]
    assert (report["swept"], report["skipped_fresh"]) == ([], 2)
    assert kitty("doctor", "ops", "--close-stale", "--json").json["data"]["skipped_fresh"] == 2
    report = kitty("doctor", "ops", "--close-stale", "--threshold", "0", "--json").json["data"]
    assert {op["invocation_id"] for op in report["swept"]} == {asked.invocation_id, new.invocation_id}
    swept = find_record(project, new.invocation_id).completed
    assert swept is not None
    assert (swept.outcome, swept.closed_by, swept.actor) == ("abandoned", "doctor_sweep", "kitty-flow")
    assert "0 hours" in str(swept.reason)
    assert "no request is open" in kitty("doctor", "ops").stdout


@pytest.mark.slow
def test_steps_of_missions_are_listed_with_requests(
    repo: Path,
    project: Project,
    opened: Begin,
) -> None:
    bench = Workbench(repo, (sys.executable, "-P", "-m", "kitty_flow"))
    bench.mission({"WP01": {"owned_files": ["one.txt"]}}, target_branch="trunk")
    before = opened()
    step = bench.kitty("next", "--agent", "ann", "-m", "sample")["data"]
    after = opened()
    rows = list_invocations(project, limit=10).rows
    names = [after.invocation_id, step["invocation_id"], before.invocation_id]
    assert [row["invocation_id"] for row in rows] == names
    record = find_record(project, step["invocation_id"])
    assert (record.profile_id, record.mode_of_work, record.started.wp_id) == ("implementer", "mission_step", "WP01")
    assert [row["invocation_id"] for row in list_invocations(project, limit=2).rows] == names[:2]
    words = ("profile-invocation", "complete", "--invocation-id", step["invocation_id"], "--outcome", "done")
    refused = bench.kitty(*words, exit=4)["error"]
    assert refused["code"] == "INVOCATION_OF_MISSION"
    assert refused["hint"] == "kitty-flow next --agent ann --mission sample --result success"
    bench.kitty("next", "--agent", "ann", "--mission", "sample", "--result", "failed")
    ended = find_record(project, step["invocation_id"])
    assert ended.state == "failed"
    # The list, which reads no event, says what the events say; only the start is that of the prompt.
    listed = next(row for row in list_invocations(project, limit=9).rows if row["invocation_id"] == names[1])
    assert listed | {"started_at": ended.started.at} == ended.as_data()
    with pytest.raises(UsageError):
        find_record(project, "0")
