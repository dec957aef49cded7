"""Writes kitty-flow's own mission file: any mission, in the form that people read and edit.

A writer of our own, because what matters is how a prompt looks: libraries write it with escaped quotes and
backslashes. Here it stands between ``'''`` as it is, wherever TOML can say it so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from kitty_flow.missions.draft import MissionDraft, WorkPackageDraft
from kitty_flow.missions.subtask_text import parse_subtask
from kitty_flow.model.mission import MissionDefinition, Subtask, WorkPackage

__all__ = ["native_text"]

_WIDTH = 120


def native_text(definition: MissionDefinition, draft: MissionDraft | None = None) -> str:
    """The TOML text of a mission; read again, it gives an equal definition.

    `draft` is what the definition was made from: it knows a few things that a definition does not keep.
    """
    drafts = {} if draft is None else {each.id: each for each in draft.work_packages}
    requirements = None if draft is None or draft.requirements is None else tuple(draft.requirements)
    parts = ["\n".join(_mission_lines(definition, requirements))]
    parts += ["\n".join(_work_package_lines(each, drafts.get(each.id))) for each in definition.work_packages]
    return "\n\n".join(parts) + "\n"


def _mission_lines(definition: MissionDefinition, requirements: Sequence[str] | None) -> Iterator[str]:
    yield "[mission]"
    yield f"title = {_string(definition.title)}"
    yield f"slug = {_string(definition.slug)}"
    if definition.id is not None:
        yield f"id = {_string(definition.id)}"
    if definition.target_branch is not None:
        yield f"target_branch = {_string(definition.target_branch)}"
    if definition.template != "software-dev":
        yield f"template = {_string(definition.template)}"
    if requirements is not None:
        yield _list("requirements", [_string(each) for each in requirements])


def _work_package_lines(work_package: WorkPackage, draft: WorkPackageDraft | None) -> Iterator[str]:
    yield "[[work_package]]"
    yield f"id = {_string(work_package.id)}"
    yield f"title = {_string(work_package.title)}"
    lists: Mapping[str, Sequence[str] | None] = {
        "dependencies": work_package.dependencies or None,
        "owned_files": work_package.owned_files or None,
        "created_files": None if draft is None else draft.created_files,
    }
    for key, items in lists.items():
        if items is not None:
            yield _list(key, [_string(each) for each in items])
    if draft is not None and draft.surface is not None:
        yield f"surface = {_string(draft.surface)}"
    if work_package.execution_mode != "code_change":
        yield f"execution_mode = {_string(work_package.execution_mode)}"
    if not work_package.changes:
        yield "changes = false"
    if work_package.subtasks:
        yield _list("subtasks", [_subtask(each) for each in work_package.subtasks])
    if work_package.requirement_refs:
        yield _list("requirement_refs", [_string(each) for each in work_package.requirement_refs])
    if work_package.prompt:
        yield f"prompt = {_prompt(work_package.prompt)}"


def _subtask(subtask: Subtask) -> str:
    text = f"{subtask.id} {subtask.title}".strip()
    if parse_subtask(text) == subtask:
        return _string(text)
    return f"{{ id = {_string(subtask.id)}, title = {_string(subtask.title)} }}"


def _list(key: str, items: Sequence[str]) -> str:
    line = f"{key} = [{', '.join(items)}]"
    if len(line) <= _WIDTH:
        return line
    return f"{key} = [\n" + "".join(f"    {item},\n" for item in items) + "]"


def _string(text: str) -> str:
    # A JSON string is a TOML basic string, but for DEL, which JSON leaves as it is.
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted if quoted.isprintable() else "".join(map(_escaped, quoted))


def _prompt(text: str) -> str:
    if "\n" not in text:
        return _string(text)
    plain = all(line.isprintable() for line in text.replace("\t", "").split("\n"))
    if plain and "'''" not in text and not text.endswith("'"):
        return f"'''\n{text}'''"
    lines = (_string(line)[1:-1] for line in text.split("\n"))
    return '"""\n' + "\n".join(lines) + '"""'


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"
