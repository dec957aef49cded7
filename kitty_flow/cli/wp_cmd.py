"""`kitty-flow wp`: one work package, shown or moved by a person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitty_flow.cli.context_options import (
    ActorOption,
    MissionOption,
    RequiredReasonOption,
    WorkPackageArgument,
)
from kitty_flow.cli.groups import command_group
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import fields, safe

if TYPE_CHECKING:
    from kitty_flow.flow.mission import OpenMission
    from kitty_flow.flow.person import PersonTrigger

__all__ = ["app"]

app = command_group("Show one work package, or move it by hand.")


@app.command("show")
@command(examples=["kitty-flow wp show WP03"])
def show(work_package: WorkPackageArgument, mission: MissionOption = None) -> Result:
    """Show a work package: definition, placement, state, what every attempt came to, and where its files are."""
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.project import Project

    with open_mission(Project.discover(), mission) as opened:
        data = _data(opened, work_package)
        return Result(data, lambda: _text(data))


def _data(opened: OpenMission, work_package_id: str) -> dict[str, Any]:
    from kitty_flow.flow.board import work_package_status
    from kitty_flow.flow.hollow import hollow
    from kitty_flow.flow.timeline import attempts

    opened.work_package(work_package_id)
    definition = opened.definition.work_package(work_package_id)
    entity = opened.work_package(work_package_id)
    names = ("branch", "worktree", "base_commit", "head_commit", "implementer", "reviewer", "feedback", "salvage_ref")
    return {
        "id": work_package_id,
        **work_package_status(opened, definition, opened.view()).as_data(),
        "dependencies": list(definition.dependencies),
        "prerequisites": list(opened.plan.prerequisites(work_package_id)),
        "owned_files": list(definition.owned_files),
        "execution_mode": definition.execution_mode,
        "changes": definition.changes,
        "subtasks": [s._asdict() for s in definition.subtasks],
        "requirement_refs": list(definition.requirement_refs),
        **{name: entity.facts.get(name) for name in names},
        "carried_from": entity.facts.get("carried_from"),
        "hollow": [reason.message for reason in hollow(entity)],
        "invocations": attempts(opened, work_package_id),
    }


def _text(data: dict[str, Any]) -> str:
    from kitty_flow.flow.feedback import finding_lines

    rows: list[tuple[str, object]] = []
    for name, value in (data | {"changes": "" if data["changes"] else "no files"}).items():
        if not value or name in ("id", "title", "invocations", "feedback"):
            continue
        if name == "subtasks":
            value = ", ".join(f"{s['id']} {s['title']}".strip() for s in value)
        rows.append((name.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else value))
    lines = [safe(f"{data['id']} {data['title']}"), "", fields(rows)]
    if data["feedback"]:
        lines += ["", safe(f"feedback: {data['feedback'].get('summary', '')}")]
        lines += [safe(f"  {finding}") for finding in finding_lines(data["feedback"])]
    if data["invocations"]:
        lines += ["", "invocations", *map(_invocation, data["invocations"])]
    return "\n".join(lines)


def _invocation(made: dict[str, Any]) -> str:
    """One line: what was done, how it ended or the verdict, by whom, and the output where it was kept."""
    verdicts = {"approved": "approved", "changes_requested": "sent back"}
    state = verdicts.get(str(made["outcome"]), made["state"]) if made["state"] == "done" else made["state"]
    told = [f"{made['action']:<9} {state:<9} {made['agent']}", made["reason"] or made["summary"]]
    path = made["log_path"]
    return safe("  " + "  ".join(filter(None, [*told, path if path and Path(path).is_file() else None])))


def _move(work_package: str, mission: str | None, trigger: PersonTrigger, reason: str, actor: str | None) -> Result:
    from kitty_flow.flow.actor import acting
    from kitty_flow.flow.mission import open_mission
    from kitty_flow.flow.person import move
    from kitty_flow.flow.project import Project
    from kitty_flow.ledger.evidence import moves

    with open_mission(Project.discover(), mission) as opened:
        who = acting(actor)
        receipt = move(opened, work_package, trigger, reason=reason, actor=who)
        made = [move for move in moves(receipt) if move["work_package_id"] == work_package]
        data = made[-1] | {"from_lane": made[0]["from_lane"]}  # a held one is given back before it is blocked
        return Result(data, f"{work_package} {data['from_lane']} -> {data['to_lane']}")


@app.command("block")
@command(examples=["kitty-flow wp block WP03 --reason 'waits for the API key'"])
def block(
    work_package: WorkPackageArgument,
    reason: RequiredReasonOption,
    mission: MissionOption = None,
    actor: ActorOption = None,
) -> Result:
    """Stop a work package for a stated reason; it remembers the state it comes back to."""
    return _move(work_package, mission, "block", reason, actor)


@app.command("unblock")
@command(examples=["kitty-flow wp unblock WP03 --reason 'the API key is there'"])
def unblock(
    work_package: WorkPackageArgument,
    reason: RequiredReasonOption,
    mission: MissionOption = None,
    actor: ActorOption = None,
) -> Result:
    """Return a blocked work package to the state it came from; its attempts are counted anew."""
    return _move(work_package, mission, "unblock", reason, actor)


@app.command("release")
@command(examples=["kitty-flow wp release WP03 --reason 'the agent is gone'"])
def release(
    work_package: WorkPackageArgument,
    reason: RequiredReasonOption,
    mission: MissionOption = None,
    actor: ActorOption = None,
) -> Result:
    """Give up a claim; unsaved work in its worktree is kept under a salvage ref."""
    return _move(work_package, mission, "release", reason, actor)


@app.command("cancel")
@command(examples=["kitty-flow wp cancel WP03 --reason 'not needed any more'"])
def cancel(
    work_package: WorkPackageArgument,
    reason: RequiredReasonOption,
    mission: MissionOption = None,
    actor: ActorOption = None,
) -> Result:
    """Give a work package up for good."""
    return _move(work_package, mission, "cancel", reason, actor)


@app.command("reopen")
@command(examples=["kitty-flow wp reopen WP03 --reason 'breaks the import'"])
def reopen(
    work_package: WorkPackageArgument,
    reason: RequiredReasonOption,
    mission: MissionOption = None,
    actor: ActorOption = None,
) -> Result:
    """Withdraw an approval and plan the work package again."""
    return _move(work_package, mission, "reopen", reason, actor)


from kitty_flow.cli import wp_review_cmd, wp_step_cmd  # noqa: E402, F401 - register their commands on `app`
