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

_Format = Literal["mermaid", "dot", "svg", "png", "html", "json"]


@command(
    examples=[
        "kitty-flow graph checkout --format svg -o checkout.svg",
        "kitty-flow graph checkout --format html -o checkout.html",
        "kitty-flow graph shop.toml",
    ]
)
def graph(
    mission: MissionOrPathArgument = None,
    form: Annotated[_Format, typer.Option("--format", help="The kind of picture.")] = "mermaid",
    output: OutputFileOption = None,
) -> Result:
    """Draw the work packages in their waves, with dependencies, added orders and the critical path.

    A mission in the ledger is drawn with the live states of its work packages. The HTML page needs nothing but a
    browser: search, filters, details, the history of the states and a Gantt chart.

    Raises:
        UsageError: OUTPUT_FILE_NEEDED.
        ExternalToolError: OUTPUT_NOT_WRITTEN, LAYOUT_MISSING or PNG_MISSING.
    """
    from kitty_flow.flow.planning import plan_mission

    if form == "png" and output is None:
        raise UsageError("OUTPUT_FILE_NEEDED", "a PNG is not text", hint="kitty-flow graph --format png -o FILE")
    planned = plan_mission(mission)
    picture = _draw(form, planned)
    data = {"format": form, "output": output, "states": planned.states}
    if output is None:
        return Result(data | {"picture": picture}, str(picture), planned.diagnostics)
    try:
        output.write_bytes(picture if isinstance(picture, bytes) else picture.encode())
    except OSError as error:
        raise ExternalToolError(
            "OUTPUT_NOT_WRITTEN", f"{output} cannot be written: {error.strerror}", hint="choose another -o FILE"
        ) from error
    return Result(data, f"wrote {output}", planned.diagnostics)


def _draw(form: _Format, planned: PlannedMission) -> str | bytes:
    if form == "json":
        import json

        from kitty_flow.views.plan_text import plan_data

        return json.dumps(plan_data(planned.definition, planned.plan, planned.diagnostics), indent=2) + "\n"
    if form == "html":
        from kitty_flow.flow.mission_record import mission_record
        from kitty_flow.views.dag_html import html

        record = mission_record(planned.definition.id or planned.definition.slug) if planned.states else None
        return html(planned.definition, planned.plan, record)
    from importlib import import_module

    draw = getattr(import_module(f"kitty_flow.views.dag_{form}"), form)
    picture: str | bytes = draw(planned.definition, planned.plan, planned.states)
    return picture
