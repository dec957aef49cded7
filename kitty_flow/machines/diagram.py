"""A machine as a picture: Mermaid source that GitHub and most editors draw."""

from __future__ import annotations

from kitty_flow.machines.definition import NEW, MachineDefinition

__all__ = ["mermaid"]


def mermaid(definition: MachineDefinition) -> str:
    """The machine as a Mermaid ``stateDiagram-v2``: every edge with its trigger, in the order of the definition.

    Names are plain by validation, so nothing needs escaping.
    """
    lines = ["stateDiagram-v2"]
    for edge in definition.transitions:
        for source in edge.from_states:
            start = "[*]" if source == NEW else source
            lines.extend(f"    {start} --> {target} : {edge.trigger}" for target in edge.to_states)
    lines.extend(f"    {state.name} --> [*]" for state in definition.states if state.final)
    return "\n".join(lines) + "\n"
