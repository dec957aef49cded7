"""What agents hand back: the implementer's result and the reviewer's verdict (`docs/reference/agent-protocol.md`)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from kitty_flow.model.base import Model

__all__ = ["Finding", "ImplementResult", "Outcome", "ReviewResult", "Tokens", "Verdict"]

Outcome = Literal["success", "failed", "blocked"]
Verdict = Literal["approved", "changes_requested"]


class Tokens(Model):
    """Model tokens that an agent reports to have used."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    input: int = Field(default=0, ge=0)
    output: int = Field(default=0, ge=0)


class Finding(Model):
    """One remark of a reviewer; it becomes part of the feedback for the next attempt."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    severity: str = "error"
    path: str | None = None
    line: int | None = None
    message: str


class _Result(Model):
    """Fields that both roles may report. Unknown fields are ignored: agents write more than they are asked for."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    summary: str = ""
    tokens: Tokens = Tokens()
    cost_usd: float | None = Field(default=None, ge=0)


class ImplementResult(_Result):
    """The implementer's result file. `subtasks` maps subtask ids to ``done`` or another word; empty means all done."""

    outcome: Outcome
    reason: str | None = None
    subtasks: dict[str, str] = Field(default_factory=dict)


class ReviewResult(_Result):
    """The reviewer's result file: a verdict bound to the commit that was reviewed."""

    verdict: Verdict
    reviewed_commit: str
    findings: tuple[Finding, ...] = ()

    def feedback(self) -> dict[str, Any]:
        """The JSON-ready feedback that the next attempt is given."""
        return {"summary": self.summary, "findings": [f.model_dump(exclude_none=True) for f in self.findings]}
