"""`kitty-flow graph`: the work packages of a mission as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kitty_flow.cli.context_options import OutputFileOption
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.plan_cmd import MissionOrPathArgument
from kitty_flow.errors import ExternalToolError, UsageError

if TYPE_CHECKING:
    from kitty_flow.flow.planning import PlannedMission

__all__ = ["graph"]

_Format = Literal["mermaid", "dot", "svg", "png", "json"]


@command(examples=["kitty-flow graph checkout --format svg -o checkout.svg", "kitty-flow graph shop.toml"])
def graph(
    mission: MissionOrPathArgument = None,
    form: Annotated[_Format, typer.Option("--format", help="The kind of picture.")] = "mermaid",
    output: OutputFileOption = None,
) -> Result:
    """Draw the work packages in their waves, with dependencies, added orders and the critical path.

    A mission in the ledger is drawn with the live states of its work packages.

    Raises:
        UsageError: OUTPUT_FILE_NEEDED.
        ExternalToolError: OUTPUT_NOT_WRITTEN or EXTRA_MISSING.
    """
    from kitty_flow.flow.planning import plan_mission

    if form == "png" and output is None:
        raise UsageError("OUTPUT_FILE_NEEDED", "a PNG is not text", hint="kitty-flow graph --format png -o FILE")
    planned = plan_mission(mission)
    text = _draw("svg" if form == "png" else form, planned)
    data = {"format": form, "output": output, "states": planned.states}
    if output is None:
        return Result(data | {"picture": text}, text, planned.diagnostics)
    content = _png(text) if form == "png" else text.encode()
    try:
        output.write_bytes(content)
    except OSError as error:
        raise ExternalToolError(
            "OUTPUT_NOT_WRITTEN", f"{output} cannot be written: {error.strerror}", hint="choose another -o FILE"
        ) from error
    return Result(data, f"wrote {output}", planned.diagnostics)


def _draw(form: _Format, planned: PlannedMission) -> str:
    if form == "json":
        import json

        from kitty_flow.views.plan_text import plan_data

        return json.dumps(plan_data(planned.definition, planned.plan, planned.diagnostics), indent=2) + "\n"
    from importlib import import_module

    draw = getattr(import_module(f"kitty_flow.views.dag_{form}"), form)
    return str(draw(planned.definition, planned.plan, planned.states))


def _png(svg: str) -> bytes:
    try:
        from cairosvg import svg2png
    except (ImportError, OSError) as error:  # OSError: the cairo library itself is missing
        raise ExternalToolError(
            "EXTRA_MISSING",
            f"PNG pictures need the extra 'png': {error}",
            hint="pip install 'kitty-flow[png]', or kitty-flow graph --format svg",
        ) from error
    return bytes(svg2png(bytestring=svg.encode(), scale=2))
