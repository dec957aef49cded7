"""`kitty-flow agents`: which agents and coding CLIs there are, and whether they can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kitty_flow.cli.groups import command_group
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import safe, table
from kitty_flow.errors import ExternalToolError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kitty_flow.flow.agent_survey import Checked

__all__ = ["app"]

app = command_group("The agents of the settings, and the coding CLIs that kitty-flow knows.")


@app.command("list")
@command(examples=["kitty-flow agents list"])
def list_agents() -> Result:
    """List the agents of the settings and the presets, with what is installed here. Starts nothing."""
    from kitty_flow.flow.agent_survey import agents_data, presets_data, project_here

    data = {"agents": agents_data(project_here()), "presets": presets_data()}
    return Result(data, lambda: _list_text(data))


@app.command("check")
@command(
    examples=[
        "kitty-flow agents check",
        "kitty-flow agents check claude",
        "kitty-flow agents check builder --run --timeout 120",
    ]
)
def check_agents(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="An agent of the settings, or a preset.", show_default="the settings' agents"
        ),
    ] = None,
    run: Annotated[
        bool,
        typer.Option("--run", help="Also let it do a small work package in a scratch repository; this uses its model."),
    ] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, metavar="SECONDS", help="The longest time for one --run.")
    ] = 300,
) -> Result:
    """Check that agents can be used: the program is there, starts, and has the options that its preset gives it.

    No model is asked and no credentials are needed, except with --run. Exit status 7 when an agent is unusable.

    Raises:
        UsageError: UNKNOWN_AGENT, NO_AGENTS or PRESET_NEEDS_COMMAND.
    """
    from kitty_flow.flow.agent_survey import candidates, check, project_here

    project = project_here()
    checked = check(project, candidates(project, name), trial_s=timeout if run else None)
    return Result({"agents": [each.as_data() for each in checked]}, lambda: _check_text(checked), error=_error(checked))


def _list_text(data: dict[str, list[dict[str, Any]]]) -> RenderableType:
    from rich.console import Group

    rows = [
        (
            agent["name"],
            agent["preset"] or "",
            ", ".join([agent["role"], *(f"run.{key}" for key in agent["default"])]),
            agent["pool"],
            agent["concurrency"] or agent["pool_concurrency"] or "",
            agent["executable"] or f"{agent['command'][0]}: not found",
        )
        for agent in data["agents"]
    ]
    agents = table(("AGENT", "PRESET", "ROLE", "POOL", "AT ONCE", "PROGRAM"), rows)
    presets = [
        (
            known["name"],
            known["title"],
            f"{known['checked']}{', tried' if known['tried'] else ''}" if known["checked"] else "unchecked",
            known["executable"] or "not found",
        )
        for known in data["presets"]
    ]
    return Group(
        agents if rows else "the settings name no agents",
        "",
        table(("PRESET", "TOOL", "CHECKED WITH", "PROGRAM"), presets),
        "",
        "see whether one works: kitty-flow agents check NAME; use it: kitty-flow run --agent NAME",
    )


def _check_text(checked: list[Checked]) -> str:
    lines = []
    for each in checked:
        facts = [each.probed.version or "", each.probed.executable or ""]
        if each.trial is not None and each.trial["passed"]:
            facts.append("did the trial")
        word = "ok" if not each.problems else "unusable"
        lines.append(f"{each.spec.name}: {word}  {', '.join(filter(None, facts))}".rstrip())
        for finding in (*each.problems, *each.probed.remarks):
            lines.append(f"  {safe(finding.message)}\n    {safe(finding.hint)}")
    return "\n".join(lines)


def _error(checked: list[Checked]) -> ExternalToolError | None:
    bad = [each for each in checked if each.problems]
    if not bad:
        return None
    return ExternalToolError(
        "AGENT_UNUSABLE",
        f"cannot be used: {', '.join(each.spec.name for each in bad)}",
        hint=bad[0].problems[0].hint,
        details={"agents": [each.spec.name for each in bad]},
    )
