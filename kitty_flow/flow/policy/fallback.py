"""Which agent gets the next attempt: the first of a chain that may, can, and has not failed too often."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from kitty_flow.model.text import is_same_actor

__all__ = ["Candidate", "Choice", "choose"]


class Candidate(Protocol):
    """What is looked at of an agent."""

    @property
    def name(self) -> str:
        """Its name in the ledger."""

    @property
    def retries(self) -> int:
        """How often it may try again after its first failure, before the next of the chain gets its turn."""


class Choice(NamedTuple):
    """Who gets the next attempt: `chosen`, an index in the chain, or nobody now.

    Then `wait_s` is the time in seconds until the first of them can, or None when nobody of the chain may do it at all.
    """

    chosen: int | None
    wait_s: float | None = None


def choose(
    chain: Sequence[Candidate],
    failed: Mapping[str, int],
    parked_s: Callable[[int], float],
    *,
    not_by: str | None = None,
) -> Choice:
    """Choose from the chain, the agent that was asked for first and its fallbacks after it.

    Args:
        failed: failures at this work package by name of the agent.
        parked_s: seconds for which the pool of the agent at an index is parked; 0 for a pool that is open.
        not_by: an actor who must not do it: the implementer, when a reviewer is chosen.
    """
    allowed = [i for i, agent in enumerate(chain) if not_by is None or not is_same_actor(agent.name, not_by)]
    fresh = [i for i in allowed if failed.get(chain[i].name, 0) <= chain[i].retries]
    # When everybody has failed too often, who failed least goes on until the attempts are used up.
    order = fresh or sorted(allowed, key=lambda i: failed.get(chain[i].name, 0))
    if not order:
        return Choice(None)
    waits = {i: parked_s(i) for i in order}
    free = next((i for i in order if waits[i] <= 0.0), None)
    return Choice(free) if free is not None else Choice(None, min(waits.values()))
