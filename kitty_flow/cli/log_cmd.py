"""`kitty-flow log`: the events of a mission."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from kitty_flow.cli.context_options import MissionArgument, SinceOption
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import safe

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["log"]


@command(examples=["kitty-flow log", "kitty-flow log checkout --wp WP03 --limit 10", "kitty-flow log --since 2h"])
def log(
    mission: MissionArgument = None,
    wp: Annotated[
        str | None, typer.Option("--wp", metavar="WP", help="Only events of this work package.", show_default=False)
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--type", metavar="T", help="Only this trigger, such as approve.", show_default=False),
    ] = None,
    since_clock: Annotated[
        int, typer.Option("--since-clock", min=0, metavar="N", help="Only events with a clock above N.")
    ] = 0,
    actor: Annotated[
        str | None, typer.Option("--actor", metavar="A", help="Only events of this actor.", show_default=False)
    ] = None,
    entity: Annotated[
        str | None,
        typer.Option("--entity", metavar="ID", help="Only events of this entity, by its id.", show_default=False),
    ] = None,
    since: SinceOption = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="WHEN", help="Only before this date or time, or 2h ago.", show_default=False),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="Only the last N.", show_default=False)
    ] = None,
) -> Result:
    """List what was recorded, in the ledger's order, oldest first.

    Moments are those of the clones that recorded: their clocks may differ, and the order never follows them.
    """
    from kitty_flow.cli.moment import moment
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.project import Project
    from kitty_flow.ledger.query import EventFilter, find_events

    with open_mission(Project.discover(), mission) as opened:
        if wp is not None:
            opened.work_package(wp)
        wanted = EventFilter(
            entity,
            wp,
            kind,
            since_clock,
            actor,
            moment(since, "--since") if since is not None else None,
            moment(until, "--until") if until is not None else None,
            limit,
        )
        events = find_events(opened.ledger, wanted)
        superseded = opened.view().superseded
        data = {
            "mission": {"id": opened.id, "slug": opened.slug},
            "ledger": opened.ledger.ref,
            "events": [
                event.model_dump(by_alias=True) | {"superseded": event.event_id in superseded} for event in events
            ],
        }
        rows = [
            (
                e.lamport,
                e.at[11:19],
                e.entity_id if e.entity_type == "work_package" else e.entity_type,
                e.trigger
                if e.kind == "annotation" or e.from_state == e.to_state
                else f"{e.from_state or '-'} -> {e.to_state}",
                e.actor,
                ("SUPERSEDED " if e.event_id in superseded else "")
                + ("FORCED " if e.force else "")
                + (e.reason or "")[:200],
            )
            for e in events
        ]
        if not rows:
            return Result(data, "no events match")
        return Result(data, lambda: _table(rows))


def _table(rows: Sequence[Sequence[object]]) -> RenderableType:
    from kitty_flow.views.grid import Grid

    columns = ("CLOCK", "TIME", "WHAT", "CHANGE", "ACTOR", "REASON")
    return Grid(columns, [[safe(str(cell)) for cell in row] for row in rows], whole_words=True)
