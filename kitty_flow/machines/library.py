"""The machines that ship with kitty-flow, by name."""

from __future__ import annotations

from functools import cache

from kitty_flow import resources
from kitty_flow.errors import DefinitionError, UsageError
from kitty_flow.machines.definition import MachineDefinition, parse_machine

__all__ = ["machine", "machine_names"]


def machine_names() -> tuple[str, ...]:
    """The names of all shipped machines, sorted.

    Raises:
        DefinitionError: BUNDLED_DATA_MISSING.
    """
    return resources.names("machines")


@cache
def machine(name: str) -> MachineDefinition:
    """The shipped machine with that name, read and validated once.

    Raises:
        UsageError: UNKNOWN_MACHINE.
        DefinitionError: INVALID_MACHINE, or BUNDLED_DATA_MISSING.
    """
    known = machine_names()
    if name not in known:
        raise UsageError(
            "UNKNOWN_MACHINE",
            f"there is no machine {name!r:.80}; known are {', '.join(known)}",
            hint="kitty-flow machines list",
            details={"machine": name[:80], "known": list(known)},
        )
    where = f"machines/{name}.toml"
    definition = parse_machine(resources.read_text("machines", f"{name}.toml"), where=where)
    if definition.name != name:
        raise DefinitionError(
            "INVALID_MACHINE",
            f"{where} defines a machine of another name, {definition.name!r}",
            hint="kitty-flow machines list",
        )
    return definition
