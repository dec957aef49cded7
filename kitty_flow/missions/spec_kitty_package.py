"""Puts the sources of a Spec Kitty work package together.

Dependencies come from `wps.yaml`, else from the frontmatter, be it an empty list, else from `tasks.md`; owned files
from `wps.yaml`, else from the frontmatter. Of all other fields the frontmatter's count, and `wps.yaml` only fills gaps.
A source that names other dependencies than those that count is reported.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from kitty_flow.missions.draft import WorkPackageDraft
from kitty_flow.missions.findings import Findings
from kitty_flow.missions.spec_kitty_fields import string, strings, subtasks
from kitty_flow.missions.tasks_text import TaskList, WrittenWorkPackage
from kitty_flow.missions.yaml_text import YamlMapping

__all__ = ["Written", "from_files", "from_task_list"]

_WPS: Final = "wps.yaml"
_FIRST: Final = ("dependencies", "owned_files")
"""The fields that count in `wps.yaml` before they count in the frontmatter."""

_KEYS: Final = {"create_intent": "created_files", "authoritative_surface": "surface"} | {
    name: name for name in ("title", "dependencies", "owned_files", "execution_mode", "subtasks", "requirement_refs")
}
"""What the origin calls a field, and what a draft does."""


class Written(NamedTuple):
    """A work package file as written: its id, how it is named in a problem, its frontmatter and its body."""

    id: str
    where: str
    fields: YamlMapping
    body: str


class _Statement(NamedTuple):
    place: str
    dependencies: tuple[str, ...]


def from_files(
    files: Sequence[Written],
    entries: Mapping[str, YamlMapping],
    tasks: TaskList | None,
    unreadable: Collection[str],
    findings: Findings,
) -> list[WorkPackageDraft]:
    """The drafts of all work packages that have a file under `tasks/` or an entry in `wps.yaml`."""
    sections = {each.draft.id: each for each in reversed(tasks.work_packages)} if tasks else {}
    drafts: list[WorkPackageDraft] = []
    for file in files:
        if entries and file.id not in entries:
            message = f"{file.id[:80]} is missing in wps.yaml; its frontmatter counts"
            findings.warn("NOT_IN_WPS_YAML", message, file.where)
        drafts.append(_draft(file, entries.get(file.id), sections.get(file.id), findings))
    known = {file.id for file in files} | set(unreadable)
    for name, entry in entries.items():
        if name not in known:
            file = Written(name, f"{_WPS}:{entry.line}", YamlMapping(entry.line), "")
            findings.warn("NO_PROMPT_FILE", f"{name[:80]} has no file under tasks/: the prompt is empty", file.where)
            drafts.append(_draft(file, entry, sections.get(name), findings))
    for name, section in sections.items():
        if name not in known and name not in entries:
            message = f"{name[:80]} has no file under tasks/ and is left out of the mission"
            findings.warn("SECTION_WITHOUT_FILE", message, section.draft.where)
    return drafts


def from_task_list(tasks: TaskList, findings: Findings) -> list[WorkPackageDraft]:
    """The drafts of a mission that has nothing but its `tasks.md`."""
    for note in (*tasks.notes, *(note for each in tasks.work_packages for note in each.notes)):
        note.tell(findings)
    for each in tasks.work_packages:
        if not each.declares:
            _not_declared(each.draft.id, each.draft.where, findings)
    return [each.draft for each in tasks.work_packages]


def _draft(
    file: Written, entry: YamlMapping | None, section: WrittenWorkPackage | None, findings: Findings
) -> WorkPackageDraft:
    entry = entry if entry is not None else YamlMapping(0)
    chosen = {**entry, **file.fields, **{key: entry[key] for key in _FIRST if key in entry}}
    places = {
        _KEYS[key]: f"{_WPS}:{entry.lines[key]}"
        if key in entry and (key in _FIRST or key not in file.fields)
        else f"{file.where}:{file.fields.lines[key]}"
        for key in chosen
        if key in _KEYS
    }

    def place(name: str) -> str:
        return places.get(name, file.where)

    draft = WorkPackageDraft(
        where=file.where,
        id=file.id,
        title=string(chosen, "title", place("title"), findings),
        owned_files=strings(chosen, "owned_files", place("owned_files"), findings),
        execution_mode=string(chosen, "execution_mode", place("execution_mode"), findings) or "code_change",
        subtasks=subtasks(chosen, place("subtasks"), findings),
        requirement_refs=strings(chosen, "requirement_refs", place("requirement_refs"), findings),
        prompt=file.body,
        created_files=strings(chosen, "create_intent", place("created_files"), findings)
        if "create_intent" in chosen
        else None,
        surface=string(chosen, "authoritative_surface", place("surface"), findings) or None,
        places=places,
    )
    statement = _dependencies(file, entry, section, findings)
    if statement is None:
        _not_declared(file.id, file.where, findings)
        return draft
    return replace(draft, dependencies=statement.dependencies, places={**places, "dependencies": statement.place})


def _dependencies(
    file: Written, entry: YamlMapping, section: WrittenWorkPackage | None, findings: Findings
) -> _Statement | None:
    """What counts of what the sources say, in their order; None when none says anything."""
    key = "dependencies"
    said: list[_Statement] = []
    for fields, name in ((entry, _WPS), (file.fields, file.where)):
        if key in fields:
            place = f"{name}:{fields.lines[key]}"
            said.append(_Statement(place, strings(fields, key, place, findings)))
    if section is not None and section.declares:
        if not said:
            for note in section.notes:
                note.tell(findings)
        said.append(_Statement(section.draft.place(key), section.draft.dependencies))
    for other in said[1:]:
        if other.dependencies and set(other.dependencies) != set(said[0].dependencies):
            findings.warn(
                "DEPENDENCIES_DISAGREE",
                f"{file.id[:80]}: {said[0].place} says {_listed(said[0].dependencies)}, {other.place} says "
                f"{_listed(other.dependencies)}; the former counts",
                said[0].place,
            )
    return said[0] if said else None


def _not_declared(name: str, where: str, findings: Findings) -> None:
    findings.warn("DEPENDENCIES_NOT_DECLARED", f"{name[:80]} does not say what it depends on", where)


def _listed(ids: tuple[str, ...]) -> str:
    return ", ".join(text[:40] for text in ids[:20]) or "none"
