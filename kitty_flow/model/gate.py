"""The answer of a gate: pass, fail or error. An error blocks like a failure; it never passes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from kitty_flow.model.base import Model

__all__ = ["GateOutcome", "GateResult"]

GateOutcome = Literal["pass", "fail", "error"]


class GateResult(Model):
    """What one gate found, with the code, the broken invariant and the remedy that the user is shown.

    A gate that did not pass lets nothing through, unless a person has overridden it by name, for a reason.
    """

    gate: str
    outcome: GateOutcome
    message: str
    diagnostic_code: str = ""
    subject: str = ""
    violated_invariant: str = ""
    remediation: str = ""
    overridden_by: str = ""
    override_reason: str = ""
    details: dict[str, Any] = Field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether the edge may be passed."""
        return self.outcome == "pass" or self.overridden_by != ""
