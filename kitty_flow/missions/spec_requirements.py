"""Reads the ids of the requirements that a mission's ``spec.md`` defines, as list items, table rows or headings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from kitty_flow.missions.listed_text import REQUIREMENT
from kitty_flow.missions.task_lines import split_lines, table_cells

__all__ = ["read_requirements"]

_DEFINED: Final = re.compile(rf"_{{0,2}}({REQUIREMENT})")


def read_requirements(text: str, file: str) -> Mapping[str, str]:
    """Each requirement id such as FR-001, NFR-002 or C-003 that a line of `text` begins with, and its place in `file`.

    A requirement that a sentence only mentions is defined elsewhere, or not at all.

    Raises:
        DefinitionError: FILE_TOO_LARGE.
    """
    found: dict[str, str] = {}
    for line in split_lines(text, file):
        cells = table_cells(line)
        begin = (cells[0] if cells else line.text) if not line.hidden else ""
        if (cells or line.bullet or line.level or _is_emphasised(line.raw)) and (match := _DEFINED.match(begin)):
            found.setdefault(match[1], f"{file}:{line.number}")
    return found


def _is_emphasised(raw: str) -> bool:
    return raw.lstrip().startswith("**")
