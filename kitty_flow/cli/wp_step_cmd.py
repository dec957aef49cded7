"""`kitty-flow wp start`, `submit`, `heartbeat` and `force`: one transition each, for people and for agents.

The way to work is `next`, which reports and claims in one call; these are for a single step of it. They register
themselves on the group of `wp_cmd`.
"""

from __future__ import annotations

from typing import Annotated

import typer

from kitty_flow.cli.context_options import (
    EpochOption,
    MissionOption,
    RequiredReasonOption,
    WorkPackageArgument,
)
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import fields, safe
from kitty_flow.cli.wp_cmd import app

__all__: list[str] = []

AgentOption = Annotated[str, typer.Option("--agent", metavar="NAME", help="Who does it.", show_default=False)]


@app.command("start")
@command(examples=["kitty-flow wp start WP03 --agent claude-1"])
def start(work_package: WorkPackageArgument, agent: AgentOption, mission: MissionOption = None) -> Result:
    """Claim exactly this work package for an agent and begin it; to be given the most urgent one, use next."""
    from kitty_flow.flow.actor import plain_actor
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.next_step import take
    from kitty_flow.flow.project import Project
    from kitty_flow.ledger.evidence import collected

    with open_mission(Project.discover(), mission) as opened, collected(opened.ledger) as recorded:
        step = take(opened, plain_actor(agent), work_package).fields
    rows = [(name.replace("_", " "), value) for name, value in step.items() if value is not None]
    return Result({**step, "recorded": recorded}, lambda: fields(rows))


@app.command("submit")
@command(examples=["kitty-flow wp submit WP03 --agent claude-1 --epoch 1"])
def submit(
    work_package: WorkPackageArgument,
    agent: AgentOption,
    mission: MissionOption = None,
    epoch: EpochOption = None,
    result: Annotated[
        str | None,
        typer.Option(
            "--result",
            metavar="FILE",
            help="The result file; default: the one that the prompt names, else success.",
            show_default=False,
        ),
    ] = None,
) -> Result:
    """Hand the committed work of a held work package in for review, and claim nothing else."""
    from kitty_flow.flow.actor import plain_actor
    from kitty_flow.flow.hand_in import hand_in
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.project import Project
    from kitty_flow.flow.radar import look_around_one
    from kitty_flow.ledger.evidence import collected

    with open_mission(Project.discover(), mission) as opened, collected(opened.ledger) as recorded:
        state = hand_in(opened, work_package, plain_actor(agent), epoch=epoch, result=result)
        told = look_around_one(opened, work_package)
    data = {"wp_id": work_package, "state": state, "recorded": recorded}
    return Result(data, safe(f"{work_package} is {state}"), told)


@app.command("heartbeat")
@command(examples=["kitty-flow wp heartbeat WP03 --agent claude-1", "kitty-flow wp heartbeat WP03 --agent a --epoch 2"])
def heartbeat(
    work_package: WorkPackageArgument, agent: AgentOption, mission: MissionOption = None, epoch: EpochOption = None
) -> Result:
    """Tell that the agent is alive: the lease of the step that it holds begins anew."""
    from kitty_flow.flow.actor import plain_actor
    from kitty_flow.flow.hand_in import sign_of_life
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.project import Project

    with open_mission(Project.discover(), mission) as opened:
        data = sign_of_life(opened, work_package, plain_actor(agent), epoch=epoch)
    return Result(data, safe(f"the lease of {data['agent']} on {work_package} holds until {data['lease_expires_at']}"))


@app.command("force")
@command(
    examples=["kitty-flow wp force WP03 --to planned --reason 'its history was imported wrongly' --actor ada"],
)
def force(
    work_package: WorkPackageArgument,
    to: Annotated[str, typer.Option("--to", metavar="STATE", help="The state to put it into.", show_default=False)],
    reason: RequiredReasonOption,
    actor: Annotated[
        str, typer.Option("--actor", metavar="NAME", help="Who answers for it; kept in the ledger.", show_default=False)
    ],
    mission: MissionOption = None,
) -> Result:
    """Put a work package into any state past every guard; it is recorded as forced, counted, and shown ever after."""
    from kitty_flow.flow.actor import plain_actor
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.person import force
    from kitty_flow.flow.project import Project
    from kitty_flow.ledger.evidence import moves

    with open_mission(Project.discover(), mission) as opened:
        receipt = force(opened, work_package, to, reason=reason, actor=plain_actor(actor))
        count = opened.recorded_work_package(work_package).forced
    data = {**moves(receipt)[-1], "forced": True, "force_count": count}
    return Result(data, safe(f"{work_package} {data['from_lane']} -> {data['to_lane']}, forced ({count} time(s) now)"))
