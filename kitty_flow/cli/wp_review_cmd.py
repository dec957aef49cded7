"""`kitty-flow wp review`, `approve` and `reject`: a person reviews a work package."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from kitty_flow.cli.context_options import ActorOption, WorkPackageArgument
from kitty_flow.cli.output import Result, command, is_json
from kitty_flow.cli.terminal import safe
from kitty_flow.cli.wp_cmd import app

if TYPE_CHECKING:
    from kitty_flow.flow.mission import OpenMission
    from kitty_flow.flow.person_review import Shown
    from kitty_flow.git.diffs import FileStat

__all__ = ["approve", "reject", "review"]

# `-m` is the message here, as in git; everywhere else it is the mission.
_MissionOption = Annotated[
    str | None,
    typer.Option(
        "--mission",
        metavar="MISSION",
        help="Slug, ULID or unambiguous prefix; may be left out when exactly one mission is open.",
        show_default=False,
    ),
]
_CommitOption = Annotated[
    str | None,
    typer.Option(
        "--commit",
        metavar="SHA",
        help="The commit that the verdict is about; refused when it is not the head any more.",
        show_default=False,
    ),
]
_MAX_DIFF: Final = 512 * 1024


@app.command("review")
@command(examples=["kitty-flow wp review WP03"])
def review(work_package: WorkPackageArgument, mission: _MissionOption = None, actor: ActorOption = None) -> Result:
    """Begin a review: show the changes, in the pager of git on a terminal. It takes no worktree.

    Then: kitty-flow wp approve WP, or kitty-flow wp reject WP -m TEXT.
    """
    from kitty_flow.flow.actor import acting
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.person_review import show_for_review
    from kitty_flow.flow.project import Project
    from kitty_flow.flow.radar import look_around_one
    from kitty_flow.git.diffs import diff_stat, page_diff
    from kitty_flow.ledger.evidence import collected

    with open_mission(Project.discover(), mission) as opened:
        who = acting(actor)
        with collected(opened.ledger) as recorded:
            shown = show_for_review(opened, work_package, actor=who)
        git = opened.project.repository.git
        stat = diff_stat(git, shown.base, shown.head)
        data = _data(shown, stat, who) | {"recorded": recorded}
        on_terminal = not is_json() and sys.stdout is not None and sys.stdout.isatty()
        if on_terminal:
            page_diff(git, shown.base, shown.head)
        text = "" if on_terminal or is_json() else _diff(opened, shown)
        options = f" --mission {opened.slug}" if opened.was_named else ""
        options += f" --actor {shlex.quote(who)}" if actor else ""
        told = (*opened.diagnostics, *look_around_one(opened, shown.work_package_id))
        return Result(data, lambda: text + _summary(shown, stat, options), told)


def _data(shown: Shown, stat: tuple[FileStat, ...], actor: str) -> dict[str, Any]:
    return {
        "id": shown.work_package_id,
        "reviewer": actor,
        "invocation_id": shown.invocation_id,
        "base_commit": shown.base,
        "head_commit": shown.head,
        "reviewed_before": shown.seen,
        "prompt_path": str(shown.prompt_path),
        "commands": list(shown.commands()),
        "files": [row._asdict() for row in stat],
    }


def _diff(opened: OpenMission, shown: Shown) -> str:
    from kitty_flow.git.diffs import diff_text

    text = diff_text(opened.project.repository.git, shown.base, shown.head)
    cut = "" if len(text) <= _MAX_DIFF else f"\n(cut here; {shown.commands()[1]} shows all of it)"
    return text[:_MAX_DIFF].expandtabs(8) + cut + "\n\n"


def _summary(shown: Shown, stat: tuple[FileStat, ...], options: str) -> str:
    name = shown.work_package_id
    lines = [
        f"{name} at {shown.head}, {len(stat)} file{'' if len(stat) == 1 else 's'} changed since {shown.base[:12]}",
        f"task     {shown.prompt_path}",
    ]
    if shown.seen:
        lines.append(f"delta    {shown.commands()[-1]}")
    lines += [
        f"approve  kitty-flow wp approve {name} -m TEXT{options}",
        f"reject   kitty-flow wp reject {name} -m TEXT{options}",
    ]
    return "\n".join(safe(line) for line in lines)


@app.command("approve")
@command(examples=["kitty-flow wp approve WP03 -m 'read it all, ran the tests'"])
def approve(
    work_package: WorkPackageArgument,
    message: Annotated[
        str, typer.Option("--message", "-m", metavar="TEXT", help="What was looked at.", show_default=False)
    ] = "",
    mission: _MissionOption = None,
    actor: ActorOption = None,
    commit: _CommitOption = None,
) -> Result:
    """Approve the head that `wp review` has shown; it is integrated at once. An approval without a word is flagged."""
    return _judge(work_package, "approved", message, mission, actor, commit, ())


@app.command("reject")
@command(examples=["kitty-flow wp reject WP03 -m 'an empty name crashes' --finding 'src/parser.py:12:refuse it'"])
def reject(
    work_package: WorkPackageArgument,
    message: Annotated[
        str, typer.Option("--message", "-m", metavar="TEXT", help="What has to change.", show_default=False)
    ],
    finding: Annotated[
        list[str] | None,
        typer.Option("--finding", metavar="PATH:LINE:TEXT", help="One remark; may be repeated.", show_default=False),
    ] = None,
    mission: _MissionOption = None,
    actor: ActorOption = None,
    commit: _CommitOption = None,
) -> Result:
    """Send the work back with findings, which the next attempt is given. What is approved already: wp reopen."""
    return _judge(work_package, "changes_requested", message, mission, actor, commit, tuple(finding or ()))


def _judge(
    work_package: str,
    verdict: Literal["approved", "changes_requested"],
    message: str,
    mission: str | None,
    actor: str | None,
    commit: str | None,
    findings: tuple[str, ...],
) -> Result:
    from kitty_flow.flow.actor import acting
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.person_review import judge, parse_finding
    from kitty_flow.flow.project import Project
    from kitty_flow.ledger.evidence import collected

    parsed = [parse_finding(text) for text in findings]
    with open_mission(Project.discover(), mission) as opened:
        who = acting(actor)
        with collected(opened.ledger) as recorded:
            blocked = judge(opened, work_package, verdict, actor=who, summary=message, findings=parsed, commit=commit)
        entity = opened.work_package(work_package)
        data = {
            "id": work_package,
            "state": entity.state,
            "verdict": verdict,
            "reviewer": who,
            "reviewed_commit": entity.facts.get("reviewed_commit"),
            "feedback": entity.facts.get("feedback"),
            "blocked": blocked.message if blocked else None,
            "recorded": recorded,
        }
        return Result(data, lambda: _verdict_text(data), opened.diagnostics)


def _verdict_text(data: dict[str, Any]) -> str:
    lines = [f"{data['id']} is {data['state']}; the verdict is on {str(data['reviewed_commit'])[:12]}"]
    if data["verdict"] == "approved" and data["state"] != "approved":
        lines.append(f"approved, but sent back: {(data['feedback'] or {}).get('summary', '')}")
    if data["blocked"]:
        lines.append(f"blocked for a person: {data['blocked']}")
        lines.append(f"kitty-flow wp unblock {data['id']} --reason TEXT grants a new round")
    return "\n".join(safe(line) for line in lines)
