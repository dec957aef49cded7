"""One `[[hooks]]` table of the settings: a command that is told of events after they are durable."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from kitty_flow.agents.settings_rules import near
from kitty_flow.agents.settings_types import Command, Limit
from kitty_flow.model.base import Model

__all__ = ["ANNOTATIONS", "MAX_HOOKS", "HookSettings", "as_tables", "event_names"]

MAX_HOOKS: Final = 16

ANNOTATIONS: Final = {
    "run_started": "run.started",
    "run_ended": "run.ended",
    "wave_gate": "wave_gate",
    "retry_scheduled": "retry_scheduled",
    "pool_parked": "pool_parked",
    "budget_exhausted": "budget_exhausted",
}
"""Facts that move nothing but that people want to hear of, and what they are called in `events`."""


@cache
def event_names() -> tuple[str, ...]:
    """Every name that a pattern can match: `entity.event` for each transition of the machines, and the annotations."""
    from kitty_flow.machines import machine

    found = {f"{kind}.{t.event}" for kind in _ENTITIES for t in machine(kind).transitions}
    return (*sorted({*found, "work_package.forced"}), *ANNOTATIONS.values())


_ENTITIES: Final = ("invocation", "merge", "mission", "work_package")


def _patterns(value: object) -> object:
    """Refuse a pattern that no event can match: it is a slip that nobody would notice."""
    if not isinstance(value, list) or not value or not all(isinstance(p, str) for p in value):
        raise ValueError('must be a list of names or patterns such as ["work_package.blocked", "mission.*"]')
    names = event_names()
    for pattern in value:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(f"{pattern!r} matches no event{near(pattern, names)}")
    return tuple(value)


def as_tables(value: Any) -> Any:
    """TOML's list of tables as the tuple that the frozen model holds."""
    if not isinstance(value, list):
        raise ValueError("is a list of tables: write [[hooks]]")
    return tuple(value)


class HookSettings(Model):
    """One `[[hooks]]` table. `timeout_s` is the time after which the command and all that it started are killed."""

    events: Annotated[tuple[str, ...], BeforeValidator(_patterns)]
    command: Command
    timeout_s: Annotated[Limit, Field(le=600)] = 10.0

    def wants(self, name: str) -> bool:
        """Whether an event of this name is one to be told of."""
        return any(fnmatchcase(name, pattern) for pattern in self.events)
