"""A remark that accompanies a result without changing it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field

from kitty_flow.model.base import Model

__all__ = ["Diagnostic", "distinct"]


class Diagnostic(Model):
    """One remark for the `diagnostics` field of the output envelope (CLI reference, "Envelope")."""

    severity: Literal["info", "warning", "error"]
    diagnostic_code: str
    message: str
    fatal: bool = False
    phase: str = ""
    details: dict[str, Any] = Field(default_factory=dict)


def distinct(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Each remark once (seed 004, sync-diagnostics-output): alike are those with the same code, phase and message.

    Blanks and case make no other message; of several the first is kept.
    """
    found: dict[tuple[str, str, str], Diagnostic] = {}
    for each in diagnostics:
        found.setdefault((each.diagnostic_code, each.phase, " ".join(each.message.split()).casefold()), each)
    return tuple(found.values())
