"""`kitty-flow mission`: create, import, export, list and show missions."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kitty_flow.cli.amend_cmd import amend
from kitty_flow.cli.context_options import (
    ActorOption,
    DryRunOption,
    MissionArgument,
    MissionOption,
    ReasonOption,
    RequiredReasonOption,
)
from kitty_flow.cli.groups import command_group
from kitty_flow.cli.output import Result, command, is_json
from kitty_flow.cli.output_file import OutputFileOption, write_output
from kitty_flow.cli.plan_cmd import MissionOrPathArgument
from kitty_flow.cli.terminal import fields, table
from kitty_flow.errors import UsageError

if TYPE_CHECKING:
    from kitty_flow.flow.life import LifeTrigger
    from kitty_flow.flow.mission import OpenMission
    from kitty_flow.flow.project import Project

__all__ = ["app"]

app = command_group("Create, import, amend, export and show missions.")
app.command("amend")(amend)

TargetOption = Annotated[
    str | None, typer.Option("--target", metavar="BRANCH", help="The branch to land on.", show_default=False)
]
_Source = Literal["auto", "native", "spec-kitty", "spec-kit", "taskmaster", "beads", "text"]
SourceOption = Annotated[_Source, typer.Option("--from", help="How to read PATH; auto: by its looks.")]


@app.command("create")
@command(
    examples=[
        "kitty-flow mission create checkout --title 'A new checkout'",
        "kitty-flow mission create checkout --template software-dev",
    ]
)
def create(
    slug: Annotated[str, typer.Argument(metavar="SLUG", help="Letters, digits and hyphens.", show_default=False)],
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="A title.", show_default="SLUG")] = None,
    template: Annotated[
        str | None,
        typer.Option(
            "--template", metavar="NAME", help="Begin with the phases of this mission template.", show_default=False
        ),
    ] = None,
) -> Result:
    """Write a commented mission file with three example work packages, ready to be edited and planned.

    With --template it has no work packages: `next` leads through the template's phases, from the first on.
    """
    from kitty_flow.flow.creation import create_mission
    from kitty_flow.flow.project import Project

    path = create_mission(Project.discover(), slug, title or slug, template)
    command = f"kitty-flow plan {slug}" if template is None else f"kitty-flow next --agent NAME -m {slug}"
    follow = f"edit it, then {command}" if template is None else command
    return Result({"slug": slug, "path": path, "template": template}, f"wrote {path}\nnext: {follow}")


@app.command("import")
@command(
    examples=[
        "kitty-flow mission import specs/001-checkout --dry-run",
        "kitty-flow mission import .taskmaster",
        "kitty-flow mission import issues.jsonl --from beads",
        "kitty-flow mission import ../old/kitty-specs/checkout --history",
    ]
)
def import_mission(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A mission folder or file.", show_default=False)],
    source: SourceOption = "auto",
    target: TargetOption = None,
    history: Annotated[
        bool, typer.Option("--history", help="Take over its status.events.jsonl as well, and its lanes with it.")
    ] = False,
    dry_run: DryRunOption = False,
) -> Result:
    """Take a mission into the ledger from anywhere; the source file is not needed afterwards.

    With --dry-run: what was understood, guessed and dropped, each with file and line.
    """
    from kitty_flow.flow.adoption import adopt, load_source
    from kitty_flow.flow.project import Project
    from kitty_flow.graph import compute_plan
    from kitty_flow.missions.source import load_mission
    from kitty_flow.views.loss_text import loss_data, loss_summary, loss_text
    from kitty_flow.views.plan_text import plan_data

    kind = None if source == "auto" else source
    try:
        project = Project.discover()
    except UsageError:
        if history or not dry_run:
            raise
        loaded = load_mission(path, kind=kind)  # to look at a source, no repository is needed
    else:
        loaded = load_source(project, path, kind)
    data = plan_data(loaded.definition, compute_plan(loaded.definition), loaded.diagnostics)
    report = data["loss_report"] = loss_data(loaded.definition, loaded.diagnostics)
    if history:
        return _import_history(project, path, target, dry_run, data, loaded.diagnostics)
    remarks = loaded.diagnostics if is_json() else ()  # for people, the report speaks of them
    if dry_run:
        head = f"{loaded.definition.slug} would be imported; nothing was written"
        return Result(data | {"imported": False}, lambda: f"{head}\n{loss_text(report)}", remarks)
    entry = adopt(project, path, target_branch=target, must_be_new=True, kind=kind)
    data["mission"]["id"] = entry.mission_id
    data["mission"]["target_branch"] = target or data["mission"]["target_branch"]
    words = f"imported {entry.slug} ({entry.mission_id})\n{loss_summary(report)}\nnext: kitty-flow plan {entry.slug}"
    return Result(data | {"imported": True}, words, remarks)


def _import_history(
    project: Project, path: Path, target: str | None, dry_run: bool, data: dict[str, Any], remarks: tuple[Any, ...]
) -> Result:
    from kitty_flow.flow.history_import import import_history
    from kitty_flow.views.history_text import history_text

    if data["mission"]["source_kind"] != "spec-kitty":
        message = f"{path} is read as {data['mission']['source_kind']}, and only spec-kitty keeps a log"
        raise UsageError("HISTORY_MISSING", message, hint="repeat the command without --history")
    done = import_history(project, path, target_branch=target, dry_run=dry_run)
    news = [remark for remark in done.diagnostics if remark not in remarks]
    data |= {"imported": done.is_new, "history": done.as_data()}
    slug = data["mission"]["slug"]
    head, tail = f"{slug} would be imported with its history; nothing was written", ""
    if done.entry is not None:
        data["mission"]["id"] = done.entry.mission_id
        slug = done.entry.slug
        head, tail = f"{slug} had been imported with this history before; nothing was written", ""
        if done.is_new:
            head, tail = f"imported {slug} ({done.entry.mission_id})", f"\nnext: kitty-flow status {slug}"
            data["mission"]["target_branch"] = target or data["mission"]["target_branch"]
    return Result(data, lambda: f"{head}\n{history_text(done)}{tail}", (*remarks, *news))


@app.command("export")
@command(
    examples=[
        "kitty-flow mission export checkout -o checkout.toml",
        "kitty-flow mission export specs/001-checkout -o .kitty-flow/missions/001-checkout.toml",
    ]
)
def export(
    mission: MissionOrPathArgument = None, source: SourceOption = "auto", output: OutputFileOption = None
) -> Result:
    """Write a mission, or any source that can be read, as a mission file of kitty-flow.

    Raises:
        ExternalToolError: OUTPUT_NOT_WRITTEN.
    """
    from kitty_flow.flow.mission_export import export_mission

    exported = export_mission(mission, None if source == "auto" else source)
    data = {"slug": exported.definition.slug, "definition_digest": exported.definition.digest, "output": output}
    if output is None:
        return Result(data | {"text": exported.text}, exported.text, exported.diagnostics)
    write_output(output, exported.text.encode())
    words = f"wrote {output}\nnext: edit it, then kitty-flow plan {shlex.quote(str(output))}"
    return Result(data, words, exported.diagnostics)


@app.command("list")
@command(examples=["kitty-flow mission list"])
def list_missions() -> Result:
    """List the missions in the ledger and the sources that were not used yet."""
    from kitty_flow.flow.project import Project
    from kitty_flow.ledger.catalog import catalog
    from kitty_flow.missions.source import discover

    project = Project.discover()
    entries = catalog(project.repository)
    known = {e.slug for e in entries} | {e.mission_id for e in entries}
    rows: list[dict[str, Any]] = [
        {"slug": e.slug, "id": e.mission_id, "state": e.state, "source": None, "problem": None} for e in entries
    ]
    for source in discover(project.root):
        if source.slug not in known and source.id not in known:
            place = source.path.relative_to(project.root) if source.path.is_relative_to(project.root) else source.path
            state = "invalid" if source.problem else "not started"
            rows.append(
                {"slug": source.slug, "id": source.id, "state": state, "source": place, "problem": source.problem}
            )
    if not rows:
        return Result({"missions": []}, "no missions yet\nnext: kitty-flow mission create SLUG")
    shown = [(r["slug"], r["state"], r["id"] or "-", r["problem"] or r["source"] or "ledger") for r in rows]
    return Result({"missions": rows}, lambda: table(("MISSION", "STATE", "ID", "SOURCE"), shown))


@app.command("show")
@command(examples=["kitty-flow mission show checkout"])
def show(mission: MissionArgument = None) -> Result:
    """Show a mission: state, branches, base, definition and progress; its phases, and which gates are closed."""
    from kitty_flow.flow.board import make_board
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.phases import phases_now
    from kitty_flow.flow.project import Project
    from kitty_flow.flow.timeline import amendments
    from kitty_flow.views.phases_text import phases_text

    with open_mission(Project.discover(), mission) as opened:
        board = make_board(opened)
        phases = phases_now(opened)
        data = _mission_data(opened) | {
            "amendments": amendments(opened),
            "progress": board.progress,
            "counts": board.counts,
        }
        whole = data | {"phases": [phase.as_data() for phase in phases]}
        return Result(whole, lambda: _mission_text(data) + phases_text(phases), opened.diagnostics)


@app.command("answer")
@command(
    examples=[
        "kitty-flow mission answer request 'A shop that takes cards' -m checkout",
        "kitty-flow mission answer publication_approved yes",
    ]
)
def answer(
    name: Annotated[str, typer.Argument(metavar="INPUT", help="What a phase asks for.", show_default=False)],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The answer; kept in the ledger.", show_default=False)],
    mission: MissionOption = None,
    actor: ActorOption = None,
) -> Result:
    """Answer what a planning phase needs to know before it can begin; a later answer replaces an earlier one."""
    from kitty_flow.flow.actor import acting
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.phase_report import answer_input
    from kitty_flow.flow.project import Project

    with open_mission(Project.discover(), mission) as opened:
        receipt = answer_input(opened, name, text, actor=acting(actor))
        data = {"mission": opened.slug, "input": name, "event_id": receipt.events[0].event_id}
        words = f"{opened.slug}: {name} is answered\nnext: kitty-flow next --agent NAME -m {opened.slug}"
        return Result(data | {"ledger": opened.ledger.ref}, words)


def _mission_data(opened: OpenMission) -> dict[str, Any]:
    view = opened.view()
    entity = view.entity("mission", opened.id)
    facts = entity.facts if entity else {}
    return {
        "id": opened.id,
        "slug": opened.slug,
        "title": opened.definition.title,
        "state": opened.state(view),
        "template": opened.definition.template,
        "source": opened.definition.source.path,
        "definition_digest": facts.get("definition_digest"),
        "target_branch": opened.target_branch,
        "mission_branch": opened.branch.removeprefix("refs/heads/"),
        "base_commit": facts.get("base_commit"),
        "mission_head": facts.get("mission_head"),
        "landed_commit": facts.get("target_commit"),
        "ledger": opened.ledger.ref,
        "ledger_commit": view.tip,
        "events": view.event_count,
    }


def _mission_text(data: dict[str, Any]) -> str:
    counts = ", ".join(f"{number} {state}" for state, number in data["counts"].items())
    apart = ("counts", "progress", "amendments")
    rows = [(k.replace("_", " "), v) for k, v in data.items() if v is not None and k not in apart]
    amended = [(f"amended {each['at'][:16]}", _amendment_text(each)) for each in data["amendments"]]
    return fields([*rows, ("work packages", counts), ("progress", f"{data['progress']:.0%}"), *amended])


def _amendment_text(amendment: dict[str, Any]) -> str:
    changes = amendment["changes"]
    words = [f"+{i}" for i in changes["added_work_packages"]] + [f"-{i}" for i in changes["dropped_work_packages"]]
    words += [f"{whole} into {', '.join(parts)}" for whole, parts in changes["split"].items()]
    words += [f"+{a}:{b}" for a, b in changes["added_dependencies"]]
    words += [f"-{a}:{b}" for a, b in changes["dropped_dependencies"]]
    mark = "SUPERSEDED " if amendment["superseded"] else ""
    return f"{mark}{' '.join(words)} by {amendment['actor']}: {amendment['reason']}"


@app.command("pause")
@command(examples=["kitty-flow mission pause checkout --reason 'waits for a decision'"])
def pause(reason: RequiredReasonOption, mission: MissionArgument = None) -> Result:
    """Start nothing new until the mission is resumed; what runs is finished."""
    return _change(mission, "pause", reason)


@app.command("resume")
@command(examples=["kitty-flow mission resume checkout"])
def resume(mission: MissionArgument = None, reason: ReasonOption = None) -> Result:
    """Return a paused mission to the state it was paused in."""
    return _change(mission, "resume", reason)


@app.command("abort")
@command(examples=["kitty-flow mission abort checkout --reason 'overtaken by events'"])
def abort(reason: RequiredReasonOption, mission: MissionArgument = None) -> Result:
    """Give a mission up before anything of it has landed; branches and ledger stay."""
    return _change(mission, "abort", reason)


@app.command("accept")
@command(examples=["kitty-flow mission accept checkout"])
def accept(mission: MissionArgument = None, reason: ReasonOption = None) -> Result:
    """Accept a mission whose work packages are all approved, done or canceled; a finished run does it by itself."""
    return _change(mission, "accept", reason)


def _change(mission: str | None, trigger: LifeTrigger, reason: str | None) -> Result:
    from kitty_flow.flow.life import change_life
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.project import Project

    with open_mission(Project.discover(), mission) as opened:
        before = opened.state()
        state = change_life(opened, trigger, reason=reason)
        entity = opened.view().entity("mission", opened.id)
        event_id = entity.last_event.event_id if entity else None
        data = {"mission": opened.slug, "from_state": before, "to_state": state, "event_id": event_id}
        return Result(data | {"ledger": opened.ledger.ref}, f"{opened.slug} {before} -> {state}")
