"""`kitty-flow invocations` and `kitty-flow profile-invocation`: the trail of requests, and how one is closed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kitty_flow.cli.groups import command_group
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import safe
from kitty_flow.model.text import clean

if TYPE_CHECKING:
    from kitty_flow.invocation.record import InvocationRecord
    from kitty_flow.invocation.rows import Row

__all__ = ["app", "closing"]

app = command_group("See what was asked of which profile, and how it ended.")
closing = command_group("Report how a request to a profile ended.")


@app.command("list")
@command(examples=["kitty-flow invocations list", "kitty-flow invocations list --profile reviewer --limit 5 --json"])
def list_invocations(
    profile: Annotated[
        str | None, typer.Option("--profile", metavar="P", help="Only of this profile.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Only the newest N.")] = 20,
) -> Result:
    """List invocations, newest first: requests to profiles, and the steps of all missions."""
    from kitty_flow.flow.project import Project
    from kitty_flow.invocation.listing import list_invocations as listed

    found = listed(Project.discover(), profile=profile, limit=limit)
    data = {"invocations": found.rows}
    if not found.rows:
        of = f" of {profile}" if profile is not None else ""
        return Result(data, f"no invocations{of}", found.warnings)
    return Result(data, lambda: _rows(found.rows), found.warnings)


@app.command("show")
@command(examples=["kitty-flow invocations show 01KPQRX2 --json"])
def show(
    invocation_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, or an unambiguous beginning of it.")],
) -> Result:
    """Show one invocation with all of its events."""
    from kitty_flow.flow.project import Project
    from kitty_flow.invocation.listing import find_record

    record = find_record(Project.discover(), invocation_id)
    data = {"invocation": record.as_data(), "events": [event.as_data() for event in record.events]}
    return Result(data, lambda: _text(record))


@closing.callback()
def _group() -> None:
    """Report how a request to a profile ended."""  # without it typer makes the only command the group itself


@closing.command("complete")
@command(
    examples=[
        "kitty-flow profile-invocation complete --invocation-id 01KPQRX2 --outcome done",
        "kitty-flow profile-invocation complete --invocation-id 01KPQRX2 --outcome done --evidence log.txt",
    ]
)
def complete(
    invocation_id: Annotated[
        str, typer.Option("--invocation-id", metavar="ID", help="Its id, or an unambiguous beginning of it.")
    ],
    outcome: Annotated[Literal["done", "failed", "abandoned"], typer.Option("--outcome", help="How it ended.")],
    summary: Annotated[
        str | None, typer.Option("--summary", metavar="TEXT", help="What came of it, or why not.", show_default=False)
    ] = None,
    evidence: Annotated[
        Path | None, typer.Option("--evidence", metavar="FILE", help="Keep this file's content.", show_default=False)
    ] = None,
    artifact: Annotated[
        list[str] | None,
        typer.Option("--artifact", metavar="REF", help="Link to a file or an address; repeatable.", show_default=False),
    ] = None,
    commit: Annotated[
        list[str] | None,
        typer.Option("--commit", metavar="REV", help="Link to a commit; repeatable.", show_default=False),
    ] = None,
    actor: Annotated[
        str | None, typer.Option("--actor", metavar="NAME", help="Who reports it.", show_default="you")
    ] = None,
) -> Result:
    """Close a request, once and for good, with what came of it.

    All of it is recorded together or nothing is. A step of a mission is not closed here but where its work is reported.
    """
    from kitty_flow.flow.project import Project
    from kitty_flow.invocation.closing import close

    record = close(
        Project.discover(),
        invocation_id,
        outcome,
        summary=summary,
        evidence=evidence,
        artifacts=artifact or (),
        commits=commit or (),
        actor=actor,
    )
    return Result(record.as_data(), f"{record.invocation_id} of {record.profile_id} is {record.state}")


def _rows(found: Sequence[Row]) -> str:
    """One line each. A rich table of a hundred rows takes as long as all the rest of the command."""
    names = [_cell(row["profile_id"]) for row in found]
    width = max(map(len, names))
    lines = [
        f"{row['invocation_id']}  {_moment(row['started_at'])}  {row['state']:<9}  {name:<{width}}  {_what(row)}"
        for row, name in zip(found, names, strict=True)
    ]
    return "\n".join(line.rstrip() for line in lines)


def _moment(at: str) -> str:
    return _cell(at)[:16].replace("T", " ")


def _cell(text: str) -> str:
    return clean(text)[:40]


def _what(row: Row) -> str:
    place = row.get("wp_id") or row.get("mission_id")
    return _cell(f"{row['action']}{f' {place}' if place else ''}")


def _text(record: InvocationRecord) -> str:
    lines = [f"{record.invocation_id}  {record.state}"]
    for name, value in record.as_data().items():
        if name in ("invocation_id", "state") or value in (None, "", []):
            continue
        shown = ", ".join(map(_shown, value)) if isinstance(value, list) else str(value)
        lines.append(f"  {name.replace('_', ' ')}: {safe(shown)}")
    lines += ["", *(f"  {event.at}  {event.event} ({safe(event.actor)})" for event in record.events)]
    return "\n".join(lines)


def _shown(value: object) -> str:
    return str(value["ref"]) if isinstance(value, dict) else str(value)
