"""`kitty-flow next`: report the last step and get the next one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from kitty_flow.cli.context_options import EpochOption, MissionOption
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import fields, safe

if TYPE_CHECKING:
    from kitty_flow.flow.edge_gates import Reason
    from kitty_flow.flow.mission import OpenMission
    from kitty_flow.flow.peek import NextStep, Role
    from kitty_flow.model.diagnostic import Diagnostic

__all__ = ["next_step"]

_FOLLOWING: Final = ("DEPENDENCIES_NOT_SATISFIED", "LANE_BUSY", "OWNERSHIP_CONFLICT")
"""Reasons that pass when other work of the mission gets on."""

_NAMED: Final = 8


@command(
    examples=[
        "kitty-flow next --agent claude-1",
        "kitty-flow next --agent claude-1 --peek",
        "kitty-flow next --agent claude-1 --result success",
        "kitty-flow next --agent claude-1 --role any --wait 600",
    ]
)
def next_step(
    agent: Annotated[str, typer.Option("--agent", metavar="NAME", help="Who asks.", show_default=False)],
    mission: MissionOption = None,
    role: Annotated[
        Literal["implement", "review", "any"] | None,
        typer.Option(
            "--role",
            help="What the agent can do; after --result as before.",
            show_default="its role in the settings, else implement",
        ),
    ] = None,
    peek: Annotated[bool, typer.Option("--peek", help="Only look: claim nothing, write nothing.")] = False,
    result: Annotated[
        str | None,
        typer.Option(
            "--result",
            metavar="RESULT",
            help="How the held step ended: a result file, or success, failed, blocked.",
            show_default=False,
        ),
    ] = None,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait",
            metavar="SECONDS",
            min=0,
            help="Wait so long for a step, unless waiting is of no use.",
            show_default=False,
        ),
    ] = None,
    epoch: EpochOption = None,
    work_package: Annotated[
        str | None,
        typer.Option(
            "--wp",
            metavar="WP",
            envvar="KITTY_FLOW_WP",
            help="Which work package --result is about; another one that is held is not taken for it.",
            show_default=False,
        ),
    ] = None,
) -> Result:
    """Claim the most urgent ready work package for an agent; with --result, report the one it holds first.

    In a mission that has no work packages yet, the step is a phase of its template, such as specify or plan.
    An agent that holds a step gets the same step again. When there is none, the reasons are exact.
    """
    from kitty_flow.errors import UsageError
    from kitty_flow.flow.actor import plain_actor
    from kitty_flow.flow.by_hand import role_by_hand
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.project import Project

    if peek and result is not None:
        raise UsageError("PEEK_REPORTS_NOTHING", "--peek changes nothing, so it cannot report", hint="leave out --peek")
    if wait is not None and (peek or not wait < float("inf")):
        hint = "leave out --peek or --wait" if peek else "name a number of seconds"
        raise UsageError("WAIT_NOT_POSSIBLE", "--wait waits for a step to be claimed, and not for ever", hint=hint)
    name = plain_actor(agent)
    project = Project.discover()
    part = role_by_hand(project, name, role)
    with open_mission(project, mission) as opened:
        if peek:
            looked = _peek(opened, name, part)
            return Result(looked.as_data(), lambda: _text(opened, name, looked, None), opened.diagnostics)
        from kitty_flow.flow.remarks import remarks
        from kitty_flow.ledger.evidence import collected

        with collected(opened.ledger) as recorded:
            reported = _report(opened, name, result, epoch, work_package) if result is not None else None
            if role is None and reported is not None:
                part = role_by_hand(project, name, _last_role(opened, name))
            answer = _advance(opened, name, part, wait)
        data = answer.as_data() | {"recorded": recorded} | ({"reported": reported} if reported else {})
        told = (*remarks(opened.view()), *_collisions(opened, answer, reported))
        return Result(data, lambda: _text(opened, name, answer, reported), told)


def _collisions(opened: OpenMission, answer: NextStep, reported: str | None) -> tuple[Diagnostic, ...]:
    """With what the work that was handed in just now, or is to be reviewed now, does not merge."""
    is_review = answer.kind == "step" and answer.fields["action"] == "review"
    about = {reported, answer.fields["wp_id"] if is_review else None} - {None}
    if not about:
        return ()
    from kitty_flow.flow.radar import look_around_one

    return tuple(remark for name in sorted(map(str, about)) for remark in look_around_one(opened, name))


def _peek(opened: OpenMission, agent: str, role: Role) -> NextStep:
    from kitty_flow.flow.peek import peek

    return peek(opened, agent, role=role)


def _report(opened: OpenMission, agent: str, result: str, epoch: int | None, work_package: str | None) -> str:
    from kitty_flow.flow.next_step import report

    return report(opened, agent, result, epoch=epoch, work_package_id=work_package)


def _last_role(opened: OpenMission, agent: str) -> Role:
    """Who reports a review without naming a role goes on reviewing."""
    from kitty_flow.flow.late_report import last_role

    return last_role(opened, agent)


def _advance(opened: OpenMission, agent: str, role: Role, wait: float | None) -> NextStep:
    from kitty_flow.flow.next_step import next_step

    if wait is None:
        return next_step(opened, agent, role=role)
    from kitty_flow.flow.waiting import wait_for_step

    return wait_for_step(opened, agent, role=role, seconds=wait)


def _text(opened: OpenMission, agent: str, answer: NextStep, reported: str | None) -> str:
    lines = [f"reported {reported}"] if reported else []
    if answer.kind == "step":
        what = [answer.fields["action"], *filter(None, [answer.fields["wp_id"]])]
        lines.append(f"{' '.join(what)} of {answer.fields['mission']}")
        lines.append(fields([(k.replace("_", " "), v) for k, v in answer.fields.items() if v is not None]))
        if answer.fields["result_path"]:
            from kitty_flow.flow.late_report import report_command

            step = answer.fields
            lines.append(safe(f"then: {report_command(opened, agent, step['result_path'], step['action'])}"))
    else:
        lines.append(f"nothing to do now ({answer.kind})")
        lines += _reasons(answer.reasons)
    return "\n".join(lines)


def _reasons(reasons: Sequence[Reason]) -> list[str]:
    """What is at work, blocked or waits for somebody; those that only wait for these are counted and named."""
    told = [r for r in reasons if r.code not in _FOLLOWING] or list(reasons)
    rest = list(dict.fromkeys(r.wp_id for r in reasons if r.wp_id not in {each.wp_id for each in told}))
    lines = [safe(f"- {r.message}; {r.hint}") for r in told]
    if rest:
        names = ", ".join(rest[:_NAMED]) + (" …" if len(rest) > _NAMED else "")
        lines.append(safe(f"- and {len(rest)} that {'waits' if len(rest) == 1 else 'wait'} for other work: {names}"))
    return lines
