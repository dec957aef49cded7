"""`kitty-flow advise`, `ask` and `do`: put a request to a profile, on record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kitty_flow.cli.context_options import ActorOption
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import fields, safe, safe_block

if TYPE_CHECKING:
    from kitty_flow.invocation.advice import Advice

__all__ = ["advise", "ask", "do"]

RequestArgument = Annotated[str, typer.Argument(metavar="REQUEST", help="What is to be done, in plain words.")]
AboutMission = Annotated[
    str | None,
    typer.Option("--mission", "-m", metavar="MISSION", envvar="KITTY_FLOW_MISSION", help="The mission it is about."),
]
AboutWorkPackage = Annotated[
    str | None,
    typer.Option("--wp", metavar="WP", envvar="KITTY_FLOW_WP", help="The work package it is about."),
]


@command(
    examples=["kitty-flow advise 'review the parser'", "kitty-flow advise 'is the parser safe?' --profile reviewer"]
)
def advise(
    request: RequestArgument,
    profile: Annotated[
        str | None, typer.Option("--profile", metavar="P", help="The profile to ask.", show_default="by the request")
    ] = None,
    actor: ActorOption = None,
    mission: AboutMission = None,
    wp: AboutWorkPackage = None,
) -> Result:
    """Find the profile for a request, and print the rules that count for it. Nothing is done, and no model is asked.

    The request is recorded before anything is printed. It stays open until `profile-invocation complete` closes it.

    Raises:
        UsageError: ROUTER_AMBIGUOUS, ROUTER_NO_MATCH, PROFILE_NOT_FOUND, or a request that is empty or too large.
    """
    return _answer(request, "advisory", profile, actor, mission, wp)


@command(examples=["kitty-flow ask reviewer 'is the parser safe?'"])
def ask(
    profile: Annotated[str, typer.Argument(metavar="P", help="The profile to ask.")],
    request: RequestArgument,
    actor: ActorOption = None,
    mission: AboutMission = None,
    wp: AboutWorkPackage = None,
) -> Result:
    """Put work to a profile: print the rules that count for it, on record. Whoever asks does the work.

    Raises:
        UsageError: PROFILE_NOT_FOUND, or a request that is empty or too large.
    """
    return _answer(request, "task_execution", profile, actor, mission, wp)


@command(examples=["kitty-flow do 'fix the failing test of the parser'"])
def do(
    request: RequestArgument,
    actor: ActorOption = None,
    mission: AboutMission = None,
    wp: AboutWorkPackage = None,
) -> Result:
    """Put work to the profile that the request itself leads to, on record. Whoever asks does the work.

    Raises:
        UsageError: ROUTER_AMBIGUOUS, ROUTER_NO_MATCH, or a request that is empty or too large.
    """
    return _answer(request, "task_execution", None, actor, mission, wp)


def _answer(
    request: str,
    mode: Literal["advisory", "task_execution"],
    profile: str | None,
    actor: str | None,
    mission: str | None,
    wp: str | None,
) -> Result:
    from kitty_flow.flow.project import Project
    from kitty_flow.invocation.advice import advise as advised

    project = Project.discover()
    advice = advised(
        project,
        request,
        mode_of_work=mode,
        profile=profile,
        actor=actor,
        mission=mission or None,
        work_package=wp or None,
    )
    return Result(advice.as_data(), lambda: _text(advice))


def _text(advice: Advice) -> str:
    files = advice.context.files
    charter = ", ".join(files) if files else "none; a project's charter goes into .kitty-flow/charter.md"
    facts = [
        ("profile", f"{advice.profile.id} ({advice.profile.name})"),
        ("action", advice.route.action),
        ("because", f"{advice.route.match_reason} ({advice.route.confidence})"),
        ("mode", advice.mode_of_work),
        *([("about", " ".join(filter(None, (advice.mission_id, advice.wp_id))))] if advice.mission_id else []),
        ("invocation", advice.invocation_id),
        ("charter", charter),
        ("context", f"sha256 {advice.context.digest}"),
    ]
    return "\n".join((fields(facts), "", safe_block(advice.context.text), f"next: {safe(advice.next_step)}"))
