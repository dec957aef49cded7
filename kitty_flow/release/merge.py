"""Merging a mission: the steps of `dags/pipelines/merge.toml` in order, each behind its gates, each resumable.

There is one commit point, the compare-and-swap of the target. The ledger knows the candidate before it and the landing
after it; a merge that was killed looks at the target first and goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kitty_flow.errors import ConflictError, KittyFlowError, RefusedError
from kitty_flow.flow.actor import current_user
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.life import accept_if_finished
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.run import run_lock
from kitty_flow.flow.workspace import workspace_path
from kitty_flow.git.refs import RefMovedError
from kitty_flow.ledger.fold import LedgerView
from kitty_flow.ledger.ledger import Batch, new_ulid
from kitty_flow.machines import Facts, dag, step_order
from kitty_flow.model.gate import GateResult
from kitty_flow.release.candidate import build_candidate, check_test_command, run_tests
from kitty_flow.release.gates import check_gates
from kitty_flow.release.landing import Landing, MergeOptions, open_landing, record_step

__all__ = ["MergeReport", "merge_mission"]

_DONE_BY = {"prepared": ("preflight", "candidate"), "tested": ("preflight", "candidate", "test")}


@dataclass(frozen=True)
class MergeReport:
    """What landed, where, and on what evidence."""

    merge_id: str
    target_ref: str
    before: str | None
    landed_commit: str
    tested_tree: str
    landed_work_packages: tuple[str, ...]
    gates: tuple[GateResult, ...]
    remarks: tuple[str, ...]
    resumed: bool
    test_log: str | None

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        data = dict(self.__dict__)
        data["gates"] = [g.model_dump(exclude_defaults=True) for g in self.gates]
        return data


def merge_mission(mission: OpenMission, options: MergeOptions) -> MergeReport:
    """Land an accepted mission on its target, or finish a landing that was interrupted.

    Raises:
        RefusedError: a gate is closed; the target did not move.
        ConflictError: LOCK_TIMEOUT, or TARGET_MOVED at the last moment.
        ExternalToolError: the test command cannot be found.
    """
    with run_lock(mission):
        accept_if_finished(mission, run_id=None)
        landing = _take_up(mission, options)
        resumed = landing.state is not None
        done = _done_steps(landing)
        pipeline = dag("pipeline", "merge")
        for step in step_order(pipeline):
            if step in done:
                continue
            try:
                check_gates(landing, pipeline.gates_before(step))
                _STEPS[step](landing)
            except KittyFlowError as error:
                _refuse(landing, error)
                raise
        _tidy(landing)
        run = landing.test_run
        return MergeReport(
            landing.id,
            mission.target_ref,
            landing.target_commit,
            landing.candidate_commit,
            landing.candidate_tree,
            _approved(mission, mission.view(), ("done",)),
            tuple(landing.gates),
            tuple(landing.remarks),
            resumed,
            run.log_path if run else None,
        )


def _take_up(mission: OpenMission, options: MergeOptions) -> Landing:
    """The interrupted landing if it can still go on, otherwise a new one; an outdated one is closed first."""
    refs = mission.project.repository.refs
    target, head = refs.commit(mission.target_ref), refs.commit(mission.branch)
    landing = open_landing(mission, options)
    if landing is not None:
        if landing.state == "landed" or landing.is_landed():
            return landing
        tested = landing.test_run
        if tested is not None and options.test_command not in (None, tested.command):
            reason = "another test command was given"
        elif (landing.target_commit, landing.mission_head) == (target, head):
            return landing
        else:
            reason = "the target or the mission moved since this landing was prepared"
        record_step(
            landing, "refuse", evidence={"reason": reason}, facts=Facts(reason=reason, landed=False), reason=reason
        )
    return Landing(mission, options, new_ulid(), None, target, head)


def _done_steps(landing: Landing) -> tuple[str, ...]:
    if landing.state == "landed":
        return ("preflight", "candidate", "test", "land")
    return _DONE_BY.get(landing.state or "", ())


def _preflight(landing: Landing) -> None:
    check_test_command(landing)


def _candidate(landing: Landing) -> None:
    build_candidate(landing)
    if landing.conflicts:
        return  # the gate before the next step says so, with the paths
    _check_checkouts(landing)
    evidence = {
        "target_ref": landing.mission.target_ref,
        "target_commit_before": landing.target_commit,
        "mission_head": landing.mission_head,
        "candidate_commit": landing.candidate_commit,
        "candidate_tree": landing.candidate_tree,
        "strategy": "merge",
    }
    record_step(landing, "prepare", evidence=evidence, facts=Facts(failed_gates=()))


def _test(landing: Landing) -> None:
    run = run_tests(landing)
    landing.test_run = run
    if not run.passed:
        return  # the gate before the landing says so
    evidence = {
        "tested_tree": landing.candidate_tree,
        "test_command": list(run.command),
        "test_exit_status": run.exit_status,
        "test_duration_ms": round(run.duration_s * 1000),
        "test_log": run.log_path,
    }
    facts = Facts(failed_gates=(), candidate_tree=landing.candidate_tree, tested_tree=landing.candidate_tree)
    record_step(landing, "test", evidence=evidence, facts=facts)


def _land(landing: Landing) -> None:
    """The commit point. Before the swap nothing has moved; after it, everything else can be derived again."""
    mission = landing.mission
    before, new = str(landing.target_commit), landing.candidate_commit
    if not landing.is_landed():
        _check_checkouts(landing)
        try:
            mission.project.repository.refs.swap(mission.target_ref, new, before, is_ours=True)
        except RefMovedError as error:
            raise ConflictError(
                "TARGET_MOVED",
                f"{mission.target_ref} moved while the tests ran; nothing landed",
                hint=f"kitty-flow merge {mission.slug}",
                details=error.details,
            ) from error
    for checkout in landing.checkouts():
        # Idempotent: a merge killed between the swap and here brings the checkout along when it is run again.
        if checkout.can_move(before, new):
            checkout.move(before, new)
        else:
            landing.remarks.append(f"{checkout.path} was edited meanwhile and does not show the landed commit yet")
    tree = mission.project.history.tree(new)
    evidence = {"target_ref": mission.target_ref, "target_commit": new, "landed_tree": tree}
    facts = Facts(failed_gates=(), tested_tree=landing.candidate_tree, landed_tree=tree)
    record_step(landing, "land", evidence=evidence, facts=facts)


def _prove(landing: Landing) -> None:
    """Close the work packages whose heads are proved to be on the target, and the mission with them: one batch."""
    mission = landing.mission
    target = mission.project.repository.refs.commit(mission.target_ref)
    evidence = {
        "target_ref": mission.target_ref,
        "target_commit": landing.candidate_commit,
        "tested_tree": landing.candidate_tree,
        "merge_id": landing.id,
    }

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=current_user(), correlation_id=landing.id)
        proved = Facts(actor=current_user(), landing_proved=landing.is_landed())
        landing.state = builder.transition("merge", landing.id, "prove", proved, evidence=evidence)
        for work_package_id in _approved(mission, view, ("approved",)):
            head = str(mission.work_package(work_package_id, view).facts.get("head_commit"))
            on_target = mission.project.history.is_ancestor(head, str(target))
            facts = Facts(landing_proved=on_target)
            builder.transition("work_package", work_package_id, "land", facts, evidence=evidence)
        builder.transition("mission", mission.id, "merge", proved, evidence=evidence)
        return builder.build()

    mission.ledger.record(build)


_STEPS: dict[str, Callable[[Landing], None]] = {
    "preflight": _preflight,
    "candidate": _candidate,
    "test": _test,
    "land": _land,
    "prove": _prove,
}


def _approved(mission: OpenMission, view: LedgerView, states: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(i for i in mission.plan.merge_order if mission.work_package(i, view).state in states)


def _check_checkouts(landing: Landing) -> None:
    """Refuse before anything moves when a checkout of the target could not follow."""
    for checkout in landing.checkouts():
        if not checkout.can_move(str(landing.target_commit), landing.candidate_commit):
            raise RefusedError(
                "CHECKOUT_WOULD_LOSE_EDITS",
                f"{checkout.path} has files that the landing would overwrite",
                hint=f"move or commit them (git status), then kitty-flow merge {landing.mission.slug}",
                details={"checkout": str(checkout.path)},
            )


def _refuse(landing: Landing, error: KittyFlowError) -> None:
    """Close a landing that got as far as the ledger and may not go on; a landed one stays open to be finished."""
    if (
        landing.state in ("prepared", "tested")
        and isinstance(error, RefusedError | ConflictError)
        and not landing.is_landed()
    ):
        reason = error.message[:2000]
        evidence = {"reason": reason, "failed_gates": [g.gate for g in landing.gates if g.outcome != "pass"]}
        record_step(landing, "refuse", evidence=evidence, facts=Facts(reason=reason, landed=False), reason=reason)
    if landing.test_run is not None and not landing.test_run.passed:
        error.details["test_log"] = landing.test_run.log_path
        error.details["test_output"] = landing.test_run.tail


def _tidy(landing: Landing) -> None:
    """Remove the mission's worktrees whose commit is on the target and that have no unsaved work; keep the others."""
    mission = landing.mission
    for lane in mission.plan.execution_lanes:
        checkout = mission.project.worktrees.at(workspace_path(mission, lane.id))
        if checkout is None:
            continue
        reachable = mission.project.history.is_ancestor(str(checkout.head), landing.candidate_commit)
        if not reachable or not mission.project.worktrees.remove(checkout):
            landing.remarks.append(f"kept the worktree {checkout.path}: it has work that did not land")
