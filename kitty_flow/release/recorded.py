"""The landings that the ledger knows: the one to go on with after a merge was killed, and the last one of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kitty_flow.flow.mission import OpenMission
from kitty_flow.ledger.ledger import new_ulid
from kitty_flow.ledger.view import EntityState
from kitty_flow.release.landing import Landing, MergeOptions, TestRun, heads, in_merge_order, refuse
from kitty_flow.release.stack import build_stack

__all__ = ["open_landing", "proved_landing", "take_up"]


def take_up(mission: OpenMission, options: MergeOptions) -> Landing:
    """The interrupted landing if it can still go on, otherwise a new one; an outdated one is closed first."""
    refs = mission.project.repository.refs
    target, head = refs.commit(mission.target_ref), refs.commit(mission.branch)
    fresh = Landing(mission, options, new_ulid(), None, target, head, heads(mission, mission.view(), "approved"))
    fresh.strategy = options.strategy or options.default_strategy
    found = open_landing(mission, options)
    if found is None:
        return fresh
    reason = _outdated(found, fresh)
    if reason is None:
        return found
    refuse(found, reason)
    fresh.remarks.append(f"an earlier landing was closed: {reason}")
    return fresh


def open_landing(mission: OpenMission, options: MergeOptions) -> Landing | None:
    """The landing that was begun and not ended, if there is one."""
    return _last(mission, options, "prepared", "tested", "landed")


def proved_landing(mission: OpenMission, options: MergeOptions) -> Landing | None:
    """The last landing that was completed."""
    return _last(mission, options, "proved")


def _outdated(found: Landing, fresh: Landing) -> str | None:
    """Why the recorded landing cannot go on, in words; None when it can, or has to because the target has moved."""
    if found.is_landed():
        return None
    if found.state == "landed":
        return f"{found.mission.target_ref} does not contain the landed commit {found.candidate_commit[:12]} any more"
    tested = found.test_run
    if tested is not None and found.options.test_command not in (None, tested.command):
        return "another test command was given"
    if found.options.every_commit and found.candidate_commit != _stack_tip(found):
        return "each work package is to land as a commit of its own"
    if found.options.strategy not in (None, found.strategy):
        return f"it was prepared for the strategy {found.strategy}, and {found.options.strategy} was asked for"
    if found.target_commit != fresh.target_commit:
        return "the target moved since it was prepared"
    if (found.mission_head, found.heads) != (fresh.mission_head, fresh.heads):
        return "the mission changed since it was prepared"
    if found.mission.project.repository.refs.commit(found.candidate_commit) is None:
        return f"its commit {found.candidate_commit[:12]} is gone; no branch held it"
    return None


def _stack_tip(landing: Landing) -> str:
    return build_stack(landing.mission, str(landing.target_commit), landing.heads).tip


def _last(mission: OpenMission, options: MergeOptions, *states: str) -> Landing | None:
    found = [e for e in mission.view().of_type("merge").values() if e.state in states]
    return _landing(mission, options, found[-1]) if found else None


def _landing(mission: OpenMission, options: MergeOptions, entity: EntityState) -> Landing:
    facts = entity.facts
    candidate_tree = str(facts.get("candidate_tree", ""))
    return Landing(
        mission,
        options,
        entity.entity_id,
        entity.state,
        facts.get("target_commit_before"),
        facts.get("mission_head"),
        in_merge_order(mission, facts.get("heads", {})),
        str(facts.get("candidate_commit", "")),
        candidate_tree,
        test_run=_recorded_test(facts) if facts.get("tested_tree") == candidate_tree else None,
        landed_work_packages=tuple(facts.get("landed_work_packages", ())),
        strategy=str(facts.get("strategy", "merge")),
    )


def _recorded_test(facts: Mapping[str, Any]) -> TestRun:
    """The tests that the ledger says have passed on the candidate's tree; nothing else is recorded as tested."""
    return TestRun(
        tuple(facts["test_command"]),
        facts["test_exit_status"],
        "exited",
        facts["test_duration_ms"] / 1000,
        "",
        facts["test_log"],
        (),
        str(facts.get("test_log_sha256", "")),
    )
