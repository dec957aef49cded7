"""Handing work in: what is in the worktree is looked at, and the head goes on record for review."""

from __future__ import annotations

from typing import NamedTuple

from kitty_flow.errors import RefusedError
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.guard import diagnosed, legible
from kitty_flow.flow.invocation import Invocation
from kitty_flow.flow.late_report import report_command
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.outcome import usage
from kitty_flow.flow.planning_checkout import free
from kitty_flow.flow.policy.budget import added
from kitty_flow.flow.spending import spent_in
from kitty_flow.graph.ownership import owns
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import LedgerView
from kitty_flow.machines import Facts
from kitty_flow.model.mission import WorkPackage
from kitty_flow.model.result import ImplementResult

__all__ = ["submit"]


def submit(mission: OpenMission, invocation: Invocation, result: ImplementResult, *, run_id: str | None = None) -> None:
    """Record the submission of the worktree's head; of the base itself, for work that changes no files.

    Raises:
        RefusedError: a guard says no: nothing committed, tree not clean, files outside ownership, open subtasks;
            SUMMARY_MISSING, the summary is all that is handed in, and it is empty.
    """
    work_package = mission.definition.work_package(invocation.work_package_id)
    base = invocation.base_commit
    has_files = invocation.workspace.place != "scratch"
    if not has_files and not result.summary.strip():
        raise _nothing_to_review(mission, invocation)
    work = _look(mission, invocation) if has_files else _Work(base, (), is_clean=True)
    changed = work.changed
    spent = spent_in(invocation, result)

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=invocation.agent.name, correlation_id=run_id)
        entity = mission.work_package(work_package.id, view)
        facts = Facts(
            actor=invocation.agent.name,
            epoch=invocation.epoch,
            current_epoch=invocation.claim.current_epoch(entity),
            base_commit=base,
            head_commit=work.head,
            worktree_clean=work.is_clean,
            out_of_scope_paths=_out_of_scope(work_package, changed),
            open_subtasks=_open_subtasks(work_package, result),
            changes=has_files,
        )
        evidence = {
            "head_commit": work.head,
            "base_commit": base,
            "changed_files": [legible(path) for path in changed[:100]],
            "changed_file_count": len(changed),
            "summary": result.summary[:4000],
            "implementer": invocation.agent.name,
            "subtasks_reported": bool(result.subtasks),
            "last_failure": None,
            **added(entity, spent),
        }
        builder.transition("work_package", work_package.id, "submit", facts, epoch=invocation.epoch, evidence=evidence)
        builder.transition(
            "invocation",
            invocation.id,
            "complete",
            Facts(outcome=result.outcome),
            epoch=invocation.epoch,
            evidence=usage(result.outcome, result, spent),
        )
        return builder.build()

    with diagnosed(mission.definition, work_package.id, changed):
        mission.ledger.record(build)
    if invocation.workspace.place == "checkout":
        free(mission, invocation.claim.id)


def _nothing_to_review(mission: OpenMission, invocation: Invocation) -> RefusedError:
    name, path = invocation.work_package_id, str(invocation.result_path)
    return RefusedError(
        "SUMMARY_MISSING",
        f"{name} changes no files: the summary of its result is all there is to review, and there is none",
        hint=f"write it into {path}, then: {report_command(mission, invocation.agent.name, path, invocation.action)}",
        details={"work_package_id": name, "path": path},
    )


class _Work(NamedTuple):
    """What was found in a worktree: its head, the paths that differ from the base, whether all is committed."""

    head: str
    changed: tuple[str, ...]
    is_clean: bool


def _look(mission: OpenMission, invocation: Invocation) -> _Work:
    checkout, base = invocation.workspace.checkout, invocation.base_commit
    status = checkout.status()
    head = status.head or checkout.git.text("rev-parse", "--verify", "HEAD")
    history = mission.project.history
    if invocation.workspace.place == "checkout" and status.branch != mission.target_ref:
        raise RefusedError(
            "CHECKOUT_MOVED",
            f"the main checkout is not on {mission.target_branch} any more, on which the work was begun",
            hint=f"git switch {mission.target_branch} in {checkout.path}, then hand the work in again",
        )
    if not history.is_ancestor(base, head):
        name = invocation.work_package_id
        raise RefusedError(
            "HISTORY_REWRITTEN",
            f"the head {head[:12]} of {name} does not contain the base {base[:12]} that it was started from",
            hint=f"kitty-flow wp show {name}",
        )
    return _Work(head, history.changed_paths(base, head), not status.changes)


def _out_of_scope(work_package: WorkPackage, changed: tuple[str, ...]) -> tuple[str, ...]:
    if not work_package.owned_files:
        return ()
    return tuple(legible(path) for path in changed if not owns(work_package.owned_files, path))


def _open_subtasks(work_package: WorkPackage, result: ImplementResult) -> tuple[str, ...]:
    """Declared subtasks that the result does not call done; a result that names none speaks for all of them."""
    if not result.subtasks:
        return ()
    return tuple(s.id for s in work_package.subtasks if result.subtasks.get(s.id, "").lower() != "done")
