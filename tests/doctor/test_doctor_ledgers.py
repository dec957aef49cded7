"""Broken ledgers and branches that do not hold what the ledger says: each one is named, none hides another."""

from __future__ import annotations

import json
from typing import Any

import pytest


def _about(findings: list[dict[str, str]], subject: str) -> list[tuple[str, str]]:
    return [(f["status"], f["message"]) for f in findings if f["subject"].partition("/")[0] == subject]


@pytest.mark.parametrize("content", ["1234567890123456789012345678901234567890\n", "garbage\n", ""])
def test_a_ref_that_leads_nowhere_does_not_hide_the_other_missions(ward: Any, content: str) -> None:
    lost, _ = ward.add_mission("lost"), ward.add_mission("shop")
    (ward.root / ".git" / "refs" / "kitty" / "m" / lost).write_text(content)
    findings = ward.examine("ledger")
    assert [status for status, _ in _about(findings, lost)] == ["problem"]
    assert [status for status, _ in _about(findings, "shop")] == ["ok"]
    assert next(f["remedy"] for f in findings if f["subject"] == lost) == "kitty-flow doctor ledger --fix"
    assert "problem" not in {f["status"] for f in ward.examine("worktrees")}
    assert ward.examine("locks")


def test_the_damaged_line_is_named_and_the_rest_still_read(ward: Any) -> None:
    mission_id = ward.add_mission("shop")
    ward.rewrite(mission_id, "log/", lambda content: content.replace(b'"kind"', b'"kind', 1))
    (damaged, _, read) = _about(ward.examine("ledger"), "shop")
    assert damaged[0] == "problem"
    assert ".jsonl:1 is damaged" in damaged[1]
    assert read == ("ok", "planned, 3 events can be read and folded")


def test_a_newer_schema_is_a_problem_of_its_own(ward: Any) -> None:
    mission_id = ward.add_mission("shop")
    ward.rewrite(mission_id, "log/", lambda content: content.replace(b"kitty-flow/event/1", b"kitty-flow/event/9"))
    ((status, message),) = _about(ward.examine("ledger"), mission_id)
    assert status == "problem"
    assert "kitty-flow/event/9" in message


def test_a_definition_that_is_not_the_recorded_one_is_a_problem(ward: Any) -> None:
    mission_id = ward.add_mission("shop")
    ward.rewrite(mission_id, "definition/", lambda content: content.replace(b"Second", b"Changed"))
    ((status, message), _) = _about(ward.examine("ledger"), mission_id)
    assert status == "problem"
    assert "does not have the recorded digest" in message


def test_a_ledger_not_named_by_an_id_is_a_problem(ward: Any) -> None:
    mission_id = ward.add_mission("shop")
    ward.git("update-ref", "refs/kitty/m/copy", f"refs/kitty/m/{mission_id}")
    messages = [message for status, message in _about(ward.examine("ledger"), "copy") if status == "problem"]
    assert any("of another mission" in message for message in messages)


def test_events_that_contradict_each_other_are_problems(ward: Any) -> None:
    mission_id = ward.add_mission("shop")

    def change(events: list[dict[str, Any]]) -> None:
        events[-1]["lamport"] = events[-2]["lamport"] - 1
        events[1]["from_state"] = "running"
        events[1]["parent"] = "01ARZ3NDEKTSV4RRFFQ69G5FAV"

    ward.rewrite_events(mission_id, change)
    problems = [message for status, message in _about(ward.examine("ledger"), "shop") if status == "problem"]
    assert any("whose clock does not follow" in message for message in problems)
    assert any("whose parent is not in the ledger" in message for message in problems)


def test_old_and_illegal_transitions_and_forced_ones_are_only_warnings(ward: Any) -> None:
    mission_id = ward.add_mission("shop")

    def change(events: list[dict[str, Any]]) -> None:
        packages = [e for e in events if e["entity_type"] == "work_package"]
        packages[0] |= {"machine_digest": "0" * 64, "to_state": "approved", "evidence": {"head_commit": None}}
        packages[1] |= {"to_state": "approved", "force": True, "reason": "by hand"}

    ward.rewrite_events(mission_id, change)
    messages = [message for status, message in _about(ward.examine("ledger"), "shop") if status == "warning"]
    assert any("another version of the work_package machine" in message for message in messages)
    assert any("1 event(s) not allowed by today's machine" in message for message in messages)
    assert any("forced past the machine: WP02" in message for message in messages)


def test_a_mission_branch_that_was_moved_back_is_found_and_the_remedy_mends_it(ward: Any) -> None:
    mission_id = ward.add_mission("shop")
    ward.run("shop")
    branch = f"kitty/mission-shop-{mission_id[:8]}"
    ward.git("branch", "--force", branch, "trunk")
    problems = [f for f in ward.examine("ledger") if f["status"] == "problem"]
    assert [f["subject"] for f in problems] == ["shop/WP01", "shop/WP02"]
    ward.obey(problems[0]["remedy"])
    assert "problem" not in {f["status"] for f in ward.examine("ledger")}


def test_the_remedy_keeps_what_somebody_put_on_the_mission_branch(ward: Any) -> None:
    mission_id = ward.add_mission("shop")
    ward.run("shop")
    branch = f"kitty/mission-shop-{mission_id[:8]}"
    foreign = ward.git("commit-tree", "trunk^{tree}", "-p", "trunk", "-m", "foreign")
    ward.git("branch", "--force", branch, foreign)
    problems = [f for f in ward.examine("ledger") if f["status"] == "problem"]
    ward.obey(problems[0]["remedy"])
    assert ward.git("rev-parse", "NEW-NAME") == foreign
    assert "problem" not in {f["status"] for f in ward.examine("ledger")}


def test_a_deleted_mission_branch_is_brought_back_by_the_next_run(ward: Any) -> None:
    mission_id = ward.add_mission("shop")
    ward.run("shop")
    for name in ward.git("for-each-ref", "--format=%(refname)", "refs/heads/kitty").splitlines():
        if name.endswith(mission_id[:8]):
            ward.git("update-ref", "-d", name)
    warnings = [f for f in ward.examine("ledger") if f["status"] == "warning"]
    assert {f["remedy"] for f in warnings} == {"kitty-flow run shop"}
    ward.run("shop")
    assert {f["status"] for f in ward.examine("ledger")} == {"ok"}


def test_done_work_that_left_the_target_is_a_problem(ward: Any) -> None:
    ward.add_mission("shop")
    start = ward.git("rev-parse", "trunk")
    ward.run("shop")
    ward.merge("shop")
    ward.git("update-ref", "refs/heads/trunk", start)
    problems = [f for f in ward.examine("ledger") if f["status"] == "problem"]
    assert [f["subject"] for f in problems] == ["shop/WP01", "shop/WP02"]
    assert problems[0]["remedy"] == "kitty-flow verify shop"


def test_a_head_that_is_gone_is_a_problem(ward: Any) -> None:
    mission_id = ward.add_mission("shop")
    ward.run("shop")

    def change(events: list[dict[str, Any]]) -> None:
        submitted = next(e for e in events if e["trigger"] == "submit")
        assert submitted["evidence"]["head_commit"] in json.dumps(events)
        submitted["evidence"]["head_commit"] = "1" * 40

    ward.rewrite_events(mission_id, change)
    problems = [f for f in ward.examine("ledger") if f["status"] == "problem"]
    assert [(f["subject"], f["check"]) for f in problems] == [("shop/WP01", "branch")]
    assert "111111111111 is not in this repository" in problems[0]["message"]
