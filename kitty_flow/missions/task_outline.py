"""Cuts a task list into one section for each work package, and what stands outside of them.

In Markdown a section begins with a heading that names a work package and ends with the next heading of the same or a
higher level, unless that is a usual part of one, such as "Dependencies". In flattened text, where headings have lost
their marks, it ends with the next work package or with a line that reads as a heading of the whole document, so that
what is said at the end never counts for the last work package.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from kitty_flow.missions.section_fields import fields, is_label
from kitty_flow.missions.subtask_text import has_mark
from kitty_flow.missions.task_lines import Line
from kitty_flow.missions.work_package_names import NAME, spelled

__all__ = ["Outline", "Section", "outline"]

_PREFIX: Final = r"[^\w#]{0,4}(?:[0-9]{1,3}[.)]\s)?\[?"
_MARKED: Final = re.compile(
    rf"{_PREFIX}(?:Work Package (?=WP))?(?P<name>{NAME})\]?(?:\s{{0,3}}[:.—\u2013-]+\s+|\s{{0,3}}:|\s+|\Z)"
    r"(?!(?:and|to|through|depends?|blocks|is|are|can|must|needs?)\b|[-\u2013—&/,+])(?P<title>.*)",
    re.IGNORECASE,
)
_FLAT: Final = re.compile(
    rf"(?:Work Package (?=WP))?(?P<name>{NAME})\s{{0,3}}(?::|[—\u2013-](?=\s))\s{{0,3}}(?P<title>\S.*)", re.IGNORECASE
)
_ASIDE: Final = re.compile(r"\s*\((?:Priority\b|P[0-9]\))[^()]*\)?.*\Z", re.IGNORECASE)
_MAX_HEADING: Final = 200

_OUTER: Final = re.compile(
    r"(?:dependenc(?:y|ies) (?:graph|tree|map|overview|summary|&|and)|execution (?:order|plan|summary)"
    r"|paralleli[sz]ation\b|mvp\b|requirements? coverage|implementation (?:sequence|strategy|order)|success metrics"
    r"|subtask (?:index|summary)|work packages?(?: (?:summary|roadmap|overview))?\Z|wp prompt files|canonical status"
    r"|phase [0-9]{1,3}\b|sequencing|next (?:command|steps)|risks? summary|(?:summary|overview|appendix|references)\Z)",
    re.IGNORECASE,
)
_INNER: Final = re.compile(
    r"(?:implementation (?:notes|sketch|details)|(?:included )?subtasks|parallel opportunities|risks\b|goal\b"
    r"|acceptance|key (?:technical )?notes|technical notes|tests?\b|test (?:plan|strategy)|definition of done"
    r"|prompt\b|context|scope)",
    re.IGNORECASE,
)
_TITLE: Final = re.compile(r"[A-Z][\w'\u2019-]{0,30}(?: (?:&|[\w'\u2019()-]{1,30})){1,7}")
_SMALL: Final = frozenset({"and", "or", "of", "the", "for", "to", "in", "on", "with", "a", "&", "by"})


class Section(NamedTuple):
    """A work package as written: its id and title, the heading, and the lines that follow it."""

    id: str
    title: str
    heading: Line
    lines: tuple[Line, ...]


class Outline(NamedTuple):
    """The sections of a task list, and the lines outside of them.

    `flat` is true for a document without heading marks. `guessed_end` is the line that was taken for the end of the
    last section without being a known heading.
    """

    sections: tuple[Section, ...]
    outside: tuple[Line, ...]
    flat: bool
    guessed_end: Line | None = None


def outline(lines: Sequence[Line]) -> Outline:
    """The sections of a document."""
    marked = [(index, match) for index, line in enumerate(lines) if (match := _marked(line))]
    return _by_marks(lines, marked) if marked else _by_looks(lines)


def _marked(line: Line) -> re.Match[str] | None:
    return _MARKED.fullmatch(line.text[:_MAX_HEADING]) if line.level else None


def _by_marks(lines: Sequence[Line], marked: list[tuple[int, re.Match[str]]]) -> Outline:
    begins = dict(marked)
    often = Counter(line.text.lower() for line in lines if line.level)
    outside: list[Line] = []
    current: list[Line] | None = None
    level = 0
    opened: list[tuple[re.Match[str], Line, list[Line]]] = []
    for index, line in enumerate(lines):
        if index in begins:
            current, level = [], line.level
            opened.append((begins[index], line, current))
            continue
        if line.level and (line.level < level or (line.level == level and not _is_inner(line, often))):
            current, level = None, 0
        (outside if current is None else current).append(line)
    return Outline(tuple(_section(*each) for each in opened), tuple(outside), flat=False)


def _is_inner(line: Line, often: Mapping[str, int]) -> bool:
    """Whether a heading of the same level belongs to its work package: by its words, or because others have it too."""
    return is_label(line.text) is not None or _INNER.match(line.text) is not None or often[line.text.lower()] > 1


def _by_looks(lines: Sequence[Line]) -> Outline:
    found = [(index, match) for index, line in enumerate(lines) if (match := _flat(line))]
    if not found:
        return Outline((), tuple(lines), flat=True)
    stops = [index for index, line in enumerate(lines) if _is_outer(line)] + [len(lines)]
    bodies = _bodies(lines, [index for index, _ in found], stops)
    chosen: dict[str, int] = {}
    for number, (_, match) in enumerate(found):
        name = spelled(match["name"]).lower()
        if name not in chosen or (not _is_rich(bodies[chosen[name]]) and _is_rich(bodies[number])):
            chosen[name] = number
    kept = sorted(chosen.values())
    begins = [found[number][0] for number in kept]
    end, guessed = _guessed_end(lines, begins)
    bodies = _bodies(lines, begins, sorted([*stops, end]))
    sections = [
        _section(found[number][1], lines[found[number][0]], body) for number, body in zip(kept, bodies, strict=True)
    ]
    inside = {line.number for section in sections for line in (section.heading, *section.lines)}
    guess = guessed if guessed is not None and guessed.number not in inside and end not in stops else None
    return Outline(tuple(sections), tuple(line for line in lines if line.number not in inside), True, guess)


def _flat(line: Line) -> re.Match[str] | None:
    if line.hidden or line.bullet or len(line.text) > _MAX_HEADING:
        return None
    return _FLAT.fullmatch(line.text)


def _bodies(lines: Sequence[Line], begins: Sequence[int], stops: Sequence[int]) -> list[tuple[Line, ...]]:
    bodies = []
    upcoming = iter(stops)
    stop = next(upcoming)
    for begin, following in pairwise((*begins, len(lines))):
        while stop <= begin and stop < len(lines):
            stop = next(upcoming)
        bodies.append(tuple(lines[begin + 1 : min(following, stop)]))
    return bodies


def _is_rich(body: Sequence[Line]) -> bool:
    return any(has_mark(line.text) for line in body) or next(fields(body), None) is not None


def _is_outer(line: Line) -> bool:
    text = line.text
    return not (line.bullet or line.hidden or len(text) > 90 or text.endswith((".", ",", ":", ";"))) and (
        _OUTER.match(text) is not None
    )


def _guessed_end(lines: Sequence[Line], begins: Sequence[int]) -> tuple[int, Line | None]:
    """The first line of the last section that reads as a title of the document: none of the sections before has it."""
    last = begins[-1]
    usual = {line.text.lower() for line in lines[begins[0] : last]}
    for index in range(last + 1, len(lines)):
        line = lines[index]
        if line.text.lower() not in usual and _is_title(line):
            return index, line
    return len(lines), None


def _is_title(line: Line) -> bool:
    text = line.text
    if line.bullet or line.hidden or len(text) > 80 or is_label(text) or _INNER.match(text):
        return False
    if line.level:
        return True
    return _TITLE.fullmatch(text) is not None and all(
        word in _SMALL or word[0].isupper() or not word[0].isalpha() for word in text.split(" ")
    )


def _section(match: re.Match[str], heading: Line, body: Sequence[Line]) -> Section:
    title = _ASIDE.sub("", match["title"]).strip().strip("_").strip()
    return Section(spelled(match["name"]), title, heading, tuple(body))
