"""Arguments and options that several commands share, so that they read and behave alike everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "ActorOption",
    "AgentsOption",
    "DirectoryArgument",
    "DryRunOption",
    "EpochOption",
    "MissionArgument",
    "MissionOption",
    "ReasonOption",
    "RequiredReasonOption",
    "SinceOption",
    "WorkPackageArgument",
]

_MISSION_HELP = "Slug, ULID or unambiguous prefix; may be left out when exactly one mission is open."

MissionArgument = Annotated[str | None, typer.Argument(metavar="MISSION", help=_MISSION_HELP, show_default=False)]
MissionOption = Annotated[
    str | None, typer.Option("--mission", "-m", metavar="MISSION", help=_MISSION_HELP, show_default=False)
]
WorkPackageArgument = Annotated[
    str, typer.Argument(metavar="WP", help="Work package, such as WP03.", show_default=False)
]
DirectoryArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The project's folder.", show_default="here")]
AgentsOption = Annotated[int, typer.Option("--agents", min=1, metavar="K", help="How many agents work at once.")]
ActorOption = Annotated[
    str | None,
    typer.Option(
        "--actor",
        metavar="NAME",
        help="Who acts; default: KITTY_FLOW_ACTOR, else the login name.",
        show_default=False,
    ),
]
EpochOption = Annotated[
    int | None,
    typer.Option(
        "--epoch",
        metavar="N",
        min=1,
        envvar="KITTY_FLOW_EPOCH",
        help="The fencing number of the claim that is meant; a later claim is not taken for it.",
        show_default=False,
    ),
]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept in the ledger.", show_default=False)
]
RequiredReasonOption = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the ledger.", show_default=False)
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would happen and change nothing.")]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="WHEN", help="Only since this date or time (UTC), or for 2h, 3d.", show_default=False
    ),
]
