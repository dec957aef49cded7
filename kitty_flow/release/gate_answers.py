"""What a gate answers: open, or closed with the code, the broken invariant and the remedy that the user is shown."""

from __future__ import annotations

from collections.abc import Callable

from kitty_flow.model.gate import GateOutcome, GateResult
from kitty_flow.release.landing import Landing

__all__ = ["Gate", "closed_gate", "moved", "open_gate"]

Gate = Callable[[Landing], GateResult]


def open_gate(gate: str, message: str) -> GateResult:
    """The gate passes."""
    return GateResult(gate=gate, outcome="pass", message=message)


def closed_gate(
    gate: str,
    code: str,
    message: str,
    *,
    outcome: GateOutcome = "fail",
    subject: str = "",
    invariant: str = "",
    remediation: str = "",
) -> GateResult:
    """The gate does not pass: it says no, or (`outcome` error) it cannot say."""
    return GateResult(
        gate=gate,
        outcome=outcome,
        message=message,
        diagnostic_code=code,
        subject=subject,
        violated_invariant=invariant,
        remediation=remediation,
    )


def moved(ref: str, before: str | None, now: str | None) -> str:
    """In words: a branch is not at the commit any more where it was when the candidate was built."""
    if now is None:
        return f"{ref} was at {str(before)[:12]} and is gone, or is no commit any more"
    return f"{ref} moved from {str(before)[:12]} to {now[:12]} meanwhile"
