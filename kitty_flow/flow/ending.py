"""How an invocation that came to nothing is judged: was it the agent, its quota, or the budget that ran out?"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from kitty_flow.agents.process import ProcessOutcome
from kitty_flow.flow.invocation import Invocation
from kitty_flow.flow.lease import now
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.outcome import AttemptFailure
from kitty_flow.flow.policies import Ended, Policies, consequence, quota_failure
from kitty_flow.flow.policy.budget import Spent, added
from kitty_flow.flow.policy.follow import Consequence, Follow, nothing_follows
from kitty_flow.flow.spending import spent_by_process, spent_in, spent_on_record, told_of
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.model.result import ImplementResult, ReviewResult

__all__ = ["came_to_nothing", "only_on_record", "only_spent", "timed"]


def timed(invocation: Invocation, outcome: ProcessOutcome | None) -> Invocation:
    """The invocation with the time that its process took; `outcome` is None when nobody watched it end."""
    return invocation if outcome is None else replace(invocation, worked=spent_by_process(outcome, now()))


def only_spent(invocation: Invocation, result: ImplementResult | ReviewResult | None) -> Follow:
    """Records what the invocation used, and nothing more: where no run decides what comes next."""
    return _only(spent_in(invocation, result))


def only_on_record(invocation: EntityState | None) -> Follow:
    """The same for an invocation that a person ends, as far as its log on this machine tells."""
    return nothing_follows if invocation is None else _only(spent_on_record(invocation))


def _only(spent: Spent) -> Follow:
    return lambda entity, view: Consequence(added(entity, spent), used=told_of(spent))


def came_to_nothing(
    mission: OpenMission,
    policies: Policies,
    invocation: Invocation,
    outcome: ProcessOutcome | None,
    result: ImplementResult | ReviewResult | None,
    failure: AttemptFailure,
) -> tuple[AttemptFailure, Follow]:
    """The failure as it is to be recorded, and what is recorded with it."""
    at, spent = now(), spent_in(invocation, result)
    resets_at: datetime | None = None
    if outcome is not None and result is None:
        quota = quota_failure(invocation.agent, outcome, at)
        if quota is not None:
            failure, resets_at = quota

    def follow(entity: EntityState, view: LedgerView) -> Consequence:
        ended = Ended(
            invocation.action,
            invocation.agent,
            invocation.id,
            failure.code,
            failure.message,
            spent,
            at,
            resets_at,
        )
        return consequence(policies, ended, entity, view, mission.id)._replace(used=told_of(spent))

    return failure, follow
