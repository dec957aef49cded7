"""`kitty-flow skills`: the skill pack that teaches coding agents the loop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kitty_flow.cli.groups import command_group
from kitty_flow.cli.output import Result, command
from kitty_flow.cli.terminal import table

if TYPE_CHECKING:
    from rich.table import Table

    from kitty_flow.flow.skill_pack import Standing

__all__ = ["app"]

app = command_group("Teach coding agents the loop.")

DirOption = Annotated[
    Path | None,
    typer.Option("--dir", metavar="DIR", help="The folder of skills.", show_default=".agents/skills, .claude/skills"),
]


@app.command("install")
@command(examples=["kitty-flow skills install", "kitty-flow skills install --dir ~/.claude/skills"])
def install(
    directory: DirOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace edited files too.")] = False,
    agents_md: Annotated[
        bool, typer.Option("--agents-md", help="Write nothing; print a section for your AGENTS.md.")
    ] = False,
) -> Result:
    """Write the skills (implement, review, plan, advise) into the repository, or into one folder of yours.

    Codex, Gemini CLI, Cursor, Copilot and opencode read .agents/skills, Claude Code reads .claude/skills. An edited
    file stays as it is. Commit what was written: agents see it in the worktrees that start from that commit.
    """
    from kitty_flow.flow.skill_pack import agents_snippet
    from kitty_flow.flow.skill_pack import install as put
    from kitty_flow.model.diagnostic import Diagnostic

    if agents_md:
        return Result({"agents_md": agents_snippet()}, agents_snippet())
    done = [standing for folder in _folders(directory) for standing in put(folder, force=force)]
    kept = [standing for standing in done if standing.state == "edited"]
    remarks = [
        Diagnostic(
            severity="warning",
            diagnostic_code="SKILL_EDITED",
            message=f"{standing.path} is not as it was installed and was kept; --force replaces it",
            phase="skills",
        )
        for standing in kept
    ]
    return Result({"skills": [standing._asdict() for standing in done]}, _told(done), remarks)


@app.command("list")
@command(examples=["kitty-flow skills list"])
def list_skills(
    directory: DirOption = None,
) -> Result:
    """List the skills that ship, what they are for, and whether they are installed as they ship."""
    from kitty_flow.flow.skill_pack import skills, standings

    found = {folder: tuple(standings(folder)) for folder in _folders(directory)}
    data = [
        {
            "name": skill.name,
            "description": skill.description,
            "installed": [{"path": states[n].path, "state": states[n].state} for states in found.values()],
        }
        for n, skill in enumerate(skills())
    ]
    return Result({"skills": data}, lambda: _board(data, list(found)))


def _folders(directory: Path | None) -> list[Path]:
    """The folder that was named, else those of the repository, from anywhere inside it."""
    from kitty_flow.flow.project import Project
    from kitty_flow.flow.skill_pack import FOLDERS

    if directory is not None:
        return [directory.expanduser().resolve()]
    root = Project.discover().root
    return [root / folder for folder in FOLDERS]


def _told(done: list[Standing]) -> str:
    lines = [f"{'wrote' if standing.written else standing.state:<7} {standing.path}" for standing in done]
    if any(standing.written for standing in done):
        lines.append("next: commit them, so that the agents' worktrees have them, then kitty-flow run MISSION")
    return "\n".join(lines)


def _board(skills: list[dict[str, Any]], folders: list[Path]) -> Table:
    """One line a skill: its state in each folder, and the first sentence of what it is for."""
    rows = [
        (skill["name"], *(place["state"] for place in skill["installed"]), skill["description"].partition(". ")[0])
        for skill in skills
    ]
    return table(("SKILL", *("/".join(folder.parts[-2:]).upper() for folder in folders), "FOR"), rows)
