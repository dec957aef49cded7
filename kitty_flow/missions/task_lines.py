"""The lines of a task list, with what Markdown adds to them taken off: emphasis, code marks, link targets.

A Markdown parser would not do: a flattened document has no Markdown left, and every finding needs its line number.
Each pattern looks at one line and repeats within bounds, so that a hostile line costs no more than its length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from kitty_flow.missions.files import invalid

__all__ = ["MAX_LINES", "Line", "is_table_rule", "plain", "raw_cells", "split_lines", "table_cells"]

MAX_LINES: Final = 40_000
_HEADING: Final = re.compile(r" {0,3}(#{1,6})\s+")
_BULLET: Final = re.compile(r"\s{0,40}(?:[-*+•]|[0-9]{1,3}[.)])\s+")
_LINK: Final = re.compile(r"\[([^\[\]]{0,200})\]\([^()\s]{0,500}\)")
_FENCE: Final = re.compile(r"\s{0,20}(```|~~~)")
_RULE: Final = re.compile(r"[\s|:+-]{3,}")
_MARKS: Final = str.maketrans("", "", "*")


class Line(NamedTuple):
    """One line: `text` is plain and without its bullet or heading marks, `level` 1 to 6 for a Markdown heading, else 0.

    `hidden` lines stand in a code block or a comment: they belong to a prompt, but say nothing about the plan.
    """

    number: int
    raw: str
    text: str
    level: int
    bullet: bool
    hidden: bool


def split_lines(text: str, file: str) -> tuple[Line, ...]:
    """The lines of a document, numbered from 1; `file` is how it is named in an error.

    Raises:
        DefinitionError: FILE_TOO_LARGE, for far more lines than people read.
    """
    raws = text.split("\n")
    if len(raws) > MAX_LINES:
        raise invalid("FILE_TOO_LARGE", f"has more than {MAX_LINES} lines", f"{file}:{MAX_LINES}")
    hidden = _hidden(raws)
    return tuple(_line(number, raw, number in hidden) for number, raw in enumerate(raws, start=1))


def plain(text: str) -> str:
    """The text without emphasis, code marks and link targets, and without space around it; code itself stays."""
    pieces = _LINK.sub(r"\1", text).split("`")
    if len(pieces) % 2 == 0:
        return "".join(pieces).translate(_MARKS).strip()
    return "".join(code if index % 2 else code.translate(_MARKS) for index, code in enumerate(pieces)).strip()


def raw_cells(line: Line) -> list[str]:
    """The cells of a table row as written; empty for a line that is none."""
    row = line.raw.strip()
    if not row.startswith("|"):
        return []
    return [cell.replace("\0", "|").strip() for cell in row.replace("\\|", "\0").strip("|").split("|")]


def table_cells(line: Line) -> list[str]:
    """The plain cells of a table row; empty for a line that is none."""
    return [plain(cell) for cell in raw_cells(line)]


def is_table_rule(line: Line) -> bool:
    """Whether a line parts the header of a table from its rows, as ``|---|---|`` does."""
    return "-" in line.raw and _RULE.fullmatch(line.raw.strip()) is not None


def _line(number: int, raw: str, hidden: bool) -> Line:
    heading = None if hidden else _HEADING.match(raw)
    if heading is not None:
        return Line(number, raw, plain(raw[heading.end() :].rstrip().rstrip("#")), len(heading[1]), False, hidden)
    bullet = _BULLET.match(raw)
    return Line(number, raw, plain(raw[bullet.end() :] if bullet else raw), 0, bullet is not None, hidden)


def _hidden(raws: Sequence[str]) -> frozenset[int]:
    """The numbers of lines inside fences and comments; what never ends hides nothing."""
    hidden: set[int] = set()
    begin, end = 0, ""
    for number, raw in enumerate(raws, start=1):
        if end:
            if raw.strip().startswith(end) if end != "-->" else end in raw:
                hidden.update(range(begin, number + 1))
                end = ""
        elif fence := _FENCE.match(raw):
            begin, end = number, fence[1]
        elif "<!--" in raw:
            begin, end = number, "-->"
            if raw.rfind("-->") > raw.rfind("<!--"):
                hidden.add(number)
                end = ""
    return frozenset(hidden)
