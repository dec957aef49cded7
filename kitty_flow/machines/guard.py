"""What a guard is and how it is asked.

A guard passes only when its predicate returns exactly True. Anything else is a "no": another truthy value, None, and
an exception too, which is reported under the code GUARD_ERROR.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kitty_flow.machines.facts import Facts

__all__ = ["Guard", "GuardOutcome", "evaluate"]


@dataclass(frozen=True, kw_only=True)
class Guard:
    """A named predicate and what a user is told when it does not pass.

    `message` completes the sentence "refused: ..."; `shows` names the fact whose value is added to it. `WP`, `MISSION`
    and `ID` in a hint stand for the entity, which a guard does not know.
    """

    name: str
    predicate: Callable[[Facts], bool]
    code: str
    message: str
    hint: str
    shows: str = ""


@dataclass(frozen=True)
class GuardOutcome:
    """What one guard said. `code`, `message` and `hint` are empty when it passed."""

    guard: str
    passed: bool
    code: str = ""
    message: str = ""
    hint: str = ""

    def as_details(self) -> dict[str, Any]:
        """The JSON-ready form used in error details and in evidence."""
        return {"guard": self.guard, "passed": self.passed, "code": self.code, "message": self.message}


def evaluate(names: Iterable[str], facts: Facts, registry: Mapping[str, Guard]) -> tuple[GuardOutcome, ...]:
    """Ask every named guard, in order; a failed one does not stop the others from being asked."""
    return tuple(_ask(registry[name], facts) for name in names)


def _ask(guard: Guard, facts: Facts) -> GuardOutcome:
    try:
        answer: object = guard.predicate(facts)
    except Exception as error:
        message = f"the guard {guard.name} could not decide: {type(error).__name__}: {error}"
        return GuardOutcome(guard.name, False, "GUARD_ERROR", message, "kitty-flow doctor")
    if answer is True:
        return GuardOutcome(guard.name, True)
    return GuardOutcome(guard.name, False, guard.code, guard.message + _shown(guard, facts), guard.hint)


def _shown(guard: Guard, facts: Facts) -> str:
    if not guard.shows:
        return ""
    value = getattr(facts, guard.shows)
    if value is None:
        return " (not established)"
    if isinstance(value, tuple):
        return ": " + ", ".join(str(item) for item in value) if value else ""
    return f": {value}" if isinstance(value, str) and value.strip() else ""
