"""The `[run]` table of the settings: who works by default, how many at once, and how long a claim holds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from kitty_flow.agents.settings_types import Command, Count, Limit, Text
from kitty_flow.model.base import Model

__all__ = ["RunSettings"]


class RunSettings(Model):
    """The `[run]` table: who works by default, how many at once, and when a person has to look."""

    agent: Text | None = None
    reviewer: Text | None = None
    jobs: Annotated[int, Field(strict=True, ge=1, le=256)] = 2
    max_attempts: Count = 3
    lease_s: Limit = 900.0
    hand_lease_s: Limit = 14400.0
    schedule: Literal["waves", "eager"] = "waves"
    wave_gate: Command | None = None
    wave_gate_timeout_s: Limit = 1800.0
