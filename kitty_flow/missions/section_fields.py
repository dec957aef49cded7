"""The labelled fields of a section: ``**Dependencies**: WP01``, bullets or a table under a heading, a row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from kitty_flow.missions.task_lines import Line, is_table_rule, plain, raw_cells, table_cells

__all__ = ["Field", "Value", "fields", "is_label", "parts"]

_NAMES: Final = {
    "dependencies": ("dependencies", "dependency", "depends on", "deps", "blocked by", "prerequisites"),
    "blocks": ("blocks", "unblocks", "blocking", "required by", "needed by", "enables", "dependents"),
    "requirement_refs": (
        *("requirement refs", "requirements", "requirement ids", "requirements covered", "functional requirements"),
        *("spec frs", "frs"),
    ),
    "owned_files": ("owned files", "files owned", "files", "file ownership", "owns"),
    "subtasks": ("subtasks", "included subtasks", "tasks"),
    "execution_mode": ("execution mode",),
}
_FIELDS: Final = {label: name for name, labels in _NAMES.items() for label in labels}
_LABEL: Final = re.compile(
    r"(?:\A_{0,2}(?=[A-Za-z])|(?<=[\s|·•])(?=[A-Z]))([A-Za-z][A-Za-z_]{0,24}(?: [A-Za-z_&/]{1,24}){0,4}):(?=\s|_|\Z)"
)
_OPENING: Final = re.compile(
    r"(?:this (?:wp|work package) )?(?:(?P<dependencies>depends? (?:up)?on|blocked by)|(?P<blocks>(?:un)?blocks))\s+"
    r"(?=\w)",
    re.IGNORECASE,
)
_COLUMNS: Final = frozenset({"dependencies", "blocks", "owned_files", "requirement_refs"})
"""The fields that the first column of a table can list."""

_HEADER: Final = re.compile(r"(?!(?:none|nothing|n/?a)\b)[A-Za-z][A-Za-z ?()&'/-]{0,60}", re.IGNORECASE)
_WP_COLUMN: Final = frozenset({"wp", "wps", "wp id", "work package", "work packages", "id", "package"})
_SEPARATOR: Final = re.compile(r"[|·•]")
_WRAPPED: Final = re.compile(r"(?:,|&|\band)\Z", re.IGNORECASE)

_LONG_ITEM: Final = 4000


class Value(NamedTuple):
    """One item of a field: its line, and its text there."""

    line: Line
    text: str


class Field(NamedTuple):
    """A field by its name in a draft (or ``blocks``), the line of its label, and its items.

    `sentence` is true where no label, but a sentence such as ``Depends on WP01`` says it.
    """

    name: str
    line: Line
    values: tuple[Value, ...]
    sentence: bool = False


def fields(lines: Sequence[Line]) -> Iterator[Field]:
    """The known fields of a section, in order."""
    taken = -1
    for index, line in enumerate(lines):
        if line.hidden or index <= taken or not line.text:
            continue
        name = is_label(line.text)
        if name is not None:
            block, taken = _block(lines, index)
            yield Field(name, line, block)
            continue
        cells = table_cells(line)
        if cells and (name := _FIELDS.get(cells[0].rstrip(":").lower())) in _COLUMNS and _is_header(lines, index):
            column, taken = _column(lines, index, 0)
            yield Field(name, line, column)
            continue
        if cells and len(cells) == 2 and (name := _FIELDS.get(cells[0].rstrip(":").lower())):
            yield Field(name, line, (Value(line, cells[1]),))
            continue
        for name, text in parts(line.text):
            if name is not None and text:
                yield Field(name, line, (Value(line, _unwrapped(text, lines, index)),))
        if (opening := _OPENING.match(line.text)) and _stands_alone(line):
            yield Field(str(opening.lastgroup), line, (Value(line, line.text[opening.end() :]),), sentence=True)


def is_label(text: str) -> str | None:
    """The field whose label is all that a line says, as in ``### Dependencies``."""
    return _FIELDS.get(text.rstrip(":").strip("_ ").replace("_", " ").lower()) if len(text) < 40 else None


def parts(text: str) -> list[tuple[str | None, str]]:
    """A line cut at its labels: (field or None, value). What stands before the first label has None and comes first."""
    found: list[tuple[str | None, str]] = []
    name, begin = None, 0
    for label in _LABEL.finditer(text):
        known, start = _known(label)
        found.append((name, _cut(text[begin:start], name)))
        name, begin = known, label.end()
    found.append((name, _cut(text[begin:], name)))
    return found


def _known(label: re.Match[str]) -> tuple[str | None, int]:
    """The field of a label, and where it begins: in ``WP01 None Blocks:`` the label is only its last word."""
    words = label[1].strip("_").replace("_", " ").lower().split(" ")
    for count in range(len(words), 0, -1):
        tail = " ".join(words[-count:])
        if tail in _FIELDS and (count == len(words) or label[1][-len(tail)].isupper()):
            return _FIELDS[tail], label.start() + len(label[0]) - 1 - len(tail)
    return None, label.start()


def _stands_alone(line: Line) -> bool:
    """Whether a line is a sentence of its own, not the rest of one that was wrapped."""
    return line.bullet or (line.text[0].isupper() and line.text.count("(") == line.text.count(")"))


def _cut(text: str, name: str | None) -> str:
    separator = _SEPARATOR.search(text) if name is not None else None
    return (text[: separator.start()] if separator else text).strip().strip("_").strip()


def _unwrapped(text: str, lines: Sequence[Line], index: int) -> str:
    following = lines[index + 1] if index + 1 < len(lines) else None
    if following is None or not _WRAPPED.search(text) or following.bullet or following.hidden:
        return text
    return f"{text} {following.text}"


def _is_header(lines: Sequence[Line], index: int) -> bool:
    """Whether a line is the header of a table, and no row that Markdown makes one for want of another."""
    if lines[index].hidden or index + 1 >= len(lines) or not is_table_rule(lines[index + 1]):
        return False
    cells = table_cells(lines[index])
    return bool(cells) and all(_HEADER.fullmatch(cell) for cell in cells)


def _column(lines: Sequence[Line], header: int, column: int) -> tuple[tuple[Value, ...], int]:
    """The cells under a header, and the index of the last row."""
    items: list[Value] = []
    last = header + 1
    for number in range(header + 2, len(lines)):
        cells = [] if lines[number].hidden else raw_cells(lines[number])
        if not cells:
            break
        last = number
        if column < len(cells) and cells[column]:
            items.append(Value(lines[number]._replace(raw=cells[column]), plain(cells[column])))
    return tuple(items), last


def _block(lines: Sequence[Line], index: int) -> tuple[tuple[Value, ...], int]:
    """The items under a label without a value, bullets or one paragraph line, and the index of the last line."""
    items: list[Value] = []
    last = index
    own = is_label(lines[index].text)
    begin = next((number for number in range(index + 1, len(lines)) if lines[number].text), index)
    if own in _COLUMNS and begin > index and _is_header(lines, begin):
        names = [cell.lower() for cell in table_cells(lines[begin])]
        meant = [number for number, cell in enumerate(names) if _FIELDS.get(cell) == own]
        listed = [number for number, cell in enumerate(names) if cell in _WP_COLUMN]
        column, last = _column(lines, begin, (meant or listed or [0])[0])
        return (() if meant and listed else column), last  # with both, its rows are about the work packages they name
    for number in range(index + 1, len(lines)):
        line = lines[number]
        if line.level or line.hidden:
            break
        if not line.text:
            continue
        if line.bullet or not items:
            if not line.bullet and (is_label(line.text) or _LABEL.match(line.text)):
                break
            items.append(Value(line, line.text))
        elif items[0].line.bullet and line.raw[:1] in (" ", "\t") and len(items[-1].text) < _LONG_ITEM:
            items[-1] = Value(items[-1].line, f"{items[-1].text} {line.text}")
        else:
            break
        last = number
        if not items[0].line.bullet:
            break
    return tuple(items), last
