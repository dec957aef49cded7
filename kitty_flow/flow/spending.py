"""What one invocation used: what its result says, else what its log says, and the time that its process took."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitty_flow.flow.policy.budget import Spent

if TYPE_CHECKING:
    from kitty_flow.agents.process import ProcessOutcome
    from kitty_flow.flow.invocation import Invocation
    from kitty_flow.flow.lease import Now
    from kitty_flow.ledger.view import EntityState
    from kitty_flow.model.result import ImplementResult, ReviewResult

__all__ = ["as_evidence", "spent_by_process", "spent_in", "spent_on_record", "told_of"]


def spent_in(invocation: Invocation, result: ImplementResult | ReviewResult | None) -> Spent:
    """Tokens, money and time of an invocation that has ended; `result` is what its agent reported, if it did."""
    from kitty_flow.agents.usage import read_usage

    used = read_usage(invocation.agent.preset, invocation.log_path, result)
    worked = (invocation.worked,) if invocation.worked is not None else ()
    return Spent(used.input, used.output, used.cost_usd or 0.0, worked)


def spent_on_record(invocation: EntityState) -> Spent:
    """Tokens and money of an invocation that is ended from outside, as far as its log on this machine tells."""
    from kitty_flow.agents.usage import read_usage

    preset, log_path = invocation.facts.get("preset"), invocation.facts.get("log_path")
    if not isinstance(preset, str) or not isinstance(log_path, str):
        return Spent()
    used = read_usage(preset, Path(log_path))
    return Spent(used.input, used.output, used.cost_usd or 0.0)


def spent_by_process(outcome: ProcessOutcome, ended: Now) -> tuple[str, float, float]:
    """When a process that ended just now was at work: boot, and from when to when on the clock of that boot."""
    return (ended.boot or "", round(ended.monotonic - outcome.duration_s, 3), round(ended.monotonic, 3))


def as_evidence(spent: Spent) -> dict[str, Any]:
    """The same as facts of the invocation."""
    told: dict[str, Any] = {"tokens": {"input": spent.input, "output": spent.output}, "cost_usd": spent.cost_usd}
    return told | ({"wall_s": round(spent.wall_s, 3)} if spent.worked else {})


def told_of(spent: Spent) -> dict[str, Any]:
    """Facts of an invocation that came to nothing; none, so that it counts as unknown, where nobody told any."""
    return as_evidence(spent) if spent.tokens or spent.cost_usd else {}
