"""Picking up after a run that died: kill what it left running, keep what is worth keeping, give the rest back.

What a living run of this clone holds, and what an agent took through `next`, is not touched.
"""

from __future__ import annotations

from kitty_flow.agents.result import read_implement_result, read_review_result
from kitty_flow.errors import KittyFlowError, LedgerError
from kitty_flow.flow.claim import Claim
from kitty_flow.flow.ending import came_to_nothing
from kitty_flow.flow.give_back import give_back
from kitty_flow.flow.implement import conclude
from kitty_flow.flow.invocation import Invocation, rebuild_invocation
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.outcome import AttemptFailure
from kitty_flow.flow.policies import Policies
from kitty_flow.flow.policy.follow import Follow, nothing_follows
from kitty_flow.flow.review import close_failed, conclude_review
from kitty_flow.flow.run_lock import holding_run, is_alive
from kitty_flow.flow.workspace import describe
from kitty_flow.ledger.view import EntityState

__all__ = ["recover"]


def recover(mission: OpenMission, policies: Policies, *, run_id: str) -> tuple[str, ...]:
    """Bring every work package that a dead run held into a state to go on from; returns their ids."""
    recovered = []
    for name in mission.view().of_type("work_package"):
        view = mission.view()
        entity = mission.recorded_work_package(name, view)
        holder = holding_run(entity, view)
        if holder is None or is_alive(mission, holder):
            continue
        if entity.state in ("claimed", "in_progress") and entity.last_event.writer == mission.ledger.store.writer:
            _recover_attempt(mission, entity, policies, run_id)
            recovered.append(name)
        elif entity.state == "in_review" and _recover_review(mission, entity, policies, run_id):
            recovered.append(name)
    return tuple(recovered)


def _recover_attempt(mission: OpenMission, entity: EntityState, policies: Policies, run_id: str) -> None:
    """An agent that had written a valid result before the run died has done its part: its work is judged as usual."""
    invocation_id = str(entity.facts.get("invocation_id")) if entity.state == "in_progress" else None
    invocation = _left_over(mission, entity, invocation_id) if invocation_id else None
    if invocation is not None and _concluded(mission, invocation, policies, run_id):
        return
    lost = AttemptFailure("RUN_LOST", "the run that held it ended without giving it back", False)
    follow: Follow = nothing_follows
    if invocation is not None:
        follow = came_to_nothing(mission, policies, invocation, None, None, lost)[1]
    give_back(mission, Claim.on(entity), invocation_id, lost.code, lost.message, run_id=run_id, follow=follow)


def _left_over(mission: OpenMission, entity: EntityState, invocation_id: str) -> Invocation | None:
    """The invocation that a dead run left, with nothing of it at work any more; None when its worktree is gone."""
    from kitty_flow.agents.group import kill_invocation

    kill_invocation(invocation_id)
    try:
        return rebuild_invocation(mission, entity.entity_id, invocation_id, "implement")
    except LedgerError:
        raise
    except KittyFlowError:
        return None


def _concluded(mission: OpenMission, invocation: Invocation, policies: Policies, run_id: str) -> bool:
    """Whether a left-over invocation could be judged; what one agent broke must not stop the others' recovery."""
    try:
        if not _finished(invocation):
            return False
        conclude(mission, invocation, None, policies, run_id=run_id)
    except LedgerError:
        raise
    except KittyFlowError:
        return False
    return True


def _recover_review(mission: OpenMission, entity: EntityState, policies: Policies, run_id: str) -> bool:
    from kitty_flow.agents.group import kill_invocation

    invocation_id = str(entity.facts.get("review_invocation_id", ""))
    known = mission.view().entity("invocation", invocation_id)
    if known is None or known.state != "started" or known.last_event.writer != mission.ledger.store.writer:
        return False
    kill_invocation(invocation_id)
    name = entity.entity_id
    lane = mission.plan.placements[name].execution_lane
    head = str(entity.facts.get("head_commit"))
    gone = describe(mission, lane, head, work_package_id=name, epoch=entity.epoch)
    invocation = rebuild_invocation(mission, name, invocation_id, "review", gone)
    if invocation is None:
        return False
    if _finished(invocation):
        conclude_review(mission, invocation, None, policies, run_id=run_id)
    else:
        lost = AttemptFailure("INTERRUPTED", "the run that watched it ended", False)
        follow = came_to_nothing(mission, policies, invocation, None, None, lost)[1]
        close_failed(mission, invocation, lost.code, lost.message, run_id, follow=follow)
    return True


def _finished(invocation: Invocation) -> bool:
    try:
        if invocation.action == "implement":
            read_implement_result(invocation.result_path)
        else:
            read_review_result(invocation.result_path)
    except KittyFlowError:
        return False
    return True
