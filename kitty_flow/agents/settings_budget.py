"""The `[budget]` table of the settings: hard limits on tokens, money and time, of a mission and of a work package."""

from __future__ import annotations

from kitty_flow.agents.settings_types import Count, Limit
from kitty_flow.model.base import Model

__all__ = ["BudgetSettings"]


class BudgetSettings(Model):
    """The `[budget]` table. None is no limit; money is in US dollars, time in seconds of agents at work."""

    max_tokens: Count | None = None
    max_cost_usd: Limit | None = None
    max_wall_s: Limit | None = None
    work_package_max_tokens: Count | None = None
    work_package_max_cost_usd: Limit | None = None
    work_package_max_wall_s: Limit | None = None
