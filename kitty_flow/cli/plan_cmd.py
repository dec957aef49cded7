"""`kitty-flow plan`: validate a mission and show its waves, execution lanes and critical path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import safe, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kitty_flow.flow.planning import PlannedMission

__all__ = ["MissionOrPathArgument", "plan"]

MissionOrPathArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="MISSION_OR_PATH",
        help="Slug, ULID or prefix; or the path of a mission folder or file, for which nothing is written.",
        show_default=False,
    ),
]


@command(examples=["kitty-flow plan", "kitty-flow plan kitty-specs/checkout --agents 6", "kitty-flow plan shop.toml"])
def plan(
    mission: MissionOrPathArgument = None,
    agents: Annotated[
        int | None, typer.Option("--agents", min=1, metavar="K", help="How many agents work at once.", show_default="4")
    ] = None,
) -> Result:
    """Validate a mission and compute its waves, execution lanes, critical path and merge order.

    Two work packages whose owned files can overlap are put in an order; the plan says which and why.
    """
    from kitty_flow.flow.planning import plan_mission
    from kitty_flow.views.plan_text import plan_data

    planned = plan_mission(mission, agents=agents)
    data = plan_data(planned.definition, planned.plan, planned.diagnostics)
    return Result(data, lambda: _text(planned), planned.diagnostics)


def _text(planned: PlannedMission) -> RenderableType:
    from rich.console import Group

    from kitty_flow.views.plan_text import plan_rows, plan_summary

    head = safe(f"{planned.definition.title} ({planned.definition.slug})") + "\n"
    rows = plan_rows(planned.definition, planned.plan)
    foot = "\n" + "\n".join(safe(line) for line in plan_summary(planned.definition, planned.plan))
    return Group(head, table(("WAVE", "WP", "TITLE", "AFTER", "LANE", "SLACK"), rows), foot)
