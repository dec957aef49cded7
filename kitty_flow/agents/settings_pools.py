"""One `[pools.NAME]` table of the settings: what all agents that draw on the same credentials share."""

from __future__ import annotations

from typing import Final

from kitty_flow.agents.settings_types import Count, Limit
from kitty_flow.model.base import Model

__all__ = ["DEFAULT_QUOTA_PAUSE_S", "PoolSettings"]

DEFAULT_QUOTA_PAUSE_S: Final = 900.0


class PoolSettings(Model):
    """One `[pools.NAME]` table. `quota_pause_s` holds where a quota message names no time (in seconds)."""

    concurrency: Count | None = None
    quota_pause_s: Limit = DEFAULT_QUOTA_PAUSE_S
