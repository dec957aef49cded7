"""What a run is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from kitty_flow.agents.command import AgentSpec
from kitty_flow.flow.policies import Policies
from kitty_flow.flow.steps import Schedule

__all__ = ["RunOptions"]


@dataclass(frozen=True)
class RunOptions:
    """Who works, how many at once, and how far.

    `until` is the last wave to be driven; `max_attempts` how often a work package is tried before a person has to look.
    `policies` name the agents with their fallbacks, and what holds when they fail or cost too much.
    `join`: help a run that is alive, instead of being refused. `wait`: stay while others hold work packages.
    """

    implementer: AgentSpec
    reviewer: AgentSpec | None
    jobs: int = 2
    schedule: Schedule = "waves"
    until: int | None = None
    max_attempts: int = 3
    join: bool = False
    wait: bool = False
    policies: Policies | None = None

    @property
    def rules(self) -> Policies:
        """What holds for failures, quotas and budgets; without `policies`, the two agents and no limits."""
        reviewers = () if self.reviewer is None else (self.reviewer,)
        return self.policies or Policies((self.implementer,), reviewers, max_attempts=self.max_attempts)
