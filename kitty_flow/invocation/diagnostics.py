"""Remarks about what is sent elsewhere: a durable success here is never turned into a failure by them (seed 004).

Whoever sends says what did not work with `remark`; `cli/output` takes all of it when the command has its outcome,
prints the text to stderr and puts the remarks into the one JSON document. Each is told once for one run of a command.
"""

from __future__ import annotations

import threading
from typing import Literal

from pydantic import computed_field

from kitty_flow.model.diagnostic import Diagnostic, distinct

__all__ = ["SyncDiagnostic", "remark", "taken"]

_door = threading.Lock()
_waiting: list[SyncDiagnostic] = []
_told: list[Diagnostic] = []


class SyncDiagnostic(Diagnostic):
    """A remark about sending, in the fields of the contract: severity, diagnostic_code, message, fatal, sync_phase.

    `fatal` is always false: what it speaks of happened after the fact was recorded.
    """

    fatal: Literal[False] = False

    @computed_field  # type: ignore[prop-decorator]
    @property
    def sync_phase(self) -> str:
        """The step that it is about, such as ``deliver``: the same as `phase`, under the name of the contract."""
        return self.phase


def remark(
    code: str, message: str, *, sync_phase: str, severity: Literal["info", "warning", "error"] = "warning"
) -> None:
    """Tell of something that did not work, from any thread.

    Of several with the same code, phase and message, blanks and case aside, the first one counts.
    """
    said = SyncDiagnostic(severity=severity, diagnostic_code=code, message=message, phase=sync_phase)
    with _door:
        if len(distinct((*_told, said))) > len(_told):
            _told.append(said)
            _waiting.append(said)


def taken() -> tuple[SyncDiagnostic, ...]:
    """What was said since the last call."""
    with _door:
        found = tuple(_waiting)
        _waiting.clear()
        return found
