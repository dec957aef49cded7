"""When a failed attempt is tried again: a capped, doubled delay that is an event, so that a restarted run waits on.

What is recorded (`retry_scheduled` on the work package) says for which state and claim it holds. A later claim, a
submission or a person's unblock makes it void without any further event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from kitty_flow.flow.lease import Now
from kitty_flow.flow.policy.deadline import Deadline
from kitty_flow.ledger.view import EntityState

__all__ = [
    "MAY_PASS",
    "NOT_COUNTED",
    "QUOTA_EXHAUSTED",
    "RETRY_SCHEDULED",
    "RetryRule",
    "count_failure",
    "failures",
    "failures_against",
    "forgive",
    "fraction",
    "not_forgiven",
    "retry_wait",
    "schedule",
]

RETRY_SCHEDULED: Final = "retry_scheduled"
"""The annotation's name."""

MAY_PASS: Final = frozenset(
    {"AGENT_FAILED", "AGENT_TIMEOUT", "AGENT_STALLED", "AGENT_NOT_STARTED", "RESULT_MISSING", "RESULT_INVALID"}
)
"""Failures that waiting may cure: the agent broke down. What a guard refused, or an agent reports, is rework."""

QUOTA_EXHAUSTED: Final = "QUOTA_EXHAUSTED"
"""The failure code of an attempt that ended for lack of quota."""

NOT_COUNTED: Final = frozenset(
    {
        "INTERRUPTED",
        "RUN_LOST",
        "RELEASED",
        "BUDGET_EXHAUSTED",
        "SETUP_FAILED",
        "COPY_NOT_IGNORED",
        "PROMPT_METADATA_MISMATCH",
        "PROMPT_METADATA_MISSING",
        QUOTA_EXHAUSTED,
    }
)
"""Ends of an attempt that say nothing about its agent: neither an attempt nor a failure."""

_SPREAD: Final = 0.25
_ENDS_A_SERIES: Final = ("submit", "unblock", "reopen")


class RetryRule(NamedTuple):
    """The delay before the first retry in seconds, and the longest one; 0 turns the delay off."""

    first_s: float
    cap_s: float

    def delay(self, retry: int, invocation_id: str) -> float:
        """Seconds before retry number `retry` (from 1): doubled each time, capped, up to a quarter shorter.

        The jitter comes from the id of the failed invocation, so that deciding twice gives the same answer.
        """
        # 2.0 ** 1100 would overflow; a delay that was doubled 64 times is past every cap.
        full = min(self.first_s * 2.0 ** min(retry - 1, 64), self.cap_s)
        return round(full * (1.0 - _SPREAD * fraction(invocation_id)), 3)


def fraction(text: str) -> float:
    """A number from 0 up to 1 that looks random and follows from the text."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:6]) / 2**48


def _series(entity: EntityState) -> int:
    """Changes whenever counting failures starts again: work was handed in, or a person stepped in."""
    return sum(entity.counts.get(trigger, 0) for trigger in _ENDS_A_SERIES)


def failures(entity: EntityState, action: str) -> Mapping[str, int]:
    """How often each agent failed at this action since the work package last got on, by the agent's name."""
    known = entity.facts.get(f"{action}_failures")
    if not isinstance(known, Mapping) or known.get("series") != _series(entity):
        return {}
    return {str(name): int(count) for name, count in known.get("by_agent", {}).items()}


def count_failure(entity: EntityState, action: str, agent: str, *, times: int = 1) -> dict[str, Any]:
    """The evidence that counts one more failure of the agent; `times` more where one failure says enough."""
    by_agent = dict(failures(entity, action))
    by_agent[agent] = by_agent.get(agent, 0) + times
    known = entity.facts.get(f"{action}_failures") or {}
    forgiven = known.get("forgiven", 0) if failures(entity, action) else 0
    return {f"{action}_failures": {"series": _series(entity), "by_agent": by_agent, "forgiven": forgiven}}


def forgive(counted: Mapping[str, Any], action: str) -> dict[str, Any]:
    """The evidence of `count_failure` with all failures so far set aside: another agent starts with all attempts."""
    row = counted[f"{action}_failures"]
    return {f"{action}_failures": {**row, "forgiven": sum(row["by_agent"].values())}}


def not_forgiven(facts: Mapping[str, Any], action: str) -> int:
    """How many of the failures that `count_failure` counted, the latest included, speak against another attempt."""
    row = facts[f"{action}_failures"]
    return int(sum(row["by_agent"].values())) - int(row.get("forgiven", 0))


def failures_against(entity: EntityState, action: str) -> int:
    """How many failures at this action speak against another attempt, since the work package last got on."""
    return not_forgiven(entity.facts, action) if failures(entity, action) else 0


def schedule(
    entity: EntityState, state: str, retry: int, code: str, agent: str, delay_s: float, at: Now
) -> dict[str, Any]:
    """The evidence of a retry: when, after what, and for which `state` and claim of the work package it holds."""
    deadline = Deadline.after(delay_s, at)
    return {
        "retry": retry,
        "not_before": deadline.until,
        "delay_s": delay_s,
        "failure_code": code,
        "agent": agent,
        "retry_clock": deadline.clock,
        "retry_holds_for": [state, entity.epoch, _series(entity)],
    }


def retry_wait(entity: EntityState, at: Now) -> float:
    """Seconds until the work package may be tried again; 0 when it may now, or when no retry is scheduled."""
    facts = entity.facts
    if facts.get("retry_holds_for") != [entity.state, entity.epoch, _series(entity)]:
        return 0.0
    delay, clock = facts.get("delay_s"), facts.get("retry_clock")
    if not isinstance(delay, (int, float)) or not isinstance(clock, Mapping):
        return 0.0
    return Deadline(str(facts.get("not_before")), float(delay), clock).left(at)
