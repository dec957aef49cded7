"""The one hierarchy of errors that kitty-flow reports to its users.

Every error says *what* happened (`message`), carries a stable `code` that scripts can match, a `hint` that is the
next command to type (or the next thing to do), and `details` for machines. The class decides the exit status, so a
caller can tell bad input from a refusal, a lost race, a ledger failure or a broken tool.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

__all__ = [
    "ConflictError",
    "DefinitionError",
    "ExternalToolError",
    "InterruptedRunError",
    "KittyFlowError",
    "LedgerError",
    "RefusedError",
    "UsageError",
]


class KittyFlowError(Exception):
    """Base of all expected failures; anything else that escapes is a bug (exit status 70).

    Args:
        code: stable upper-case identifier, such as ``DEPENDENCIES_NOT_SATISFIED``.
        message: one sentence, what happened and why.
        hint: the next command to type, or what to change.
        details: JSON-ready facts about the failure.
    """

    exit_status: ClassVar[int] = 70

    def __init__(
        self, code: str, message: str, *, hint: str | None = None, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.details: dict[str, Any] = dict(details or {})

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class UsageError(KittyFlowError):
    """The command cannot be understood here: wrong option, unknown mission, no repository (exit status 2)."""

    exit_status = 2


class DefinitionError(KittyFlowError):
    """A mission, machine, dag or settings file is invalid (exit status 3)."""

    exit_status = 3


class RefusedError(KittyFlowError):
    """A guard or a gate said no; nothing was changed (exit status 4)."""

    exit_status = 4


class ConflictError(KittyFlowError):
    """Somebody else was faster, or a lock is held; trying again is safe (exit status 5)."""

    exit_status = 5


class LedgerError(KittyFlowError):
    """The ledger could not be read, appended to, read back or committed (exit status 6)."""

    exit_status = 6


class ExternalToolError(KittyFlowError):
    """git, an agent or a test command is missing, too old or failed (exit status 7)."""

    exit_status = 7


class InterruptedRunError(KittyFlowError):
    """The user stopped the command; what was recorded stays recorded (exit status 130)."""

    exit_status = 130
