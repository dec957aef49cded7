"""What the settings say about failures, quotas and cost, put to the facts of the ledger.

Who makes the next attempt, and what follows from one that ended. Everything here is decided on one view and recorded
with the end of the attempt, in the same commit: a run that is killed and started again knows what it knew.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.settings_pools import PoolSettings
from kitty_flow.flow.lease import Now
from kitty_flow.flow.outcome import AttemptFailure
from kitty_flow.flow.policy.breaker import POOL_PARKED, park, parked_pools, pause_of
from kitty_flow.flow.policy.budget import Limits, Overrun, Spent, added, spent_by, spent_on
from kitty_flow.flow.policy.fallback import Choice, choose
from kitty_flow.flow.policy.follow import Annotation, Consequence
from kitty_flow.flow.policy.retry import (
    MAY_PASS,
    NOT_COUNTED,
    QUOTA_EXHAUSTED,
    RETRY_SCHEDULED,
    RetryRule,
    count_failure,
    failures,
    forgive,
    not_forgiven,
    schedule,
)
from kitty_flow.ledger.view import EntityState, LedgerView

if TYPE_CHECKING:
    from kitty_flow.agents.process import ProcessOutcome
    from kitty_flow.flow.invocation import Action

__all__ = [
    "Ended",
    "Policies",
    "consequence",
    "overrun",
    "pool_of",
    "quota_failure",
    "spent_with",
]


def pool_of(agent: AgentSpec) -> str:
    """The credential pool that an agent draws on; without one it is its own."""
    return agent.pool or agent.name


class Policies(NamedTuple):
    """The rules of one run. `implementers` and `reviewers` are chains: who was asked for, then the fallbacks."""

    implementers: tuple[AgentSpec, ...]
    reviewers: tuple[AgentSpec, ...] = ()
    retry: RetryRule = RetryRule(5.0, 300.0)
    max_attempts: int = 3
    limits: Limits = Limits()
    work_package_limits: Limits = Limits("work_package_max_")
    pools: Mapping[str, PoolSettings] = MappingProxyType({})
    allow_self_review: bool = False

    def chain(self, action: Action) -> tuple[AgentSpec, ...]:
        """The agents for this action, in the order in which they are asked."""
        return self.implementers if action == "implement" else self.reviewers

    def not_by(self, action: Action, entity: EntityState) -> str | None:
        """Who must not do it: nobody reviews their own work, unless the settings allow it."""
        return str(entity.facts.get("implementer", "")) if action == "review" and not self.allow_self_review else None

    def pool(self, name: str) -> PoolSettings:
        """The settings of a pool; defaults for one that has no table."""
        return self.pools.get(name) or PoolSettings()

    def choose(self, action: Action, entity: EntityState, mission: EntityState | None, at: Now) -> Choice:
        """Who of the chain makes the next attempt at the work package, or how long there is nobody."""
        chain = self.chain(action)
        parked = {p.pool: p.left_s for p in parked_pools(mission, at)}
        return choose(
            chain,
            failures(entity, action),
            lambda index: parked.get(pool_of(chain[index]), 0.0),
            not_by=self.not_by(action, entity),
        )


class Ended(NamedTuple):
    """An attempt or a review that came to nothing: by whom, why, and what it used.

    `resets_at` is when the quota is back, for QUOTA_EXHAUSTED, if the agent told.
    """

    action: Action
    agent: AgentSpec
    invocation_id: str
    code: str
    message: str
    spent: Spent
    at: Now
    resets_at: datetime | None = None


def consequence(
    policies: Policies, ended: Ended, entity: EntityState, view: LedgerView, mission_id: str
) -> Consequence:
    """What follows from the end of an attempt for the work package, its next attempt, and the pool."""
    evidence = added(entity, ended.spent)
    if ended.code == QUOTA_EXHAUSTED:
        return Consequence(evidence, (_parking(policies, ended, view, mission_id),))
    if ended.code in NOT_COUNTED:
        return Consequence(evidence)
    agent, action = ended.agent, ended.action
    # One that cannot even be started need not be tried again on this work package.
    times = agent.retries + 1 if ended.code == "AGENT_NOT_STARTED" else 1
    counted = count_failure(entity, action, agent.name, times=times)
    failed = counted[f"{action}_failures"]["by_agent"]
    chain = policies.chain(action)
    chosen = choose(chain, failed, lambda index: 0.0, not_by=policies.not_by(action, entity)).chosen
    evidence |= counted
    if chosen is not None and chain[chosen].name != agent.name and failed.get(chain[chosen].name, 0) == 0:
        # The next of the chain starts with all attempts.
        if action == "implement":
            evidence["attempts_before"] = entity.counts.get("start", 0)
        else:
            evidence |= forgive(counted, action)
        return Consequence(evidence)
    if ended.code not in MAY_PASS or policies.retry.first_s <= 0 or _is_last(policies, action, entity, counted):
        return Consequence(evidence)
    retry = sum(failed.values())
    state = "planned" if action == "implement" else "in_review"
    delay = policies.retry.delay(retry, ended.invocation_id)
    planned = schedule(entity, state, retry, ended.code, agent.name, delay, ended.at)
    return Consequence(evidence, (Annotation("work_package", entity.entity_id, RETRY_SCHEDULED, planned),))


def _is_last(policies: Policies, action: Action, entity: EntityState, counted: Mapping[str, Any]) -> bool:
    """Whether no attempt is left after this one, so that there is nothing to wait for."""
    if action == "review":
        return not_forgiven(counted, action) >= policies.max_attempts
    return entity.counts.get("start", 0) - int(entity.facts.get("attempts_before", 0)) >= policies.max_attempts


def _parking(policies: Policies, ended: Ended, view: LedgerView, mission_id: str) -> Annotation:
    name = pool_of(ended.agent)
    pause = pause_of(ended.resets_at, policies.pool(name).quota_pause_s, ended.invocation_id, ended.at)
    mission = view.entity("mission", mission_id)
    evidence = park(mission, name, ended.agent.name, ended.message, pause, ended.at)
    return Annotation("mission", mission_id, POOL_PARKED, evidence)


def quota_failure(agent: AgentSpec, outcome: ProcessOutcome, at: Now) -> tuple[AttemptFailure, datetime | None] | None:
    """Whether a process that failed did so because the quota of its tool is used up, and when it is back if told."""
    from kitty_flow.agents.quota import quota_hit

    hit = quota_hit(agent.preset, outcome.tail, at.wall)
    if hit is None:
        return None
    message = f"{agent.name} has no quota left: {hit.reason[:500]}"
    return AttemptFailure(QUOTA_EXHAUSTED, message, False), hit.resets_at


def overrun(
    policies: Policies, view: LedgerView, entity: EntityState, at_work: Mapping[str, Spent] = MappingProxyType({})
) -> Overrun | None:
    """The limit that is reached for the work package, its own or the mission's; None when there is something left.

    `at_work` is what agents that have not ended yet have used so far, by work package.
    """
    if policies.limits.given:
        reached = policies.limits.reached(spent_with(view, at_work))
        if reached is not None:
            return reached
    own = spent_on(entity).plus(at_work.get(entity.entity_id, Spent()))
    return policies.work_package_limits.reached(own)


def spent_with(view: LedgerView, at_work: Mapping[str, Spent]) -> Spent:
    """What the mission has cost so far, with what agents at work have used."""
    total = spent_by(view.of_type("work_package").values())
    for spent in at_work.values():
        total = total.plus(spent)
    return total
