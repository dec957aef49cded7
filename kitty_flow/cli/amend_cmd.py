"""`kitty-flow mission amend`: change what a mission consists of while it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kitty_flow.cli.context_options import ActorOption, DryRunOption, MissionArgument, RequiredReasonOption
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import safe, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kitty_flow.flow.amend import Amended

__all__ = ["amend"]


@command(
    examples=[
        "kitty-flow mission amend --drop-dependency WP02:WP04 --reason 'WP02 was canceled'",
        "kitty-flow mission amend checkout --split WP04 --into parts.toml --reason 'too large' --dry-run",
    ]
)
def amend(
    reason: RequiredReasonOption,
    mission: MissionArgument = None,
    add_dependency: Annotated[
        list[str] | None,
        typer.Option("--add-dependency", metavar="A:B", help="B is to come after A; repeatable.", show_default=False),
    ] = None,
    drop_dependency: Annotated[
        list[str] | None,
        typer.Option("--drop-dependency", metavar="A:B", help="B no longer needs A; repeatable.", show_default=False),
    ] = None,
    add_wp: Annotated[
        list[Path] | None,
        typer.Option(
            "--add-wp",
            metavar="FILE",
            help="Add the [[work_package]] tables of a TOML file; repeatable.",
            show_default=False,
        ),
    ] = None,
    drop_wp: Annotated[
        list[str] | None,
        typer.Option("--drop-wp", metavar="WP", help="Cancel it and take it out; repeatable.", show_default=False),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", metavar="WP", help="Replace it by the parts in --into.", show_default=False),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option("--into", metavar="FILE", help="The TOML file with the parts.", show_default=False),
    ] = None,
    actor: ActorOption = None,
    dry_run: DryRunOption = False,
) -> Result:
    """Add, drop or split work packages and dependencies of a mission, and replan what has not started.

    What has started keeps its execution lane, branch and base; a run that is going on takes the change up with its next
    decision. Parts of a split inherit the dependencies of the whole where they state none, and all its dependents.
    """
    from kitty_flow.errors import UsageError
    from kitty_flow.flow.actor import acting
    from kitty_flow.flow.amend import amend as amend_mission
    from kitty_flow.flow.amend_difference import difference
    from kitty_flow.flow.amend_request import AmendRequest
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.project import Project
    from kitty_flow.flow.timeline import amendments

    if (split is None) != (into is None):
        raise UsageError(
            "SPLIT_INCOMPLETE",
            "--split and --into belong together",
            hint="kitty-flow mission amend --split WP04 --into FILE --reason TEXT",
        )
    edges = tuple(add_dependency or ()), tuple(drop_dependency or ())
    request = AmendRequest(*edges, tuple(add_wp or ()), tuple(drop_wp or ()), split, into)
    with open_mission(Project.discover(), mission) as opened:
        done = amend_mission(opened, request, reason=reason, actor=acting(actor), dry_run=dry_run)
        event_id = done.event_id
        if done.was_recorded_before:
            event_id = next((a["event_id"] for a in reversed(amendments(opened)) if not a["superseded"]), None)
        data = {
            "mission": opened.slug,
            "state": opened.state(),
            "dry_run": dry_run,
            "reason": reason,
            "changes": done.changes,
            "canceled": list(done.canceled),
            "definition_digest": done.after[0].digest,
            "difference": difference(done).as_data(),
            "event_id": event_id,
            "ledger": opened.ledger.ref,
        }
        head = f"{opened.slug} amended"
        if dry_run:
            head = f"{opened.slug} would be amended; nothing was written"
        elif done.was_recorded_before:
            head = f"{opened.slug} had been amended like this before; nothing was written"
        diagnostics = (*opened.diagnostics, *done.diagnostics)
        follow = "plan" if dry_run else "merge" if data["state"] == "accepted" else "status"
        foot = f"next: kitty-flow {follow} {opened.slug}"
        return Result(data, lambda: _text(done, head, foot), diagnostics)


def _text(done: Amended, head: str, foot: str) -> RenderableType:
    from rich.console import Group

    from kitty_flow.flow.amend_difference import difference

    found = difference(done)
    rows = [
        (i, _change(*wave), _change(*lane), _change(*map(_names, prerequisites)))
        for i, wave, lane, prerequisites in found.moved
    ]
    before, after = found.before, found.after
    lines = [
        f"waves: {_change(len(before.waves), len(after.waves))}",
        f"execution lanes: {_change(len(before.execution_lanes), len(after.execution_lanes))}",
        f"critical path: {' -> '.join(after.critical_path)}",
    ]
    if before.critical_path != after.critical_path:
        lines.append(f"before it was: {' -> '.join(before.critical_path)}")
    lines.append(foot)
    parts: list[Any] = [safe(head)]
    if rows:
        parts.append(table(("WP", "WAVE", "LANE", "AFTER"), rows))
    return Group(*parts, "\n".join(safe(line) for line in lines))


def _names(ids: tuple[str, ...]) -> str:
    return ", ".join(ids) or "-"


def _change(before: object, after: object) -> str:
    """One value where both are the same; ``new`` and ``gone`` for what is on one side only."""
    if before == after:
        return str(after)
    return f"{'new' if before is None else before} => {'gone' if after is None else after}"
