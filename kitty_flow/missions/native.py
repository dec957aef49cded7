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
from kitty_flow.missions.subtask_text import parse_subtask
from kitty_flow.model.base import Model
from kitty_flow.model.mission import Subtask

__all__ = ["KIND", "read", "read_toml", "recognises"]

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


class _WorkPackage(_Table):
    id: str
    title: str = ""
    dependencies: list[str] = Field(default_factory=list)
    owned_files: list[str] = Field(default_factory=list)
    execution_mode: str = "code_change"
    subtasks: list[str] = Field(default_factory=list)
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
    file: _File | None = None
    with findings.gathering(path.name):
        data = read_toml(path)
        try:
            file = _File.model_validate(data)
        except ValidationError as error:
            _report(error, data, path.name, findings)
    if file is None:
        findings.raise_if_invalid(path)
        raise AssertionError("a file that is not a mission has at least one problem")
    return MissionDraft(
        path=path,
        where=path.name,
        kind=KIND,
        id=file.mission.id,
        slug=path.stem if file.mission.slug is None else file.mission.slug,
        title=file.mission.title,
        target_branch=file.mission.target_branch,
        template=file.mission.template,
        work_packages=tuple(
            _draft(table, _place(path.name, index, table.id), findings) for index, table in enumerate(file.work_package)
        ),
    )


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, unchecked.

    Raises:
        DefinitionError: INVALID_TOML, or what `read_text` raises.
    """
    text = read_text(path, path.name, limit=MAX_MISSION_BYTES)
    if _LONG_KEY.search(text):
        raise invalid("INVALID_TOML", "has a dotted key of more than 64 parts", path.name)
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or int() on thousands of digits
        line = re.search(r"\(at line (\d+),", str(error))
        place = f"{path.name}:{line[1]}" if line else path.name
        raise invalid("INVALID_TOML", f"is not TOML: {str(error)[:200]}", place) from error
    except RecursionError as error:
        raise invalid("INVALID_TOML", "is nested too deeply", path.name) from error


def _draft(table: _WorkPackage, where: str, findings: Findings) -> WorkPackageDraft:
    subtasks: dict[str, Subtask] = {}
    for text in table.subtasks:
        subtask = parse_subtask(text)
        if subtask is None:
            findings.problem("INVALID_SUBTASK", f"subtask {text[:80]!r} must begin with an id such as T001", where)
        elif subtask.id in subtasks:
            findings.problem("DUPLICATE_SUBTASK_ID", f"subtask {subtask.id} is listed twice", where)
        else:
            subtasks[subtask.id] = subtask
    return WorkPackageDraft(
        where=where,
        id=table.id,
        title=table.title,
        dependencies=tuple(table.dependencies),
        owned_files=tuple(table.owned_files),
        execution_mode=table.execution_mode,
        subtasks=tuple(subtasks.values()),
        requirement_refs=tuple(table.requirement_refs),
        prompt=table.prompt,
    )


def _place(file_name: str, index: int, work_package_id: object) -> str:
    name = f" ({work_package_id[:40]})" if isinstance(work_package_id, str) else ""
    return f"{file_name}: work_package {index + 1}{name}"


def _report(error: ValidationError, data: Mapping[str, Any], file_name: str, findings: Findings) -> None:
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        *tables, last = each["loc"]
        where, known = file_name, list(_File.model_fields)
        if tables[:1] == ["mission"]:
            where, known = f"{file_name}: mission", list(_Mission.model_fields)
        elif len(each["loc"]) > 1 and isinstance(each["loc"][1], int):
            index = each["loc"][1]
            table = data["work_package"][index]
            name = table.get("id") if isinstance(table, dict) else None
            where, known = _place(file_name, index, name), list(_WorkPackage.model_fields)
        key = ".".join(str(part)[:80] for part in each["loc"] if part not in ("mission", "work_package")) or str(last)
        if each["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(last)[:80], known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
            findings.problem("UNKNOWN_KEY", f"unknown key {str(last)[:80]!r}; {hint}", where)
        elif each["type"] == "missing":
            findings.problem("MISSING_KEY", f"{str(last)[:80]!r} is missing", where)
        elif each["type"] in ("model_type", "model_attributes_type"):
            findings.problem("WRONG_TYPE", f"{key!r} must be a table", where)
        else:
            findings.problem("WRONG_TYPE", f"{key!r}: {each['msg'][:1].lower()}{each['msg'][1:]}", where)
