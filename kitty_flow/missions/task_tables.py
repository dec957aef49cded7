"""Reads the tables of a task list: an index of subtasks, work packages, requirements they cover, waves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from kitty_flow.missions.task_lines import Line, table_cells

__all__ = ["Row", "rows"]

_COLUMNS: Final = {
    "work_package": ("wp", "wp id", "work package", "work packages", "wps", "package", "covered by work package"),
    "subtask": ("subtask id", "subtask", "task", "task id"),
    "id": ("id", "#"),
    "requirement": ("requirement id", "requirement"),
    "title": ("title", "name", "description", "summary", "goal"),
    "dependencies": ("dependencies", "depends on", "dependency", "deps", "blocked by", "prerequisites"),
    "requirement_refs": ("spec frs", "frs", "requirements", "requirement refs", "requirement ids"),
    "owned_files": ("owned files", "files owned"),
    "wave": ("wave", "batch", "parallel group"),
}
_ROLES: Final = {name: role for role, names in _COLUMNS.items() for name in names}
_RULE: Final = re.compile(r"[\s|:+-]{3,}")
_WP: Final = re.compile(r"(?:WP|Work Package )", re.IGNORECASE)
_TASK: Final = re.compile(r"T[0-9]{1,6}[a-z]?", re.ASCII)


class Row(NamedTuple):
    """A row of a table that has a header: its cells by their role, and the line where the table begins."""

    line: Line
    cells: dict[str, str]
    table: int


def rows(lines: Sequence[Line]) -> Iterator[Row]:
    """The rows of all tables whose header is known in part."""
    header: list[str] = []
    table = 0
    for index, line in enumerate(lines):
        cells = [] if line.hidden else table_cells(line)
        if not cells:
            header = []
        elif not header:
            following = lines[index + 1].raw if index + 1 < len(lines) else ""
            if _RULE.fullmatch(following.strip()) and "-" in following:
                header, table = [_role(cell) for cell in cells], line.number
        elif not _RULE.fullmatch(line.raw.strip()):
            yield Row(line, _by_role(header, cells), table)


def _role(header: str) -> str:
    return _ROLES.get(re.sub(r"\(s\)|[^a-z# ]", "", header.lower()).strip(), "")


def _by_role(header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for role, cell in zip(header, cells, strict=False):
        kind = role
        if role in ("id", "work_package", "subtask"):
            kind = "subtask" if _TASK.fullmatch(cell) else "work_package" if _WP.match(cell) else ""
        if kind:
            found.setdefault(kind, cell)
    return found
