"""`kitty-flow errors`: what was refused, failed a gate or did not validate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kitty_flow.cli.context_options import SinceOption
from kitty_flow.cli.groups import command_group
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import safe

if TYPE_CHECKING:
    from kitty_flow.model.error_entry import ErrorEntry

__all__ = ["app"]

app = command_group("See what was refused or did not validate.")


@app.callback()
def _group() -> None:
    """See what was refused or did not validate."""  # without it typer makes the only command the group itself


@app.command("list")
@command(examples=["kitty-flow errors list", "kitty-flow errors list --since 2h --type GateFailure"])
def list_errors(
    mission: Annotated[
        str | None,
        typer.Option("--mission", "-m", metavar="SLUG", help="Only errors of this mission.", show_default=False),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--type", metavar="T", help="Only this type, such as GateFailure.", show_default=False),
    ] = None,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Only the last N.")] = 50,
) -> Result:
    """List refused transitions, failed gates and invalid definitions of this repository, oldest first."""
    from kitty_flow.cli.moment import moment
    from kitty_flow.flow.project import Project
    from kitty_flow.ledger.error_log import ERRORS_REF, read_errors

    start = moment(since, "--since") if since is not None else ""
    entries, warnings = read_errors(Project.discover().repository)
    found = [
        entry
        for entry in entries
        if entry.timestamp >= start
        and mission in (None, entry.mission)
        and (kind is None or kind.casefold() == entry.error_type.casefold())
    ]
    shown = found[-limit:]
    data = {"log": ERRORS_REF, "errors": shown, "matching": len(found)}
    if not shown:
        return Result(data, "no errors match" if entries else "nothing was refused yet", warnings)
    return Result(data, lambda: "\n".join(_text(entry) for entry in shown), warnings)


def _text(entry: ErrorEntry) -> str:
    """Two lines: a table would leave no room for the reason."""
    about = "" if entry.mission in (None, entry.entity_id) else f" of {entry.mission}"
    head = f"{entry.timestamp[:19].replace('T', ' ')}  {entry.error_type}  {entry.entity_id}{about}"
    return safe(f"{head} ({entry.attempted_operation})") + "\n    " + safe(entry.reason)
