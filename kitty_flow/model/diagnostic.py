"""A remark that accompanies a result without changing it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from kitty_flow.model.base import Model

__all__ = ["Diagnostic"]


class Diagnostic(Model):
    """One remark for the `diagnostics` field of the output envelope (CLI reference, "Envelope")."""

    severity: Literal["info", "warning", "error"]
    diagnostic_code: str
    message: str
    fatal: bool = False
    phase: str = ""
    details: dict[str, Any] = Field(default_factory=dict)
