"""Reads kitty-flow's own mission file: one TOML file, readable from top to bottom (`docs/reference/mission-file.md`).

The reader is strict, because nobody but kitty-flow reads this format: an unknown key is a spelling mistake.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ConfigDict, Field, ValidationError

from kitty_flow.missions.draft import MissionDraft, WorkPackageDraft
from kitty_flow.missions.files import MAX_MISSION_BYTES, invalid, is_file, read_text
from kitty_flow.missions.findings import Findings
from kitty_flow.missions.native_places import Table, tables
from kitty_flow.missions.subtask_text import parse_subtask
from kitty_flow.model.base import Model
from kitty_flow.model.mission import Subtask

__all__ = ["KIND", "read", "read_toml", "read_work_packages", "recognises"]

KIND: Final = "native"

# tomllib takes quadratic time over the parts of a dotted key: 40 KB of them keep it busy for ten seconds.
_LONG_KEY: Final = re.compile(
    r"""(?<![\w-])(?:(?:[A-Za-z0-9_-]++|"[^"\n]*"|'[^'\n]*')[ \t]*+\.[ \t]*+){64}""", re.ASCII
)


class _Table(Model):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, strict=True)


class _Mission(_Table):
    title: str = ""
    slug: str | None = None
    id: str | None = None
    target_branch: str | None = None
    template: str = "software-dev"
    requirements: list[str] | None = None


class _Subtask(_Table):
    id: str
    title: str = ""


class _WorkPackage(_Table):
    id: str
    title: str = ""
    dependencies: list[str] = Field(default_factory=list)
    owned_files: list[str] = Field(default_factory=list)
    created_files: list[str] | None = None
    surface: str | None = None
    execution_mode: str = "code_change"
    changes: bool = True
    subtasks: list[str | _Subtask] = Field(default_factory=list)
    requirement_refs: list[str] = Field(default_factory=list)
    prompt: str = ""


class _File(_Table):
    mission: _Mission
    work_package: list[_WorkPackage] = Field(default_factory=list)


def recognises(path: Path) -> bool:
    """Whether `path` is a TOML file."""
    return path.suffix == ".toml" and is_file(path)


def read(path: Path, findings: Findings) -> MissionDraft:
    """The mission in the TOML file `path`.

    Raises:
        DefinitionError: INVALID_MISSION, when the file cannot be read as one at all.
    """
    file, places = _read(path, findings)
    if file is None:
        findings.raise_if_invalid(path)
        raise AssertionError("a file that is not a mission has at least one problem")
    mission = file.mission
    where = places.mission("requirements")
    return MissionDraft(
        path=path,
        where=places.mission(),
        kind=KIND,
        id=mission.id,
        slug=path.stem if mission.slug is None else mission.slug,
        title=mission.title,
        target_branch=mission.target_branch,
        template=mission.template,
        work_packages=tuple(_draft(table, index, places, findings) for index, table in enumerate(file.work_package)),
        requirements=None if mission.requirements is None else dict.fromkeys(mission.requirements, where),
    )


def read_work_packages(path: Path, findings: Findings) -> tuple[tuple[WorkPackageDraft, ...], frozenset[str]]:
    """The work packages of a TOML file that need not have a [mission] table, and which of them say nothing about
    dependencies. Nothing of a file that cannot be read: that is noted as a problem."""
    file, places = _read(path, findings, mission={})
    if file is None:
        return (), frozenset()
    drafts = tuple(_draft(table, index, places, findings) for index, table in enumerate(file.work_package))
    silent = frozenset(table.id for table in file.work_package if "dependencies" not in table.model_fields_set)
    return drafts, silent


def _read(path: Path, findings: Findings, **defaults: Any) -> tuple[_File | None, _Places]:
    """The tables of a file, or None with the problems noted; `defaults` stand for tables that it does not have."""
    places = _Places(path.name)
    with findings.gathering(path.name):
        text = read_text(path, path.name, limit=MAX_MISSION_BYTES)
        data = {**defaults, **_parse(text, path.name)}
        places = _Places(path.name, text, data)
        try:
            return _File.model_validate(data), places
        except ValidationError as error:
            _report(error, data, places, findings)
    return None, places


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, unchecked.

    Raises:
        DefinitionError: INVALID_TOML, or what `read_text` raises.
    """
    return _parse(read_text(path, path.name, limit=MAX_MISSION_BYTES), path.name)


def _parse(text: str, file_name: str) -> dict[str, Any]:
    if _LONG_KEY.search(text):
        raise invalid("INVALID_TOML", "has a dotted key of more than 64 parts", file_name)
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or int() on thousands of digits
        line = re.search(r"\(at line (\d+),", str(error))
        place = f"{file_name}:{line[1]}" if line else file_name
        raise invalid("INVALID_TOML", f"is not TOML: {str(error)[:200]}", place) from error
    except RecursionError as error:
        raise invalid("INVALID_TOML", "is nested too deeply", file_name) from error


class _Places:
    """How the places of a file are named in problems: by line, or by table where the text was not understood."""

    def __init__(self, file_name: str, text: str = "", data: Mapping[str, Any] | None = None) -> None:
        self.file = file_name
        self._mission: Table | None = None
        self._work_packages: tuple[Table, ...] = ()
        listed = (data or {}).get("work_package", [])
        mission, found = tables(text)
        if isinstance(listed, list) and len(found) == len(listed):  # else they are written in another way
            self._mission, self._work_packages = mission, found

    def mission(self, key: str = "") -> str:
        """The place of the mission table, or of a key in it."""
        table = self._mission
        return self.file if table is None else f"{self.file}:{table.keys.get(key, table.line)}"

    def work_package(self, index: int, name: object = None, key: str = "") -> str:
        """The place of a work package's table, or of a key in it."""
        if index < len(self._work_packages):
            table = self._work_packages[index]
            return f"{self.file}:{table.keys.get(key, table.line)}"
        return f"{self.file}: work_package {index + 1}" + (f" ({name[:40]})" if isinstance(name, str) else "")

    def keys(self, index: int) -> dict[str, str]:
        """The places of all keys of a work package."""
        if index >= len(self._work_packages):
            return {}
        return {key: f"{self.file}:{line}" for key, line in self._work_packages[index].keys.items()}


def _draft(table: _WorkPackage, index: int, places: _Places, findings: Findings) -> WorkPackageDraft:
    return WorkPackageDraft(
        where=places.work_package(index, table.id),
        id=table.id,
        title=table.title,
        dependencies=tuple(table.dependencies),
        owned_files=tuple(table.owned_files),
        execution_mode=table.execution_mode,
        subtasks=_subtasks(table, places.work_package(index, table.id, "subtasks"), findings),
        requirement_refs=tuple(table.requirement_refs),
        prompt=table.prompt,
        created_files=None if table.created_files is None else tuple(table.created_files),
        surface=table.surface,
        changes=table.changes,
        places=places.keys(index),
    )


def _subtasks(table: _WorkPackage, where: str, findings: Findings) -> tuple[Subtask, ...]:
    subtasks: dict[str, Subtask] = {}
    for each in table.subtasks:
        subtask = parse_subtask(each) if isinstance(each, str) else Subtask(each.id, each.title)
        if subtask is None:
            findings.problem("INVALID_SUBTASK", f"subtask {str(each)[:80]!r} must begin with an id such as T001", where)
        elif subtask.id in subtasks:
            findings.problem("DUPLICATE_SUBTASK_ID", f"subtask {subtask.id[:80]} is listed twice", where)
        else:
            subtasks[subtask.id] = subtask
    return tuple(subtasks.values())


def _report(error: ValidationError, data: Mapping[str, Any], places: _Places, findings: Findings) -> None:
    subtasks: set[str] = set()
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        loc = each["loc"]
        last = str(loc[-1])[:80]
        where, known, inside = places.file, list(_File.model_fields), loc
        if loc[0] == "mission" and len(loc) > 1:
            where, known, inside = places.mission(str(loc[1])), list(_Mission.model_fields), loc[1:]
        elif len(loc) > 1 and isinstance(loc[1], int):
            table = data["work_package"][loc[1]]
            name = table.get("id") if isinstance(table, dict) else None
            where = places.work_package(loc[1], name, str(loc[2]) if len(loc) > 2 else "")
            known, inside = list(_WorkPackage.model_fields), loc[2:]
        key = ".".join(str(part)[:80] for part in inside[:2]) or f"work_package {loc[1]}"
        if inside[:1] == ("subtasks",) and len(inside) > 1:
            if f"{where} {key}" not in subtasks:
                findings.problem("WRONG_TYPE", f"{key!r} must be a text, or a table of 'id' and 'title'", where)
            subtasks.add(f"{where} {key}")
        elif each["type"] == "extra_forbidden":
            near = difflib.get_close_matches(last, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
            findings.problem("UNKNOWN_KEY", f"unknown key {last!r}; {hint}", where)
        elif each["type"] == "missing":
            findings.problem("MISSING_KEY", f"{last!r} is missing", where)
        elif each["type"] in ("model_type", "model_attributes_type"):
            findings.problem("WRONG_TYPE", f"{key!r} must be a table", where)
        else:
            findings.problem("WRONG_TYPE", f"{key!r}: {each['msg'][:1].lower()}{each['msg'][1:]}", where)
