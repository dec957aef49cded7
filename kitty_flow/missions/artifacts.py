"""The artifacts of a mission's phases: files in its folder, looked at with bounds, never trusted to say anything.

An artifact counts when it holds something besides headings, comments and stand-ins such as ``TODO``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from kitty_flow.errors import DefinitionError
from kitty_flow.missions.files import exists, invalid, is_inside, read_text

__all__ = ["Artifact", "artifacts", "listed_entries", "open_questions", "substance"]

_MAX_FILES: Final = 1000
_OPEN_QUESTION: Final = "[NEEDS CLARIFICATION"
_STAND_IN: Final = re.compile(r"(?:todo|tbd|tba|fixme|xxx|wip|n/?a|lorem ipsum|placeholder|\.{2,}|…)[\s.:!…]*", re.I)
_BRACKETED: Final = re.compile(r"[\[<{][^\[\]<>{}]*[\]>}]")
_MARK: Final = re.compile(r"(?:[-*+>]|[0-9]{1,9}[.)])[ \t]+")


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file: its path relative to the mission's folder, and its text."""

    path: str
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def artifacts(folder: Path, pattern: str) -> tuple[Artifact, ...]:
    """The files of the mission's `folder` that a path or pattern such as ``docs/**/*.md`` names, sorted by path.

    Raises:
        DefinitionError: UNSAFE_PATH, one is a link out of the folder; TOO_MANY_FILES; or what `read_text` raises.
    """
    if "*" not in pattern:
        return (_read(folder / pattern, folder),) if exists(folder / pattern) else ()
    try:
        paths = list(islice((path for path in folder.glob(pattern) if path.is_file()), _MAX_FILES + 1))
    except OSError as error:
        raise invalid("UNREADABLE_FILE", f"cannot be listed: {error.strerror or error}", pattern) from error
    if len(paths) > _MAX_FILES:
        raise invalid("TOO_MANY_FILES", f"stands for more than {_MAX_FILES} files", pattern)
    return tuple(_read(path, folder) for path in sorted(paths))


def _read(path: Path, folder: Path) -> Artifact:
    where = ascii(path.relative_to(folder).as_posix())[1:-1]
    if not is_inside(path, folder):
        raise invalid("UNSAFE_PATH", "is a link that leads out of the mission's folder", where)
    try:
        return Artifact(where, read_text(path, where))
    except DefinitionError as error:
        raise DefinitionError(error.code, f"{where} {error.message}", hint=error.hint, details=error.details) from error


def substance(text: str) -> tuple[str, ...]:
    """The lines that say something: no headings, comments, rules, empty items or stand-ins."""
    return tuple(line for line in map(str.strip, _without_comments(text).splitlines()) if _says_something(line))


def listed_entries(text: str) -> frozenset[str]:
    """What a list or a table enumerates: each list item and each table row below a header, repetitions counted once."""
    found, above = [], ""
    for line in _without_comments(text).splitlines():
        item = line.strip()
        if item.startswith("|"):
            if above.startswith("|") and not _is_rule(item) and _says_something(item):
                found.append(item)
        elif _MARK.match(item) and not line.startswith(("  ", "\t")) and _says_something(item):
            found.append(_unmarked(item))
        above = item
    return frozenset(" ".join(entry.casefold().split()) for entry in found)


def open_questions(text: str) -> int:
    """How many marks such as ``[NEEDS CLARIFICATION: who?]`` are left."""
    return text.upper().count(_OPEN_QUESTION)


def _without_comments(text: str) -> str:
    return "".join(_outside_comments(text))


def _outside_comments(text: str) -> Iterator[str]:
    # By hand and not by a pattern: a thousand openings without an end would each search to the end of the text.
    while text:
        before, opening, rest = text.partition("<!--")
        yield before
        if not opening:
            return
        _, closing, text = rest.partition("-->")
        if not closing:
            return


def _says_something(line: str) -> bool:
    if not line or line.startswith("#") or _is_rule(line):
        return False
    for cell in line.strip("|").split("|"):
        words = _unmarked(cell.strip()).strip(" *_`")
        is_stand_in = _STAND_IN.fullmatch(words) or (_BRACKETED.fullmatch(words) and "://" not in words)
        if words and not is_stand_in:
            return True
    return False


def _unmarked(item: str) -> str:
    mark = _MARK.match(item)
    return item[mark.end() :] if mark else item


def _is_rule(line: str) -> bool:
    return not line.strip("-=*_|: \t")
