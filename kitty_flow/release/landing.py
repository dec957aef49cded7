"""One landing of a mission: what is known about it so far, and how the ledger keeps each step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from kitty_flow.flow.actor import current_user
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.mission import OpenMission
from kitty_flow.git.process import GitFailedError
from kitty_flow.git.worktrees import Checkout
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import LedgerView
from kitty_flow.machines import Facts, GateCommand
from kitty_flow.model.gate import GateResult
from kitty_flow.release.evidence.recording import gate_evidence

__all__ = [
    "Landing",
    "MergeOptions",
    "Red",
    "TestRun",
    "contained",
    "contains",
    "heads",
    "in_merge_order",
    "record_step",
    "refuse",
]


@dataclass(frozen=True)
class MergeOptions:
    """How the tree is tested: the command's argument list (never a shell line), its limit in seconds.

    `overrides` are gates that a person lets the mission pass although they are closed, all for the same `reason`.
    `retest` takes no earlier result for an answer; without `eject` a work package that makes the tests fail is named
    and stays approved; with `every_commit` each work package lands as a tested commit of its own.
    `strategy` is how it is to land; None where that was not asked for: as recorded, or else by `default_strategy`.
    """

    test_command: tuple[str, ...] | None
    test_timeout_s: float = 1800.0
    overrides: tuple[str, ...] = ()
    reason: str = ""
    retest: bool = False
    eject: bool = True
    every_commit: bool = False
    strategy: str | None = None
    default_strategy: str = "merge"


@dataclass(frozen=True)
class TestRun:
    """What the test command said about one tree.

    `log_digest` is the SHA-256 of the whole log, `at` when the run ended (UTC, ISO 8601). One that `is_remembered` was
    recorded earlier and not repeated. `left_processes`: it left processes behind, which were ended.
    """

    __test__ = False  # not a test case, whatever pytest thinks of the name

    command: tuple[str, ...]
    exit_status: int | None
    ended: str
    duration_s: float
    tail: str
    log_path: str
    changed_paths: tuple[str, ...]
    log_digest: str = ""
    at: str = ""
    is_remembered: bool = False
    left_processes: bool = False

    @property
    def passed(self) -> bool:
        """Exit status 0, ended by itself, and the tree is as it was."""
        return self.ended == "exited" and self.exit_status == 0 and not self.changed_paths


@dataclass(frozen=True)
class Red:
    """Why the tests failed, as far as it was found out.

    Args:
        run: the run that shows it.
        is_target: the target's own tree fails, so nobody's work is to blame.
        culprit: the work package whose commits make the tests fail; None when it is none's alone.
        good: the commit below the culprit's, on which the tests pass; `bad`: the one with it, on which they fail.
    """

    run: TestRun
    is_target: bool = False
    culprit: str | None = None
    good: str = ""
    bad: str = ""


@dataclass
class Landing:
    """The work sheet of one merge; the ledger's merge entity holds the durable part.

    `heads` are the approved work packages that it carries, each with the commit that was approved. `obstacle` is the
    sentence that the conflicting paths end, where it is not the merge itself that conflicts. `commands` are the gates
    that the project has added. `red` is what was found out about tests that fail; `say` is told what is tested now.
    `recorded_gates` is how many of the answers in `gates` are on record.
    """

    mission: OpenMission
    options: MergeOptions
    id: str
    state: str | None = None
    target_commit: str | None = None
    mission_head: str | None = None
    heads: Mapping[str, str] = field(default_factory=dict)
    candidate_commit: str = ""
    candidate_tree: str = ""
    conflicts: tuple[str, ...] = ()
    test_run: TestRun | None = None
    landed_work_packages: tuple[str, ...] = ()
    gates: list[GateResult] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    red: Red | None = None
    say: Callable[[str], None] = lambda line: None
    strategy: str = "merge"
    obstacle: str = ""
    commands: Mapping[str, GateCommand] = field(default_factory=dict)
    recorded_gates: int = 0

    def checkouts(self) -> tuple[Checkout, ...]:
        """The working trees that have the target branch checked out; one that somebody deleted has nothing to lose."""
        found = self.mission.project.worktrees.on_branch(self.mission.target_ref)
        return tuple(checkout for checkout in found if checkout.path.is_dir())

    def new_gates(self) -> list[dict[str, Any]]:
        """The answers of gates that no step has put on record yet."""
        return gate_evidence(self.gates[self.recorded_gates :])

    def is_on_target(self) -> bool:
        """Whether the target contains the candidate; asked of git."""
        target = self.mission.project.repository.refs.commit(self.mission.target_ref)
        return contains(self.mission, target, self.candidate_commit)

    def is_landed(self) -> bool:
        """Whether the target was moved by this landing, which can then only be finished; asked of git.

        Before the tests nothing is moved, and a candidate that is the target's own commit moves nothing: such a landing
        may still be refused, however surely its candidate is on the target.
        """
        moves = self.state == "landed" or (self.state == "tested" and self.candidate_commit != self.target_commit)
        return moves and self.is_on_target()


def contains(mission: OpenMission, tip: str | None, commit: str | None) -> bool:
    """Whether `tip` contains `commit`; asked of git. A commit that was pruned is contained in nothing.

    Raises:
        GitFailedError: git cannot say.
    """
    if not tip or not commit:
        return False
    try:
        return mission.project.history.is_ancestor(commit, tip)
    except GitFailedError:
        if mission.project.repository.refs.commit(commit) is None:
            return False
        raise


def contained(mission: OpenMission, tip: str | None, commits: Iterable[str]) -> frozenset[str]:
    """Those of `commits` that `tip` contains: as `contains`, with one question for all of them where git can answer it.

    Raises:
        GitFailedError: git cannot say.
    """
    asked = frozenset(commits)
    if tip and len(asked) > 1:
        with suppress(GitFailedError, ValueError):  # one was pruned, or is no commit: then each is asked for by itself
            return asked - mission.project.history.beyond(asked, tip)
    return frozenset(commit for commit in asked if contains(mission, tip, commit))


def heads(mission: OpenMission, view: LedgerView, *states: str) -> dict[str, str]:
    """The submitted head of every work package in one of the states, in merge order."""
    entities = (mission.work_package(i, view) for i in mission.plan.merge_order)
    return {e.entity_id: str(e.facts.get("head_commit")) for e in entities if e.state in states}


def in_merge_order(mission: OpenMission, recorded: Mapping[str, str]) -> dict[str, str]:
    """Recorded heads as they are merged; the ledger's JSON sorts them by name. One that the plan lost comes last."""
    order = {name: place for place, name in enumerate(mission.plan.merge_order)}
    return dict(sorted(recorded.items(), key=lambda each: (order.get(each[0], len(order)), each[0])))


def record_step(
    landing: Landing,
    trigger: str,
    *,
    evidence: Mapping[str, Any],
    facts: Facts,
    reason: str | None = None,
) -> None:
    """Record one step of the merge machine, with the answers of the gates that led to it."""
    state: list[str] = []
    evidence, count = {**evidence, "gates": landing.new_gates()}, len(landing.gates)

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=current_user(), correlation_id=landing.id)
        state.append(builder.transition("merge", landing.id, trigger, facts, reason=reason, evidence=evidence))
        return builder.build()

    landing.mission.ledger.record(build)
    landing.state, landing.recorded_gates = state[-1], count


def refuse(landing: Landing, reason: str) -> None:
    """Close a landing that cannot go on. What it moved is never disowned: the machine asks for proof of that."""
    reason = reason[:2000]
    evidence = {"reason": reason, "failed_gates": [g.gate for g in landing.gates if g.outcome != "pass"]}
    record_step(
        landing, "refuse", evidence=evidence, facts=Facts(reason=reason, landed=landing.is_landed()), reason=reason
    )
