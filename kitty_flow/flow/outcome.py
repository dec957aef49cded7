"""What an invocation came to: how a failure is told, and what it reports of itself."""

from __future__ import annotations

from dataclasses import dataclass

from kitty_flow.agents.process import ProcessOutcome
from kitty_flow.flow.invocation import Invocation
from kitty_flow.flow.policy.budget import Spent
from kitty_flow.flow.spending import as_evidence
from kitty_flow.model.result import ImplementResult, ReviewResult
from kitty_flow.model.text import clean

__all__ = ["AttemptFailure", "process_failure", "reported_failure", "usage"]


@dataclass(frozen=True)
class AttemptFailure:
    """Why an attempt came to nothing. `by_agent`: the agent failed to do its part, nothing refused the work."""

    code: str
    message: str
    by_agent: bool


def process_failure(invocation: Invocation, outcome: ProcessOutcome | None) -> AttemptFailure | None:
    """What went wrong with the process itself, if anything; None also when nobody watched it end."""
    if outcome is None or (outcome.reason == "exited" and outcome.exit_code == 0):
        return None
    if outcome.ended_for is not None:
        return AttemptFailure(*outcome.ended_for, False)
    words = {
        "timeout": f"ran longer than {invocation.agent.timeout_s:.0f} s and was stopped",
        "stalled": f"printed nothing for {invocation.agent.stall_s:.0f} s and was stopped",
        "not_found": "could not be started",
        "killed": "was killed by a signal",
        "canceled": "was ended by the run",
        "exited": f"ended with status {outcome.exit_code}",
    }
    # Whatever it printed is data: control characters neither reach a terminal nor forge another line.
    last = next((line for line in map(clean, reversed(outcome.tail.splitlines())) if line), "")
    said = f"; its last line: {last[:200]}" if last else ""
    codes = {"timeout": "AGENT_TIMEOUT", "stalled": "AGENT_STALLED", "not_found": "AGENT_NOT_STARTED"}
    code = codes.get(outcome.reason, "AGENT_FAILED")
    return AttemptFailure(code, f"{invocation.agent.name} {words[outcome.reason]}{said}", True)


def reported_failure(result: ImplementResult) -> AttemptFailure | None:
    """What an implementer's own result says went wrong; None for a success."""
    if result.outcome == "success":
        return None
    code = "AGENT_BLOCKED" if result.outcome == "blocked" else "AGENT_REPORTED_FAILURE"
    reason = result.reason or result.summary or "no reason given"
    return AttemptFailure(code, f"the agent reports {result.outcome}: {reason[:500]}", result.outcome == "failed")


def usage(outcome: str, result: ImplementResult | ReviewResult, spent: Spent) -> dict[str, object]:
    """What an invocation reports of itself, and what it used, as evidence."""
    return {"outcome": outcome, "summary": result.summary[:4000], **as_evidence(spent)}
