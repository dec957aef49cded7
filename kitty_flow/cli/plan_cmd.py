"""`kitty-flow plan`: validate a mission and show its waves, execution lanes, critical path and what it will take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from kitty_flow.cli.output import Result, command, is_json
from kitty_flow.cli.terminal import safe, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from kitty_flow.errors import DefinitionError
    from kitty_flow.flow.planning import PlannedMission, Prospect
    from kitty_flow.graph.what_if import WhatIf

__all__ = ["MissionOrPathArgument", "plan"]

_ROWS: Final = 40
"""A mission of more work packages is shown by its waves."""

MissionOrPathArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="MISSION_OR_PATH",
        help="Slug, ULID or prefix; or the path of a mission folder or file, for which nothing is written.",
        show_default=False,
    ),
]


@command(
    examples=[
        "kitty-flow plan",
        "kitty-flow plan kitty-specs/checkout --agents 6",
        "kitty-flow plan shop.toml --strict",
        "kitty-flow plan checkout --what-if fail=WP03 --what-if agents=6",
    ]
)
def plan(
    mission: MissionOrPathArgument = None,
    agents: Annotated[
        int | None, typer.Option("--agents", min=1, metavar="K", help="How many agents work at once.", show_default="4")
    ] = None,
    what_if: Annotated[
        list[str] | None,
        typer.Option(
            "--what-if",
            metavar="CHANGE",
            help="Compare with agents=6, fail=WP03 or drop=WP01:WP04 (WP04 without WP01); repeatable.",
            show_default=False,
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail when there are warnings.")] = False,
    show_all: Annotated[
        bool, typer.Option("--all", help=f"List every work package, also of more than {_ROWS}.")
    ] = False,
) -> Result:
    """Validate a mission and compute its waves, execution lanes, critical path and merge order.

    Two work packages whose owned files can overlap are put in an order; the plan says which and why. The predicted
    time is for what is left to do; it counts work packages until some are finished here, and their times from then on.
    """
    from kitty_flow.flow.planning import plan_mission, prospect
    from kitty_flow.views.plan_text import concise, plan_data

    supposition = None
    if what_if:
        from kitty_flow.graph.what_if import read_supposition

        supposition = read_supposition(what_if)
    planned = plan_mission(mission, agents=agents, with_experience=True, only_look=supposition is not None)
    seen = prospect(planned, supposition)
    data = plan_data(planned.definition, planned.plan, planned.diagnostics, seen.forecast, seen.what_if)
    diagnostics = planned.diagnostics if is_json() else concise(planned.diagnostics)
    error = _warned(planned) if strict else None
    return Result(data, lambda: _text(planned, seen, show_all), diagnostics, error)


def _warned(planned: PlannedMission) -> DefinitionError | None:
    from kitty_flow.errors import DefinitionError

    warnings = [d for d in planned.diagnostics if d.severity != "info"]
    if not warnings:
        return None
    plural = "s" if len(warnings) > 1 else ""
    return DefinitionError(
        "PLAN_HAS_WARNINGS",
        f"{planned.definition.slug} can be planned, with {len(warnings)} warning{plural}, and --strict allows none",
        hint=f"mend them in {planned.definition.source.path}, or plan without --strict",
        details={"codes": sorted({d.diagnostic_code for d in warnings})},
    )


def _text(planned: PlannedMission, seen: Prospect, show_all: bool) -> RenderableType:
    from rich.console import Group

    from kitty_flow.views.plan_text import plan_rows, plan_summary, wave_rows

    definition, plan = planned.definition, planned.plan
    head = safe(f"{definition.title} ({definition.slug})") + "\n"
    if seen.what_if is not None:
        return Group(head, *_comparison(seen.what_if))
    below = plan_summary(definition, plan, seen.forecast)
    if show_all or len(definition.work_packages) <= _ROWS:
        rows = table(("WAVE", "WP", "TITLE", "AFTER", "LANE", "SLACK"), plan_rows(definition, plan))
        return Group(head, rows, _below(below))
    rows = table(("WAVE", "SIZE", "CRITICAL", "OTHERS"), wave_rows(plan))
    return Group(head, rows, _below((*below, "--all lists every work package")))


def _comparison(compared: WhatIf) -> tuple[RenderableType, str]:
    from kitty_flow.views.forecast_text import what_if_lines, what_if_rows

    return table(("", "AS IT IS", "WHAT IF"), what_if_rows(compared)), _below(what_if_lines(compared))


def _below(lines: Iterable[str]) -> str:
    return "".join("\n" + safe(line) for line in lines)
