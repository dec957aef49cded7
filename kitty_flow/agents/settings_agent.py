"""One `[agents.NAME]` table of the settings: which program an agent is, what it may be used for, and its limits."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator

from kitty_flow.agents.command import DEFAULT_RETRIES, DEFAULT_STALL_S, DEFAULT_TIMEOUT_S, AgentRole, AgentSpec
from kitty_flow.agents.settings_types import Command, Count, Limit, Seconds, Text, Words
from kitty_flow.model.base import Model

__all__ = ["AgentSettings", "agent_spec"]

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class AgentSettings(Model):
    """One `[agents.NAME]` table; what its keys need of each other and of other tables is in `settings_rules`."""

    preset: Text | None = None
    command: Command | None = None
    args: Words = ()
    stdin: Literal["empty", "prompt"] | None = None
    env: dict[str, Text] = Field(default_factory=dict)
    role: AgentRole = "any"
    timeout_s: Limit = DEFAULT_TIMEOUT_S
    stall_s: Seconds = DEFAULT_STALL_S
    retries: Annotated[int, Field(strict=True, ge=0, le=100)] = DEFAULT_RETRIES
    fallbacks: Words = ()
    concurrency: Count | None = None
    pool: Text | None = None

    @field_validator("env")
    @classmethod
    def _check_env(cls, env: dict[str, str]) -> dict[str, str]:
        for name, value in env.items():
            if _VARIABLE.fullmatch(name) is None or "\0" in value:
                raise ValueError(f"{name!r} is not a usable environment variable")
            if name.startswith("KITTY_FLOW_"):
                raise ValueError(f"{name} is set by kitty-flow itself and cannot be overridden")
        return env


def agent_spec(name: str, agent: AgentSettings) -> AgentSpec:
    """The agent of a table, with what its preset gives it; the table's own values win.

    Without a `pool` all agents of one preset draw on one pool, since they use the same credentials on this machine.
    """
    argv, env, on_stdin = agent.command, agent.env, agent.stdin == "prompt"
    if agent.preset is not None:
        from kitty_flow.agents.presets import preset

        known = preset(agent.preset)
        env = known.env | env
        if argv is None and known.command is not None:
            argv, on_stdin = (*known.command, *agent.args), known.prompt_on_stdin
    assert argv is not None, "the settings are checked: a preset or a command"
    return AgentSpec(
        name,
        argv,
        agent.timeout_s,
        agent.stall_s,
        dict(env),
        pool=agent.pool or agent.preset or name,
        role=agent.role,
        retries=agent.retries,
        concurrency=agent.concurrency,
        fallbacks=agent.fallbacks,
        preset=agent.preset,
        prompt_on_stdin=on_stdin,
    )
