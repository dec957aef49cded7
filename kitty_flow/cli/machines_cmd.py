"""`kitty-flow machines`: the state machines that ship, as lists, tables and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kitty_flow.cli.groups import command_group
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kitty_flow.machines import MachineDefinition

__all__ = ["app"]

app = command_group("The state machines that ship: what may happen to a work package, a mission, a merge.")

_NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A machine's name.", show_default=False)]


@app.command("list")
@command(examples=["kitty-flow machines list"])
def list_machines() -> Result:
    """List the machines with what they are for."""
    from kitty_flow.machines import machine, machine_names

    known = [machine(name) for name in machine_names()]
    data = {
        "machines": [
            {
                "name": definition.name,
                "description": definition.description,
                "states": len(definition.states),
                "transitions": len(definition.transitions),
                "digest": definition.digest,
            }
            for definition in known
        ]
    }
    rows = [(item.name, len(item.states), len(item.transitions), item.description) for item in known]
    return Result(data, lambda: table(("MACHINE", "STATES", "TRANSITIONS", "DESCRIPTION"), rows))


@app.command("show")
@command(examples=["kitty-flow machines show work_package"])
def show_machine(name: _NameArgument) -> Result:
    """Show the states and the transitions of a machine."""
    from kitty_flow.machines import machine

    definition = machine(name)
    return Result(_machine_data(definition), lambda: _machine_text(definition))


@app.command("diagram")
@command(examples=["kitty-flow machines diagram work_package", "kitty-flow machines diagram merge > merge.mmd"])
def draw_machine(
    name: _NameArgument,
    format: Annotated[Literal["mermaid"], typer.Option("--format", help="The form of the picture.")] = "mermaid",
) -> Result:
    """Draw a machine as a Mermaid state diagram."""
    from kitty_flow.machines import machine, mermaid

    diagram = mermaid(machine(name))
    return Result({"name": name, "format": format, "diagram": diagram}, diagram)


def _machine_data(definition: MachineDefinition) -> dict[str, Any]:
    return {
        "name": definition.name,
        "description": definition.description,
        "initial": definition.initial,
        "digest": definition.digest,
        "states": [
            {"name": state.name, "description": state.description, "final": state.final} for state in definition.states
        ],
        "transitions": [
            {
                "trigger": edge.trigger,
                "from": edge.from_states,
                "to": edge.to_states,
                "guards": edge.guards,
                "event": edge.event,
                "evidence": edge.evidence,
                "description": edge.description,
            }
            for edge in definition.transitions
        ],
    }


def _machine_text(definition: MachineDefinition) -> RenderableType:
    from rich.console import Group

    states = [
        (state.name, "final" if state.final else "first" if state.name == definition.initial else "", state.description)
        for state in definition.states
    ]
    edges = [(edge.trigger, edge.from_states, edge.to_states, edge.guards) for edge in definition.transitions]
    return Group(
        f"{definition.name}: {definition.description}\n",
        table(("STATE", "", "DESCRIPTION"), states),
        "",
        table(("TRIGGER", "FROM", "TO", "GUARDS"), edges),
    )
