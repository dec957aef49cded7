"""Any mission, or any source that can be read, as a mission file of kitty-flow."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from kitty_flow.errors import UsageError
from kitty_flow.flow.mission import open_mission
from kitty_flow.flow.planning import is_path
from kitty_flow.flow.project import Project
from kitty_flow.missions.native_text import native_text
from kitty_flow.model.diagnostic import Diagnostic
from kitty_flow.model.mission import MissionDefinition

__all__ = ["ExportedMission", "export_mission"]


class ExportedMission(NamedTuple):
    """A definition, its TOML text, and the remarks on where it came from."""

    definition: MissionDefinition
    text: str
    diagnostics: tuple[Diagnostic, ...]


def export_mission(mission: str | None, kind: str | None = None) -> ExportedMission:
    """A mission by name as the ledger has it, or a source by path; `kind` says that it is a path, and of which reader.

    Raises:
        UsageError: there is no such mission.
        DefinitionError: the source is invalid.
    """
    if mission is not None and (kind is not None or is_path(mission)):
        return _of_source(Path(mission), kind)
    try:
        with open_mission(Project.discover(), mission, refresh_source=True) as opened:
            return ExportedMission(opened.definition, native_text(opened.definition), opened.diagnostics)
    except UsageError:
        if mission is None or not Path(mission).exists():
            raise
    return _of_source(Path(mission), None)


def _of_source(path: Path, kind: str | None) -> ExportedMission:
    from kitty_flow.missions.source import read_mission

    draft, loaded = read_mission(path, kind=kind)
    return ExportedMission(loaded.definition, native_text(loaded.definition, draft), loaded.diagnostics)
