"""The policies of a run from settings and options: agents with their fallbacks, and budgets for this run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeAlias

import typer

from kitty_flow.errors import ExternalToolError, UsageError

if TYPE_CHECKING:
    from kitty_flow.agents.command import AgentSpec, Role
    from kitty_flow.flow.policies import Policies
    from kitty_flow.flow.project import Project

__all__ = ["Budget", "BudgetTimeOption", "BudgetTokensOption", "BudgetUsdOption", "run_policies", "seconds_of"]

_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(h|m|s)")
_UNIT_S: Final = {"h": 3600.0, "m": 60.0, "s": 1.0}


def _option(name: str, metavar: str, text: str, **more: Any) -> Any:
    return typer.Option(name, metavar=metavar, help=text, show_default=False, **more)


BudgetTokensOption: TypeAlias = Annotated[
    int | None, _option("--budget-tokens", "N", "End when the mission has used so many tokens.", min=1)
]
BudgetUsdOption: TypeAlias = Annotated[
    float | None, _option("--budget-usd", "USD", "End when the mission has cost so much.", min=0.01)
]
BudgetTimeOption: TypeAlias = Annotated[
    str | None, _option("--budget-time", "TIME", "End when agents were at work so long: 90s, 30m, 2h, 1h30m.")
]


class Budget(NamedTuple):
    """What the options say; None leaves the settings' limit in force."""

    tokens: int | None
    cost_usd: float | None
    time: str | None


def seconds_of(text: str) -> float:
    """A span of time such as ``90``, ``90s``, ``30m`` or ``1h30m``, in seconds.

    Raises:
        UsageError: INVALID_TIME.
    """
    words = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", words):
        words += "s"
    parts = _PART.findall(words)
    seconds = sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != words or not 0 < seconds < 1e9:
        raise UsageError("INVALID_TIME", f"{text!r} is no span of time", hint="write 90s, 30m, 2h or 1h30m")
    return seconds


def run_policies(
    project: Project, implementer: AgentSpec, reviewer: AgentSpec | None, budget: Budget
) -> tuple[Policies, tuple[str, ...]]:
    """The policies, and remarks about fallbacks that cannot be started on this machine and are left out.

    Raises:
        ExternalToolError: AGENT_COMMAND_MISSING, nobody of a chain can be started.
        UsageError: INVALID_TIME.
    """
    from kitty_flow.flow.policies import Policies
    from kitty_flow.flow.policy.retry import RetryRule
    from kitty_flow.flow.policy_reasons import limits_of

    settings = project.settings
    limits, own = limits_of(settings.budget)
    limits = limits._replace(
        tokens=budget.tokens or limits.tokens,
        cost_usd=budget.cost_usd or limits.cost_usd,
        wall_s=limits.wall_s if budget.time is None else seconds_of(budget.time),
    )
    implementers, left_out = _chain(project, implementer, "implementer")
    reviewers, more = _chain(project, reviewer, "reviewer") if reviewer is not None else ((), ())
    policies = Policies(
        implementers,
        reviewers,
        RetryRule(settings.run.retry_backoff_s, settings.run.retry_backoff_max_s),
        settings.run.max_attempts,
        limits,
        own,
        settings.pools,
        settings.review.allow_self_review,
    )
    return policies, (*left_out, *more)


def _chain(project: Project, first: AgentSpec, role: Role) -> tuple[tuple[AgentSpec, ...], tuple[str, ...]]:
    """The agent and those that take over from it, in order, each once; and who cannot be started here, and why."""
    from kitty_flow.agents.settings import check_executable, resolve_agent

    chain: list[AgentSpec] = []
    remarks: list[str] = []
    refusal: ExternalToolError | None = None
    waiting, seen = [first], {first.name}
    while waiting:
        agent = waiting.pop(0)
        new = [name for name in agent.fallbacks if name not in seen]
        seen.update(new)
        waiting += [resolve_agent(project.settings, name, role) for name in new]
        try:
            chain.append(check_executable(agent, project.root))
        except ExternalToolError as error:
            refusal = refusal or error
            remarks.append(error.message)
    if not chain:
        assert refusal is not None
        raise refusal
    return tuple(chain), tuple(remarks)
