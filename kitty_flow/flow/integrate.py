"""Integration of approved work into the mission branch: a merge without a checkout and one compare-and-swap."""

from __future__ import annotations

from datetime import UTC, datetime

from kitty_flow.errors import ConflictError, LedgerError, RefusedError
from kitty_flow.flow.actor import current_user
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.readiness import has_no_head
from kitty_flow.git.identity import OWN_IDENTITY, stamp
from kitty_flow.git.merging import open_merger
from kitty_flow.git.objects import CommitText
from kitty_flow.git.refs import RefMovedError
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.model.text import printable

__all__ = ["integrate", "integration_conflict", "refuse_checked_out_branch", "refuse_without_head"]

_TRIES = 20


def integration_conflict(mission: OpenMission, entity: EntityState) -> str | None:
    """In words, why the submitted head cannot be merged into the mission branch; None when it can."""
    head = str(entity.facts.get("head_commit"))
    tip = mission.project.repository.refs.commit(mission.branch) or head
    if mission.project.history.is_near_ancestor(tip, head):
        return None
    with open_merger(mission.project.repository) as merger:
        merged = merger.merge_trees(tip, head)
    if merged.is_clean:
        return None
    paths = ", ".join(merged.conflicts[:10])
    return (
        f"{entity.entity_id} conflicts with work that was approved in the meantime, in: {paths}. "
        "The next attempt starts from the mission branch, which has that work."
    )


def refuse_checked_out_branch(mission: OpenMission) -> None:
    """The mission branch must not move under a checkout of the user.

    Raises:
        RefusedError: MISSION_BRANCH_CHECKED_OUT.
    """
    for checkout in mission.project.worktrees.on_branch(mission.branch):
        raise RefusedError(
            "MISSION_BRANCH_CHECKED_OUT",
            f"{checkout.path} has the branch of {mission.slug} checked out, which moves with every approval",
            hint=f"git switch another branch in {checkout.path}, then kitty-flow run {mission.slug}",
            details={"checkout": str(checkout.path)},
        )


def refuse_without_head(mission: OpenMission, entity: EntityState) -> None:
    """Work that was handed in elsewhere, and came here with an imported history, cannot be looked at or merged.

    Raises:
        RefusedError: HEAD_UNKNOWN.
    """
    if has_no_head(entity):
        raise RefusedError(
            "HEAD_UNKNOWN",
            f"{entity.entity_id} is {entity.state} by its imported history, and no commit of it is known here",
            hint=f"kitty-flow wp reopen {entity.entity_id} --reason TEXT{mission.option}, to have it done again",
        )


def integrate(mission: OpenMission, work_package_id: str, *, run_id: str | None = None) -> str:
    """Bring the approved head into the mission branch; returns the commit the branch is at. Repeating is harmless.

    Raises:
        ConflictError: INTEGRATION_CONFLICT, other work was integrated since the approval and does not merge;
            BRANCH_BUSY, the branch kept moving.
        RefusedError: MISSION_BRANCH_CHECKED_OUT; HEAD_UNKNOWN.
    """
    refs = mission.project.repository.refs
    entity = mission.work_package(work_package_id)
    refuse_without_head(mission, entity)
    head = str(entity.facts["head_commit"])
    for _ in range(_TRIES):
        tip = refs.commit(mission.branch)
        if tip is None:
            raise LedgerError(
                "MISSION_BRANCH_MISSING",
                f"{mission.branch} is gone; approved work cannot be integrated",
                hint=f"git branch {mission.branch.removeprefix('refs/heads/')} COMMIT, then run again",
            )
        common = mission.project.history.common_ancestor(head, tip)
        if common == head:
            _note(mission, work_package_id, tip, run_id)
            return tip
        refuse_checked_out_branch(mission)
        new = head if common == tip else _merge(mission, entity, tip, head)
        try:
            refs.swap(mission.branch, new, tip)
        except RefMovedError as error:
            if error.is_locked:  # it was waited for already
                break
    raise ConflictError(
        "BRANCH_BUSY", f"{mission.branch} kept moving, or is locked", hint=f"kitty-flow run {mission.slug}"
    )


def _merge(mission: OpenMission, entity: EntityState, tip: str, head: str) -> str:
    with open_merger(mission.project.repository) as merger:
        merged = merger.merge_trees(tip, head)
    if not merged.is_clean:
        raise ConflictError(
            "INTEGRATION_CONFLICT",
            f"{entity.entity_id} conflicts with the mission branch in {', '.join(merged.conflicts[:10])}",
            hint=f"kitty-flow wp reopen {entity.entity_id} --reason TEXT",
            details={"conflicts": list(merged.conflicts)},
        )
    title = mission.definition.work_package(entity.entity_id).title
    now = stamp(mission.project.repository.identity or OWN_IDENTITY, datetime.now(UTC))
    message = f"Merge {entity.entity_id}: {printable(title)}\n\nMission: {mission.slug}\n"
    with mission.project.repository.objects() as objects:
        return objects.write_commit(CommitText(merged.tree, (tip, head), now, now, message))


def _note(mission: OpenMission, work_package_id: str, tip: str, run_id: str | None) -> None:
    def build(view: LedgerView) -> Batch:
        entity = mission.work_package(work_package_id, view)
        if entity.facts.get("integrated_head") == entity.facts.get("head_commit"):
            return Batch(())
        builder = BatchBuilder(view, actor=current_user(), correlation_id=run_id)
        evidence = {
            "integrated_head": entity.facts.get("head_commit"),
            "integrated_commit": tip,
            "mission_branch": mission.branch,
        }
        builder.annotate("work_package", work_package_id, "integrate", evidence=evidence)
        return builder.build()

    mission.ledger.record(build)
