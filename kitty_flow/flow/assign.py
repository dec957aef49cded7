"""Who does a step of a run: the agent that the policies choose, unless it or its pool has enough to do already."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from kitty_flow.agents.command import AgentSpec
from kitty_flow.flow.invocation import Action
from kitty_flow.flow.lease import Now
from kitty_flow.flow.outcome import AttemptFailure
from kitty_flow.flow.policies import Policies, overrun, pool_of
from kitty_flow.flow.policy.breaker import parked_pools
from kitty_flow.flow.policy.budget import Overrun
from kitty_flow.flow.policy.retry import retry_wait
from kitty_flow.ledger.view import EntityState, LedgerView

__all__ = ["Assignment", "assign", "out_of_budget"]

_BUSY: Final = "AGENT_BUSY"


class Assignment(NamedTuple):
    """Who does a step. Without an `agent`, `why` tells why not; after `wait_s` seconds that passes by itself.

    `ends_it`: nothing that this run could wait for changes it, so that the work package is blocked. `reached` is the
    limit that stands in the way.
    """

    agent: AgentSpec | None = None
    why: AttemptFailure | None = None
    wait_s: float | None = None
    ends_it: bool = False
    reached: Overrun | None = None


def assign(
    policies: Policies,
    action: Action,
    entity: EntityState,
    view: LedgerView,
    mission: EntityState | None,
    at: Now,
    at_work: Collection[AgentSpec],
) -> Assignment:
    """The agent for the next attempt or review of a work package, as one view has it."""
    name = entity.entity_id
    reached = overrun(policies, view, entity)
    if reached is not None:
        return Assignment(None, out_of_budget(name, reached), None, reached.key.startswith("work_package_"), reached)
    wait = retry_wait(entity, at)
    if wait > 0:
        return Assignment(None, AttemptFailure("RETRY_LATER", f"{name} waits for its next attempt", False), wait)
    choice = policies.choose(action, entity, mission, at)
    if choice.chosen is None:
        if choice.wait_s is None:
            who = entity.facts.get("implementer")
            message = f"{name} waits for a reviewer other than {who}, who implemented it"
            return Assignment(None, AttemptFailure("SELF_REVIEW", message, False))
        parked = ", ".join(f"{p.pool} until {p.until}" for p in parked_pools(mission, at))
        message = f"{name} waits for a credential pool that is parked: {parked}"
        return Assignment(None, AttemptFailure("POOL_PARKED", message, False), choice.wait_s)
    agent = policies.chain(action)[choice.chosen]
    if _has_enough(policies, agent, at_work):
        return Assignment(None, AttemptFailure(_BUSY, f"{name} waits until {agent.name} is free", False))
    return Assignment(agent)


def _has_enough(policies: Policies, agent: AgentSpec, at_work: Collection[AgentSpec]) -> bool:
    """Whether the agent or its pool does as much as the settings let it do at once."""
    pool = pool_of(agent)
    limit = policies.pool(pool).concurrency
    same = sum(other.name == agent.name for other in at_work)
    if agent.concurrency is not None and same >= agent.concurrency:
        return True
    return limit is not None and sum(pool_of(other) == pool for other in at_work) >= limit


def out_of_budget(work_package_id: str, reached: Overrun) -> AttemptFailure:
    """Why no agent is started, or why one was ended, and what lets it go on."""
    message = f"{work_package_id}: {reached.sentence()}; raise {reached.key} in .kitty-flow/config.toml"
    return AttemptFailure("BUDGET_EXHAUSTED", message, False)
