"""Reads a task list, Spec Kitty's ``tasks.md`` or the same as flattened text, to drafts of its work packages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from kitty_flow.missions.declared import Declared, Note, resolve
from kitty_flow.missions.draft import StatedOrder, WorkPackageDraft
from kitty_flow.missions.files import MAX_WORK_PACKAGES
from kitty_flow.missions.order_text import claims
from kitty_flow.missions.section_text import SectionReader
from kitty_flow.missions.task_lines import Line, split_lines
from kitty_flow.missions.task_outline import Section, outline
from kitty_flow.missions.task_tables import Row, rows
from kitty_flow.missions.work_package_names import Roster, spelled

__all__ = ["TaskList", "WrittenWorkPackage", "names_work_packages", "read_task_list"]

_WP_ID: Final = re.compile(r"WP[0-9]{1,400}[a-z]?", re.IGNORECASE)
_MAX_NAME: Final = 402


class WrittenWorkPackage(NamedTuple):
    """A work package of a task list.

    `declares` says whether it states its dependencies, be it that there are none; `notes` how they were read.
    """

    draft: WorkPackageDraft
    declares: bool
    notes: tuple[Note, ...]


class TaskList(NamedTuple):
    """A task list as read: its work packages, the lines before the first of them, and what it claims about the order.

    `notes` say what was guessed or dropped apart from dependencies.
    """

    work_packages: tuple[WrittenWorkPackage, ...]
    head: tuple[Line, ...]
    stated: tuple[StatedOrder, ...]
    notes: tuple[Note, ...]


def names_work_packages(text: str, file: str) -> bool:
    """Whether `text` is a task list at all.

    Raises:
        DefinitionError: FILE_TOO_LARGE.
    """
    lines = split_lines(text, file)
    return bool(outline(lines).sections or _from_table(list(rows(lines))))


def read_task_list(text: str, file: str, *, known: Iterable[str] = ()) -> TaskList:
    """The task list in `text`. `file` is how its places are named; `known` are ids that other files define.

    Raises:
        DefinitionError: FILE_TOO_LARGE.
    """
    lines = split_lines(text, file)
    cut = outline(lines)
    table = list(rows(lines))
    sections = (cut.sections or _from_table(table))[: MAX_WORK_PACKAGES + 1]
    roster = Roster([*known, *(section.id for section in sections)])
    reader = SectionReader(file, roster, cut, table)
    read = [reader.read(section) for section in sections]
    resolve([declared for _, declared in read], roster)
    owners = {line.number: section.id for section in sections for line in section.lines}
    found, more = claims(lines, table, owners, roster)
    notes = reader.finish()
    if more:
        notes += (Note("dropped", "TOO_MANY_CLAIMS", "claims about the order beyond the first ones", file),)
    first = sections[0].heading.number if sections else len(lines) + 1
    return TaskList(
        tuple(_finished(draft, declared, roster) for draft, declared in read),
        lines[: first - 1],
        tuple(StatedOrder(f"{file}:{claim.line}", roster.members(claim.mask)) for claim in found),
        notes,
    )


def _finished(draft: WorkPackageDraft, declared: Declared, roster: Roster) -> WrittenWorkPackage:
    places = dict(draft.places)
    if declared.where is not None:
        places["dependencies"] = declared.where
    dependencies = (*roster.members(declared.mask), *declared.unknown)
    whole = replace(draft, dependencies=dependencies, places=places)
    return WrittenWorkPackage(whole, declared.where is not None, tuple(declared.notes))


def _from_table(table: Sequence[Row]) -> tuple[Section, ...]:
    """The work packages that only a table lists: its rows name one each, with a title or dependencies."""
    found: dict[str, Section] = {}
    for row in table:
        name = row.cells.get("work_package", "")[:_MAX_NAME]
        if _WP_ID.fullmatch(name) and "subtask" not in row.cells and {"title", "dependencies"} & row.cells.keys():
            found.setdefault(name.lower(), Section(spelled(name), row.cells.get("title", ""), row.line, ()))
    return tuple(found.values())
