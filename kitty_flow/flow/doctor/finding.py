"""What the doctor says: one fact about one subject, how bad it is, and the command that helps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from kitty_flow.errors import KittyFlowError

__all__ = ["Check", "DoctorFinding", "Status", "broken", "by_urgency", "fixable", "ok", "problem", "warning"]

Check = Literal["installation", "settings", "ledger", "branch", "worktrees", "locks", "conflicts"]
Status = Literal["problem", "warning", "ok"]

_URGENCY: Final[tuple[Status, ...]] = ("problem", "warning", "ok")


@dataclass(frozen=True)
class DoctorFinding:
    """One line of the report. A `problem` keeps something from working; a `warning` does not.

    `remedy` is the next command to type, or what to do; empty when nothing needs to be done. `mend` does it, where it
    is safe to be done without asking, and says what it did; whatever it raises means that nothing was mended.
    `details` are facts for machines.
    """

    check: Check
    status: Status
    subject: str
    message: str
    remedy: str = ""
    mend: Callable[[], str] | None = field(default=None, repr=False, compare=False)
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        shown = {name: value for name, value in self.__dict__.items() if name != "mend"}
        return shown | {"details": dict(self.details), "fixable": self.mend is not None}


def ok(check: Check, subject: str, message: str, remedy: str = "") -> DoctorFinding:
    """Something that is as it should be, or that is only worth knowing."""
    return DoctorFinding(check, "ok", subject, message, remedy)


def warning(check: Check, subject: str, message: str, remedy: str) -> DoctorFinding:
    """Something to look at; it keeps nothing from working."""
    return DoctorFinding(check, "warning", subject, message, remedy)


def problem(check: Check, subject: str, message: str, remedy: str) -> DoctorFinding:
    """Something that keeps kitty-flow from working, or that contradicts the ledger."""
    return DoctorFinding(check, "problem", subject, message, remedy)


def broken(check: Check, subject: str, error: KittyFlowError, remedy: str | None = None) -> DoctorFinding:
    """The problem behind an error. `remedy` replaces a hint that would only lead back to the doctor."""
    return problem(check, subject, error.message, remedy or error.hint or "set it right, then kitty-flow doctor")


def fixable(finding: DoctorFinding, mend: Callable[[], str]) -> DoctorFinding:
    """The same finding, to be mended by ``--fix``."""
    return replace(finding, remedy=f"kitty-flow doctor {finding.check} --fix", mend=mend)


def by_urgency(findings: Iterable[DoctorFinding]) -> tuple[DoctorFinding, ...]:
    """Problems first, then warnings; otherwise in the order in which they were found."""
    return tuple(sorted(findings, key=lambda finding: _URGENCY.index(finding.status)))
