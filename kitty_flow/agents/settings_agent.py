"""One `[agents.NAME]` table of the settings: which program an agent is, and its limits."""

from __future__ import annotations

import re
from typing import Final

from pydantic import Field, field_validator

from kitty_flow.agents.command import DEFAULT_STALL_S, DEFAULT_TIMEOUT_S
from kitty_flow.agents.settings_types import Command, Limit, Seconds, Text
from kitty_flow.model.base import Model

__all__ = ["AgentSettings"]

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class AgentSettings(Model):
    """One `[agents.NAME]` table."""

    command: Command
    timeout_s: Limit = DEFAULT_TIMEOUT_S
    stall_s: Seconds = DEFAULT_STALL_S
    env: dict[str, Text] = Field(default_factory=dict)

    @field_validator("env")
    @classmethod
    def _check_env(cls, env: dict[str, str]) -> dict[str, str]:
        for name, value in env.items():
            if _VARIABLE.fullmatch(name) is None or "\0" in value:
                raise ValueError(f"{name!r} is not a usable environment variable")
            if name.startswith("KITTY_FLOW_"):
                raise ValueError(f"{name} is set by kitty-flow itself and cannot be overridden")
        return env
