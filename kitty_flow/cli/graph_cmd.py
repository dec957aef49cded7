"""`kitty-flow graph`: the work packages of a mission as a picture."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from kitty_flow.cli.context_options import OutputFileOption
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.plan_cmd import MissionOrPathArgument
from kitty_flow.errors import ExternalToolError

__all__ = ["graph"]

_Format = Literal["mermaid", "dot", "svg", "json"]


@command(examples=["kitty-flow graph checkout --format svg -o checkout.svg", "kitty-flow graph shop.toml"])
def graph(
    mission: MissionOrPathArgument = None,
    form: Annotated[_Format, typer.Option("--format", help="The kind of picture.")] = "mermaid",
    output: OutputFileOption = None,
) -> Result:
    """Draw the work packages in their waves, with dependencies, added orders and the critical path.

    A mission in the ledger is drawn with the live states of its work packages.

    Raises:
        ExternalToolError: OUTPUT_NOT_WRITTEN.
    """
    from kitty_flow.flow.planning import plan_mission

    planned = plan_mission(mission)
    text = _draw(form, planned.definition, planned.plan, planned.states)
    data = {"format": form, "output": output, "states": planned.states}
    if output is None:
        return Result(data | {"picture": text}, text, planned.diagnostics)
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ExternalToolError(
            "OUTPUT_NOT_WRITTEN", f"{output} cannot be written: {error.strerror}", hint="choose another -o FILE"
        ) from error
    return Result(data, f"wrote {output}", planned.diagnostics)


def _draw(form: _Format, definition, plan, states) -> str:  # type: ignore[no-untyped-def]
    if form == "json":
        import json

        from kitty_flow.views.plan_text import plan_data

        return json.dumps(plan_data(definition, plan, ()), indent=2) + "\n"
    from importlib import import_module

    draw = getattr(import_module(f"kitty_flow.views.dag_{form}"), form)
    return str(draw(definition, plan, states))
