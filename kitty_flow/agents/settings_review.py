"""The `[review]` table of the settings: how often work is sent back, and who may review."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kitty_flow.agents.settings_types import Count
from kitty_flow.model.base import Model

__all__ = ["ReviewSettings"]


class ReviewSettings(Model):
    """The `[review]` table: how often reviews may send work back, and whether an implementer may review its own."""

    max_cycles: Count = 3
    allow_self_review: Annotated[bool, Field(strict=True)] = False
