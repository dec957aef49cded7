"""One landing of a mission: what is known about it so far, and how the ledger keeps each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kitty_flow.flow.actor import current_user
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.mission import OpenMission
from kitty_flow.git.worktrees import Checkout
from kitty_flow.ledger.fold import EntityState, LedgerView
from kitty_flow.ledger.ledger import Batch
from kitty_flow.machines import Facts
from kitty_flow.model.gate import GateResult

__all__ = ["Landing", "MergeOptions", "TestRun", "open_landing", "record_step"]


@dataclass(frozen=True)
class MergeOptions:
    """How the tree is tested: the command's argument list (never a shell line), its limit in seconds."""

    test_command: tuple[str, ...] | None
    test_timeout_s: float = 1800.0


@dataclass(frozen=True)
class TestRun:
    """What the test command said about one tree."""

    __test__ = False  # not a test case, whatever pytest thinks of the name

    command: tuple[str, ...]
    exit_status: int | None
    ended: str
    duration_s: float
    tail: str
    log_path: str
    changed_paths: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Exit status 0, ended by itself, and the tree is as it was."""
        return self.ended == "exited" and self.exit_status == 0 and not self.changed_paths


@dataclass
class Landing:
    """The work sheet of one merge; the ledger's merge entity holds the durable part."""

    mission: OpenMission
    options: MergeOptions
    id: str
    state: str | None = None
    target_commit: str | None = None
    mission_head: str | None = None
    candidate_commit: str = ""
    candidate_tree: str = ""
    conflicts: tuple[str, ...] = ()
    test_run: TestRun | None = None
    gates: list[GateResult] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def checkouts(self) -> tuple[Checkout, ...]:
        """The working trees that have the target branch checked out."""
        return self.mission.project.worktrees.on_branch(self.mission.target_ref)

    def is_landed(self) -> bool:
        """Whether the target contains the candidate; asked of git."""
        target = self.mission.project.repository.refs.commit(self.mission.target_ref)
        return bool(target and self.candidate_commit) and self.mission.project.history.is_ancestor(
            self.candidate_commit, str(target)
        )


def open_landing(mission: OpenMission, options: MergeOptions) -> Landing | None:
    """The landing that an earlier merge began and did not finish, as the ledger knows it."""
    found: EntityState | None = None
    for entity in mission.view().of_type("merge").values():
        if entity.state in ("prepared", "tested", "landed"):
            found = entity
    if found is None:
        return None
    facts = found.facts
    candidate_tree = str(facts.get("candidate_tree", ""))
    return Landing(
        mission,
        options,
        found.entity_id,
        found.state,
        facts.get("target_commit_before"),
        facts.get("mission_head"),
        str(facts.get("candidate_commit", "")),
        candidate_tree,
        test_run=_recorded_test(facts) if facts.get("tested_tree") == candidate_tree else None,
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
    )


def record_step(
    landing: Landing,
    trigger: str,
    *,
    evidence: Mapping[str, Any],
    facts: Facts,
    reason: str | None = None,
) -> None:
    """Record one step of the merge machine."""

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=current_user(), correlation_id=landing.id)
        landing.state = builder.transition("merge", landing.id, trigger, facts, reason=reason, evidence=evidence)
        return builder.build()

    landing.mission.ledger.record(build)
