"""One line of the error log: something was refused, failed a gate or did not validate."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, field_validator

from kitty_flow.model.base import Model
from kitty_flow.model.ids import is_ulid

__all__ = ["ErrorEntry"]


class ErrorEntry(Model):
    """What was attempted, on what, and why it came to nothing. Unknown fields of a newer writer are kept.

    The fields are those of the origin's error log (seed 002, WP07); `context` has ``mission``, ``code`` and details.
    `timestamp` is UTC with milliseconds in one fixed form, so that text order is time order.
    """

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    error_id: str
    error_type: str = Field(min_length=1)
    entity_id: str = Field(min_length=1)
    attempted_operation: str = Field(min_length=1)
    reason: str
    timestamp: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$")
    context: dict[str, Any] = Field(default_factory=dict)

    @field_validator("error_id")
    @classmethod
    def _ulid(cls, value: str) -> str:
        if not is_ulid(value):
            raise ValueError(f"{value[:80]!r} is not a ULID")
        return value

    @property
    def mission(self) -> str | None:
        """The slug of the mission that was meant, or what was typed for it; None when there was none."""
        found = self.context.get("mission")
        return found if isinstance(found, str) else None
