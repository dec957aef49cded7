"""`kitty-flow run`: drive a mission, wave by wave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kitty_flow.cli.context_options import DryRunOption, MissionArgument
from kitty_flow.cli.output import Result, command, is_json, note
from kitty_flow.cli.run_left import are_held_by_others, left_sentence
from kitty_flow.cli.run_policies import Budget, BudgetTimeOption, BudgetTokensOption, BudgetUsdOption, run_policies
from kitty_flow.errors import ExternalToolError, KittyFlowError, LedgerError, RefusedError, UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kitty_flow.agents.command import AgentSpec
    from kitty_flow.flow.mission import OpenMission
    from kitty_flow.flow.project import Project
    from kitty_flow.flow.run import RunOptions, RunReport
    from kitty_flow.flow.stopping import StopLevel
    from kitty_flow.model.diagnostic import Diagnostic

__all__ = ["run"]


def _option(name: str, metavar: str, text: str) -> Any:
    return typer.Option(name, metavar=metavar, help=text, show_default=False)


@command(
    examples=[
        "kitty-flow run checkout --agent claude --reviewer codex -j 3",
        "kitty-flow run --command './implement.sh' --review-command './review.sh'",
    ]
)
def run(
    mission: MissionArgument = None,
    agent: Annotated[str | None, _option("--agent", "NAME", "The implementer, an agent of the settings.")] = None,
    implement_command: Annotated[
        str | None, _option("--command", "CMD", "The implementer as a command line (no shell).")
    ] = None,
    reviewer: Annotated[str | None, _option("--reviewer", "NAME", "The reviewer, an agent of the settings.")] = None,
    review_command: Annotated[
        str | None, _option("--review-command", "CMD", "The reviewer as a command line (no shell).")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "-j", "--jobs", min=1, metavar="N", help="Work packages at once.", show_default="settings, else 2"
        ),
    ] = None,
    schedule: Annotated[
        Literal["waves", "eager"] | None,
        typer.Option("--schedule", help="Waves as barriers, or as soon as ready.", show_default="settings, else waves"),
    ] = None,
    until: Annotated[
        int | None, typer.Option("--until", min=1, metavar="WAVE", help="The last wave to drive.", show_default=False)
    ] = None,
    join: Annotated[bool, typer.Option("--join", help="Help a run that is alive, instead of being refused.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Stay while others hold work packages.")] = False,
    target: Annotated[str | None, _option("--target", "BRANCH", "Land on this branch; before the first run.")] = None,
    budget_tokens: BudgetTokensOption = None,
    budget_usd: BudgetUsdOption = None,
    budget_time: BudgetTimeOption = None,
    dry_run: DryRunOption = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print errors and one line at the end.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a live board, also on a terminal.")] = False,
) -> Result:
    """Drive every work package through implementation and review with real processes in git worktrees.

    Started again after a crash or Ctrl-C it resumes. The first Ctrl-C lets agents finish, the second one ends them and
    keeps their work. Exit status: 0 all approved, 4 some blocked, refused or held by others, 5 another run is alive,
    7 agents failed, 130 stopped.
    """
    from kitty_flow.flow.adoption import still_true
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.project import Project
    from kitty_flow.flow.run import RunOptions, run_mission
    from kitty_flow.ledger.evidence import collected
    from kitty_flow.views.progress import progress

    project = Project.discover()
    settings = project.settings.run
    agents = _agents(project, agent, implement_command, reviewer, review_command)
    policies, left_out = run_policies(project, *agents, Budget(budget_tokens, budget_usd, budget_time))
    with open_mission(project, mission, refresh_source=True) as opened:
        options = RunOptions(
            policies.implementers[0],
            policies.reviewers[0] if policies.reviewers else None,
            jobs or settings.jobs,
            schedule or settings.schedule,
            until,
            settings.max_attempts,
            join=join,
            wait=wait,
            policies=policies,
        )
        if dry_run:
            return _preview(opened, options)
        if target is not None:
            from kitty_flow.flow.life import retarget

            retarget(opened, target)
        shown = progress(opened, enabled=not (quiet or is_json()), plain=plain, agents=options.jobs)
        with shown, collected(opened.ledger) as recorded:
            report = run_mission(opened, options, say=_say)
        data = _data(opened, report) | {"recorded": recorded}
        told = (*still_true(opened.diagnostics, opened.view(), opened.id), *_left_out(left_out))
        return Result(data, lambda: _text(opened, report, quiet), told, _error(opened, report))


def _left_out(messages: Sequence[str]) -> Sequence[Diagnostic]:
    """Remarks about agents that cannot be started here while others of their chain can."""
    if not messages:
        return ()
    from kitty_flow.model.diagnostic import Diagnostic

    code, phase = "AGENT_LEFT_OUT", "agents"
    return [Diagnostic(severity="warning", diagnostic_code=code, message=m, phase=phase) for m in messages]


def _say(level: StopLevel, busy: Sequence[str]) -> None:
    """Tell the person who pressed Ctrl-C what it did and what the next one would do."""
    names = ", ".join(sorted(busy)) or "nothing"
    note(
        {
            1: f"nothing new is begun; {names} may finish. Ctrl-C again ends the agents and keeps their work",
            2: f"the agents are being ended ({names}). Ctrl-C again kills them at once",
            3: f"the agents are killed ({names})",
        }[level]
    )


def _agents(
    project: Project,
    agent: str | None,
    implement_command: str | None,
    reviewer: str | None,
    review_command: str | None,
) -> tuple[AgentSpec, AgentSpec | None]:
    """The two agents that are asked for first."""
    from kitty_flow.agents.settings import SETTINGS_PATH, command_agent, resolve_agent
    from kitty_flow.model.text import is_same_actor

    settings = project.settings
    for name, text in ((agent, implement_command), (reviewer, review_command)):
        if name is not None and text is not None:
            raise UsageError("AGENT_GIVEN_TWICE", f"both the agent {name!r} and a command are given", hint="give one")
    name = agent if agent is not None or implement_command is not None else settings.run.agent
    if implement_command is not None:
        implementer = command_agent("implementer", implement_command)
    elif name is not None:
        implementer = resolve_agent(settings, name, "implementer")
    else:
        raise UsageError(
            "AGENT_MISSING",
            "nobody is named to do the work",
            hint="kitty-flow run --command 'CMD' --review-command 'CMD', or name agents in .kitty-flow/config.toml"
            + ("" if (project.root / SETTINGS_PATH).is_file() else " (kitty-flow init)"),
        )
    review: AgentSpec | None = None
    reviewer = reviewer if reviewer is not None or review_command is not None else settings.run.reviewer
    if review_command is not None:
        review = command_agent("reviewer", review_command)
    elif reviewer is not None:
        review = resolve_agent(settings, reviewer, "reviewer")
    is_own = review is not None and is_same_actor(review.name, implementer.name)
    if review is not None and is_own and not settings.review.allow_self_review:
        raise RefusedError(
            "SELF_REVIEW",
            f"{review.name} would review its own work",
            hint="name another --reviewer",
        )
    return implementer, review


def _preview(opened: OpenMission, options: RunOptions) -> Result:
    from kitty_flow.flow.board import make_board

    board = make_board(opened)
    states = {w.id: w.state for w in board.work_packages}
    waves = [list(wave) for wave in opened.plan.waves[: options.until]]
    data = {
        "mission": opened.slug,
        "implementer": options.implementer.name,
        "reviewer": options.reviewer.name if options.reviewer else None,
        "jobs": options.jobs,
        "waves": waves,
        "states": states,
        "ready": list(board.ready),
    }
    lines = [f"wave {n}: " + ", ".join(f"{i} ({states[i]})" for i in wave) for n, wave in enumerate(waves, 1)]
    lines.append(f"would start with: {', '.join(board.ready[: options.jobs]) or 'nothing'}; nothing was changed")
    return Result(data, "\n".join(lines))


def _data(opened: OpenMission, report: RunReport) -> dict[str, Any]:
    return {
        "mission": opened.slug,
        "mission_branch": opened.branch.removeprefix("refs/heads/"),
        "ledger": opened.ledger.ref,
        **report.as_data(),
    }


def _error(opened: OpenMission, report: RunReport) -> KittyFlowError | None:
    if report.exit_status == 0:
        return None
    gate = report.red_gate
    if gate is not None:
        return RefusedError(
            "WAVE_GATE_RED",
            f"the gate after wave {gate.wave} {gate.problem}; nothing more was begun"
            + (f"; its output ends with: {gate.tail[-300:]}" if gate.tail else ""),
            hint=f"read {gate.log_path}, mend it, then kitty-flow run {opened.slug}",
            details={**gate.as_data(), "tail": gate.tail},
        )
    if report.mission_state == "paused":
        open_ones = sorted(i for i, o in report.outcomes.items() if o.code is not None)
        return RefusedError(
            "RUN_PAUSED",
            f"{opened.slug} was paused: what ran was finished, and {', '.join(open_ones) or 'nothing'} is left",
            hint=f"kitty-flow mission resume {opened.slug}, then kitty-flow run {opened.slug}",
            details={"work_packages": open_ones},
        )
    left = {i: o for i, o in report.outcomes.items() if o.code is not None}
    words = left_sentence(left)
    first = next(iter(left), "WP")
    kind = ExternalToolError if report.exit_status == 7 else RefusedError
    hint = f"kitty-flow why {first}{opened.option}"
    if are_held_by_others(left):
        hint = f"kitty-flow run {opened.slug} --wait"
    if report.budget is not None:
        words = f"the budget is used up: {report.budget}; {words}"
        hint = f"raise it in .kitty-flow/config.toml or by --budget-…, then kitty-flow run {opened.slug}"
    if any(o.code == "REVIEWER_MISSING" for o in left.values()):
        hint = f"kitty-flow run {opened.slug} --review-command 'CMD'"
    code = "RUN_INCOMPLETE" if report.budget is None else "BUDGET_EXHAUSTED"
    return kind(code, words, hint=hint, details={"work_packages": sorted(left)})


def _text(opened: OpenMission, report: RunReport, quiet: bool) -> str | RenderableType:
    """The report of the whole mission, below what this run came to; quiet, the first line of that."""
    finished = sum(o.state in ("approved", "done") for o in report.outcomes.values())
    lines = [f"{finished} of {len(report.outcomes)} work packages of this run are approved"]
    if not report.outcomes:
        lines = ["nothing was left to drive"]
    if quiet:
        return lines[0]
    from kitty_flow.flow.report import make_report
    from kitty_flow.views.run_report import report_text

    if len(report.outcomes) == len(opened.definition.work_packages):
        lines = []  # the report counts the same
    if report.recovered:
        lines.append(f"picked up after an interrupted run: {', '.join(report.recovered)}")
    if report.mission_state == "accepted":
        lines.append(f"everything is approved on {opened.branch.removeprefix('refs/heads/')}")
    try:
        made = make_report(opened)
    except LedgerError:  # what the run did stands, whether it can be read again or not
        return "\n".join(lines)
    return report_text(made, head=lines)
