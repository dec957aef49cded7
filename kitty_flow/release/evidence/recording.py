"""What a bundle will want to know and nobody could find out later; recorded with the step that it belongs to."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any, Final

from kitty_flow import __version__
from kitty_flow.git.process import Git
from kitty_flow.model.gate import GateResult

__all__ = ["gate_evidence", "run_environment"]

_MESSAGE: Final = 300
"""Characters of a gate's message: an event has a limit, and a bundle needs the answer, not the whole story."""


def gate_evidence(gates: Sequence[GateResult]) -> list[dict[str, Any]]:
    """The answers of gates, shortened."""
    return [
        {
            key: value[:_MESSAGE]
            for key, value in (
                ("gate", gate.gate),
                ("outcome", gate.outcome),
                ("message", gate.message),
                ("diagnostic_code", gate.diagnostic_code),
                ("overridden_by", gate.overridden_by),
            )
            if value
        }
        for gate in gates
    ]


def run_environment(git: Git) -> dict[str, str]:
    """What a test ran with."""
    return {
        "kitty_flow": __version__,
        "git": git.text("version").removeprefix("git version "),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
