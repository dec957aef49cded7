"""Writing the starter file of a new mission: with example work packages, or for the phases of a template."""

from __future__ import annotations

from pathlib import Path

from kitty_flow.errors import ExternalToolError, UsageError
from kitty_flow.flow.project import Project
from kitty_flow.ledger.catalog import catalog
from kitty_flow.machines import dag
from kitty_flow.missions.source import discover, native_path
from kitty_flow.missions.starter import planning_text, starter_text

__all__ = ["create_mission"]


def create_mission(project: Project, slug: str, title: str, template: str | None = None) -> Path:
    """Write the commented file of a new mission and return its path. Nothing else is touched.

    Without a template it has example work packages; with one it has none, and `next` leads through the phases.

    Raises:
        DefinitionError: INVALID_MISSION_SLUG.
        UsageError: UNKNOWN_DAG, there is no such template; SLUG_TAKEN, a mission or a file of that name is there.
        ExternalToolError: FILE_NOT_WRITTEN.
    """
    text = planning_text(slug, title, dag("mission", template).name) if template else starter_text(slug, title)
    path = native_path(project.root, slug)
    taken = {e.slug.casefold() for e in catalog(project.repository)}
    taken |= {s.slug.casefold() for s in discover(project.root)}
    if slug.casefold() in taken or path.exists():
        raise UsageError("SLUG_TAKEN", f"there is a mission {slug} already", hint=f"kitty-flow mission show {slug}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
    except OSError as error:
        raise ExternalToolError("FILE_NOT_WRITTEN", f"{path} cannot be written: {error.strerror}") from error
    return path
