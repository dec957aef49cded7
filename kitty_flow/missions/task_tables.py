"""Reads the tables of a task list: an index of subtasks, work packages, requirements they cover, waves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from kitty_flow.missions.task_lines import Line, is_table_rule, plain, raw_cells

__all__ = ["Row", "rows"]

_COLUMNS: Final = {
    "work_package": ("wp", "wp id", "work package", "work packages", "wps", "package", "covered by work package"),
    "subtask": ("subtask id", "subtask", "task", "task id"),
    "id": ("id", "#"),
    "requirement": ("requirement id", "requirement"),
    "title": ("title", "name", "description", "summary", "goal"),
    "dependencies": ("dependencies", "depends on", "dependency", "deps", "blocked by", "prerequisites"),
    "requirement_refs": ("spec frs", "frs", "requirements", "requirement refs", "requirement ids"),
    "owned_files": ("owned files", "files owned", "files", "file ownership", "owns"),
    "wave": ("wave", "batch", "parallel group"),
}
_ROLES: Final = {name: role for role, names in _COLUMNS.items() for name in names}
_WP: Final = re.compile(r"(?:WP|Work Package )", re.IGNORECASE)
_TASK: Final = re.compile(r"T[0-9]{1,6}[a-z]?", re.ASCII)


class Row(NamedTuple):
    """A row of a table that has a header: its cells by their role, and the line where the table begins.

    The cells are plain, but for the files, where stars and code marks matter. `ignored` are the headers of the columns
    that have no role or repeat one.
    """

    line: Line
    cells: dict[str, str]
    table: int
    ignored: tuple[str, ...] = ()


def rows(lines: Sequence[Line]) -> Iterator[Row]:
    """The rows of all tables whose header is known in part."""
    header: list[str] = []
    ignored: tuple[str, ...] = ()
    table = 0
    for index, line in enumerate(lines):
        cells = [] if line.hidden else raw_cells(line)
        if not cells:
            header = []
        elif not header:
            if index + 1 < len(lines) and is_table_rule(lines[index + 1]):
                names = [plain(cell) for cell in cells]
                header, table = [_role(name) for name in names], line.number
                ignored = _ignored(names, header)
        elif not is_table_rule(line):
            yield Row(line, _by_role(header, cells), table, ignored)


def _role(header: str) -> str:
    return _ROLES.get(re.sub(r"\(s\)|[^a-z# ]", "", header.lower()).strip(), "")


def _ignored(names: Sequence[str], header: Sequence[str]) -> tuple[str, ...]:
    seen: set[str] = set()
    found = []
    for name, role in zip(names, header, strict=True):
        if name and (not role or role in seen):
            found.append(name)
        seen.add(role)
    return tuple(found)


def _by_role(header: Sequence[str], raws: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for role, raw in zip(header, raws, strict=False):
        kind, cell = role, raw if role == "owned_files" else plain(raw)
        if role in ("id", "work_package", "subtask"):
            kind = "subtask" if _TASK.fullmatch(cell) else "work_package" if _WP.match(cell) else ""
        if kind:
            found.setdefault(kind, cell)
    return found
