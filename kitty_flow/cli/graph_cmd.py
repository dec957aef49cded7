"""`kitty-flow graph`: the work packages of a mission as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from kitty_flow.cli.output import Result, command
from kitty_flow.cli.output_file import OutputFileOption, write_output
from kitty_flow.cli.plan_cmd import MissionOrPathArgument
from kitty_flow.errors import UsageError

if TYPE_CHECKING:
    from kitty_flow.flow.planning import PlannedMission
    from kitty_flow.model.diagnostic import Diagnostic

__all__ = ["graph"]

_MERMAID_CHARACTERS: Final = 50_000
_MERMAID_ARROWS: Final = 500

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
    remarks = (*planned.diagnostics, *_too_large(form, picture))
    if output is None:
        return Result(data | {"picture": picture}, str(picture), remarks)
    write_output(output, picture if isinstance(picture, bytes) else picture.encode())
    return Result(data, f"wrote {output}", remarks)


def _too_large(form: _Format, picture: str | bytes) -> tuple[Diagnostic, ...]:
    """Mermaid's own limits, of which a reader of a pull request would see only an error (mermaid.js.org, "Config")."""
    if form != "mermaid" or not isinstance(picture, str):
        return ()
    arrows = picture.count("-->") + picture.count("-.->") + picture.count("==>")
    if len(picture) <= _MERMAID_CHARACTERS and arrows <= _MERMAID_ARROWS:
        return ()
    from kitty_flow.model.diagnostic import Diagnostic

    message = (
        f"with {len(picture)} characters and {arrows} arrows this is more than Mermaid draws by default "
        f"({_MERMAID_CHARACTERS} and {_MERMAID_ARROWS}): kitty-flow graph --format svg, or html"
    )
    return (Diagnostic(severity="warning", diagnostic_code="MERMAID_TOO_LARGE", message=message, phase="draw"),)


def _draw(form: _Format, planned: PlannedMission) -> str | bytes:
    if form == "json":
        import json

        from kitty_flow.views.plan_text import plan_data

        drawn = plan_data(planned.definition, planned.plan, planned.diagnostics)
        if planned.states:
            for each in drawn["work_packages"]:
                each["state"] = planned.states[each["id"]]
        return json.dumps(drawn, indent=2) + "\n"
    if form == "html":
        from kitty_flow.flow.mission_record import mission_record
        from kitty_flow.views.dag_html import html

        record = mission_record(planned.definition.id or planned.definition.slug) if planned.states else None
        return html(planned.definition, planned.plan, record)
    from importlib import import_module

    draw = getattr(import_module(f"kitty_flow.views.dag_{form}"), form)
    picture: str | bytes = draw(planned.definition, planned.plan, planned.states)
    return picture
