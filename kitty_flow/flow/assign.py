"""Who does a step of a run: the agent that the policies choose, unless it or its pool has enough to do already."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, NamedTuple

from kitty_flow.agents.command import AgentSpec
from kitty_flow.flow.invocation import Action
from kitty_flow.flow.lease import Now, now
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.outcome import AttemptFailure
from kitty_flow.flow.policies import Policies, overrun, pool_of
from kitty_flow.flow.policy.breaker import parked_pools
from kitty_flow.flow.policy.budget import Overrun
from kitty_flow.flow.policy.retry import retry_wait
from kitty_flow.flow.steps import Step
from kitty_flow.ledger.view import EntityState, LedgerView

__all__ = ["Assigner", "Assignment", "assign", "exhaustion", "out_of_budget"]

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


class Assigner:
    """Gives the steps of one run to agents, and remembers who is at work and what is held up.

    `held_up` is why nobody does the step of a work package, as of the last look; `spent_out` the limit of the mission's
    budget for which this run began nothing more.
    """

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self._at_work: dict[str, AgentSpec] = {}
        self._waits: list[float] = []
        self.held_up: dict[str, AttemptFailure] = {}
        self.spent_out: Overrun | None = None

    def look_again(self) -> None:
        """Forget what the last look found."""
        self.held_up, self._waits = {}, []

    def assign(self, step: Step, mission: OpenMission, view: LedgerView) -> Assignment:
        """Who does a step; nobody has to for those that need no agent."""
        if step.kind not in ("implement", "review"):
            return Assignment()
        name = step.work_package_id
        entity, whole = mission.work_package(name, view), view.entity("mission", mission.id)
        found = assign(self._policies, step.kind, entity, view, whole, now(), self._at_work.values())
        if found.why is not None:
            self.held_up[name] = found.why
        if found.wait_s is not None:
            self._waits.append(found.wait_s)
        if found.reached is not None and not found.ends_it:
            self.spent_out = found.reached
        return found

    def begun(self, work_package_id: str, agent: AgentSpec | None) -> None:
        """Count an agent among those at work."""
        if agent is not None:
            self._at_work[work_package_id] = agent

    def ended(self, work_package_id: str) -> None:
        """Who worked on it is free again."""
        self._at_work.pop(work_package_id, None)

    def wait_s(
        self, mission: OpenMission, view: LedgerView, closed: Collection[str], until: int | None
    ) -> float | None:
        """Seconds until something can be begun that could not be begun now; None when nothing passes by itself.

        Args:
            closed: work packages on which the run does nothing any more.
            until: the last wave to be driven.
        """
        if self.spent_out is not None or mission.state(view) != "running":
            return None
        at, placements = now(), mission.plan.placements
        ids = [w.id for w in mission.definition.work_packages if w.id not in closed]
        ids = [i for i in ids if until is None or placements[i].wave <= until]
        retries = [retry_wait(mission.work_package(i, view), at) for i in ids]
        return min([wait for wait in (*self._waits, *retries) if wait > 0], default=None)


def exhaustion(reached: Overrun, mission: EntityState | None) -> dict[str, Any]:
    """The evidence of `budget_exhausted`, which holds until another run has begun."""
    return {
        "budget_key": reached.key,
        "budget_limit": reached.limit,
        "budget_used": reached.used,
        "exhausted_in_run": mission.counts.get("run_started", 0) if mission is not None else 0,
    }


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
