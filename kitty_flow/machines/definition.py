"""A machine definition: states, transitions and the names of their guards, read from TOML and frozen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kitty_flow.machines.problems import read_document
from kitty_flow.machines.validation import NEW, check_machine

__all__ = ["NEW", "MachineDefinition", "State", "Transition", "parse_machine"]


@dataclass(frozen=True)
class State:
    """One state of a machine; nothing leaves a final one but force."""

    name: str
    description: str
    final: bool = False


@dataclass(frozen=True)
class Transition:
    """One edge, or several edges that share trigger, guards and meaning.

    `from_states` may be ``("(new)",)``: no event yet. With several `to_states`, `target` names the fact that chooses.
    `event` is the past-tense fact, `evidence` the fields that the event records.
    """

    trigger: str
    from_states: tuple[str, ...]
    to_states: tuple[str, ...]
    guards: tuple[str, ...]
    event: str
    evidence: tuple[str, ...]
    description: str
    target: str | None = None


@dataclass(frozen=True)
class MachineDefinition:
    """A validated machine. Build it with `parse_machine`, which refuses anything that is not sound."""

    name: str
    description: str
    initial: str
    states: tuple[State, ...]
    transitions: tuple[Transition, ...]

    @cached_property
    def state_names(self) -> tuple[str, ...]:
        """The names of all states, in the order of the file."""
        return tuple(state.name for state in self.states)

    @cached_property
    def final_states(self) -> frozenset[str]:
        """The names of the final states."""
        return frozenset(state.name for state in self.states if state.final)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of what the machine allows: independent of wording, comments and the order of the file."""
        return hashlib.sha256(json.dumps(self._canonical(), sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def transition(self, state: str | None, trigger: str) -> Transition | None:
        """The transition that `trigger` names in `state` (None: not created yet), or None."""
        return self._table.get((NEW if state is None else state, trigger))

    def triggers(self, state: str | None) -> tuple[str, ...]:
        """The triggers that exist in `state` (None: not created yet), in the order of the file."""
        source = NEW if state is None else state
        return tuple(transition.trigger for transition in self.transitions if source in transition.from_states)

    @cached_property
    def _table(self) -> Mapping[tuple[str, str], Transition]:
        return {(source, edge.trigger): edge for edge in self.transitions for source in edge.from_states}

    def _canonical(self) -> dict[str, Any]:
        edges = [
            # Guards keep their order: the first one that fails names the refusal.
            [edge.trigger, source, sorted(edge.to_states), edge.target, edge.guards, edge.event, sorted(edge.evidence)]
            for (source, _), edge in sorted(self._table.items())
        ]
        states = sorted((state.name, state.final) for state in self.states)
        return {"name": self.name, "initial": self.initial, "states": states, "edges": edges}


def parse_machine(text: str, *, where: str = "machine") -> MachineDefinition:
    """Read a definition from TOML `text`; `where` names its origin in messages.

    Raises:
        DefinitionError: INVALID_MACHINE, with every problem in ``details["problems"]``.
    """
    subject = f"the machine definition {where!r}"
    document = read_document(
        text, where, check_machine, code="INVALID_MACHINE", subject=subject, hint="kitty-flow machines list"
    )
    return MachineDefinition(
        name=document["name"],
        description=document["description"],
        initial=document["initial"],
        states=tuple(State(name, **table) for name, table in document["states"].items()),
        transitions=tuple(_transition(table) for table in document["transitions"]),
    )


def _transition(table: Mapping[str, Any]) -> Transition:
    return Transition(
        trigger=table["trigger"],
        from_states=tuple(table["from"]),
        to_states=tuple(table["to"]),
        guards=tuple(table["guards"]),
        event=table["event"],
        evidence=tuple(table["evidence"]),
        description=table["description"],
        target=table.get("target"),
    )
