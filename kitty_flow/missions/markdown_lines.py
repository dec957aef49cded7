"""The lines of a Markdown file that say something themselves: not in a code block, not in an HTML comment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

__all__ = ["Heading", "heading", "spoken_lines"]

_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")
_MAX_HEADING: Final = 1000
_HEADING: Final = re.compile(r" {0,3}(#{1,6})[ \t]+(.*)")


class Heading(NamedTuple):
    """An ATX heading: its level from 1 and its text."""

    level: int
    text: str


def heading(line: str) -> Heading | None:
    """The heading that `line` is, or None; a very long one is cut."""
    match = _HEADING.fullmatch(line[:_MAX_HEADING].rstrip())
    return None if match is None else Heading(len(match[1]), match[2].strip().rstrip("#").strip())


def spoken_lines(text: str) -> Iterator[tuple[int, str]]:
    """Line numbers from 1 and lines, without code blocks and without lines that an HTML comment begins or covers."""
    fence, comment = "", False
    for number, line in enumerate(text.split("\n"), start=1):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line[mark.end() :].strip():
                fence = ""
        elif comment:
            comment = "-->" not in line
        elif mark:
            fence = mark[1]
        elif line.lstrip().startswith("<!--"):
            comment = "-->" not in line
        else:
            yield number, line
