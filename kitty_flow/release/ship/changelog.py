"""Finding the entries of a changelog in the forms that are common, and drafting the one that is missing."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ["COMMON_NAMES", "Entry", "entries", "heading_like"]

COMMON_NAMES: Final = (
    "CHANGELOG.md",
    "CHANGES.md",
    "HISTORY.md",
    "NEWS.md",
    "CHANGELOG.rst",
    "CHANGES.rst",
    "CHANGELOG",
)

_TITLE: Final = re.compile(
    r"(?P<before>(?:[A-Za-z][\w.-]*\s+)?\[?v?)(?P<version>\d+(?:\.\d+)[0-9A-Za-z.+!-]*)(?P<after>\]?.*)"
)
_HASHES: Final = re.compile(r"(?P<marks>#{1,4})\s+(?P<title>\S.*)")
_UNDERLINE: Final = re.compile(r"=+|-{2,}|~{2,}|\^{2,}")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


class Entry(NamedTuple):
    """One entry: its version, the line of its heading (from 1), that heading and its level, and whether it has text."""

    version: str
    line: int
    heading: str
    level: str
    has_text: bool


def entries(text: str) -> tuple[Entry, ...]:
    """The entries for versions, from the top; a heading without a version, such as Unreleased, is none.

    All entries have headings of one level, that of the first: a deeper one inside an entry is not an entry.
    """
    lines = _visible(text)
    found: list[tuple[int, str, str, str]] = []
    for index, line in enumerate(lines):
        title, level = _heading(lines, index)
        match = _TITLE.fullmatch(title) if title else None
        if match and (not found or level == found[0][3]):
            found.append((index, match["version"], line, level))
    ends = [_end(lines, start, level) for start, _, _, level in found]
    return tuple(
        Entry(version, start + 1, line, level, _says_something(lines[start + 1 : end]))
        for (start, version, line, level), end in zip(found, ends, strict=True)
    )


def heading_like(entry: Entry | None, version: str, date: str) -> str:
    """A heading for `version` (and an ISO date, where headings have one) in the form of an entry that is there."""
    if entry is None:
        return f"## [{version}] - {date}"
    heading = entry.heading.replace(entry.version, version, 1)
    heading = _DATE.sub(date, heading)
    return f"{heading}\n{entry.level * len(heading)}" if entry.level and entry.level[0] != "#" else heading


def _heading(lines: list[str], index: int) -> tuple[str, str]:
    """Title and level of a heading: hashes, or the mark that underlines it; empty texts for other lines."""
    hashes = _HASHES.fullmatch(lines[index].strip())
    if hashes:
        return hashes["title"], hashes["marks"]
    below = lines[index + 1].strip() if index + 1 < len(lines) else ""
    if lines[index].strip() and len(below) > 1 and _UNDERLINE.fullmatch(below):
        return lines[index].strip(), below[0]
    return "", ""


def _end(lines: list[str], start: int, level: str) -> int:
    """Where the entry ends: at the next heading of its level or above it."""
    for index in range(start + 1, len(lines)):
        title, other = _heading(lines, index)
        if title and (other == level or (other[0] == level[0] == "#" and len(other) <= len(level))):
            return index
    return len(lines)


def _says_something(lines: list[str]) -> bool:
    return any(line.strip(" \t#*-=~^_") and not _HASHES.fullmatch(line.strip()) for line in lines)


def _visible(text: str) -> list[str]:
    """The lines, with comments and blocks of code blanked, so that line numbers stay."""
    lines, fence = [], ""
    for line in _without_comments(text).splitlines():
        mark = line.strip()[:3]
        if mark in ("```", "~~~") and fence in ("", mark):
            fence = "" if fence else mark
            lines.append("")
        else:
            lines.append("" if fence else line)
    return lines


def _without_comments(text: str) -> str:
    """A comment that does not end is none. In linear time, whatever the text: a regular expression takes minutes."""
    kept, at = [], 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        kept += [text[at:start], "\n" * text.count("\n", start, end)]
        at = end + 3
    return "".join((*kept, text[at:]))
