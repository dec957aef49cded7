"""The one-line form of a subtask, shared by the readers: ``T001 Write the reader``; and subtasks marked in a text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import Final, NamedTuple

from kitty_flow.missions.task_lines import Line
from kitty_flow.model.mission import Subtask

__all__ = ["WrittenSubtask", "has_mark", "parse_subtask", "subtask_ids", "subtask_title", "written_subtasks"]

_SUBTASK: Final = re.compile(r"([A-Za-z]{1,8}-?[0-9]{1,8}[a-z]?)(?:[\s:.)-]+(.*))?", re.DOTALL)

_ID: Final = r"T[0-9]{1,6}[a-z]?(?!\w)"
_MARK: Final = re.compile(rf"(?:- ?)?(\[[ xX✓✔✅-]?\]|[✅☑✔✓□☐⬜🔲❌]\uFE0F?)\s{{0,4}}_{{0,2}}({_ID})")
_BARE: Final = re.compile(rf"_{{0,2}}({_ID})(?=_|\s|:|\Z)")
_TAIL: Final = re.compile(r"\(WP[0-9]{1,6}[a-z]?\)|\s✅|\s❌", re.IGNORECASE)
_TAG: Final = re.compile(r"\s{0,3}\[(?:P|D|US[0-9]{1,3})\]")
_ID_RANGE: Final = re.compile(rf"(T[0-9]{{1,6}}(?!\w))\s?(?:[-\u2013—]|\.\.|to|through)\s?(T[0-9]{{1,6}}(?!\w))|{_ID}")
_LABEL: Final = re.compile(r"[A-Z][\w ]{1,40}:(?:\s|\Z)")
_WRAPS: Final = 3
_MAX_IDS: Final = 1000


class WrittenSubtask(NamedTuple):
    """A subtask, the number of its line, and whether it is marked as done or parallel there."""

    subtask: Subtask
    line: int
    tagged: bool


def parse_subtask(text: str) -> Subtask | None:
    """The subtask in ``T001 Write the reader`` (or just ``T001``); None when it does not begin with an id."""
    match = _SUBTASK.fullmatch(text.strip())
    return None if match is None else Subtask(id=match[1], title=(match[2] or "").strip())


def has_mark(text: str) -> bool:
    """Whether a line marks a subtask: ``[ ] T001``, ``[x] T001``, ``✅ T001``, ``□ T001``."""
    return _MARK.search(text) is not None


def written_subtasks(lines: Sequence[Line], listed: frozenset[int], *, flat: bool) -> list[WrittenSubtask]:
    """The subtasks that the lines of a section mark; in flat text several share a line, and a title may wrap.

    `listed` are the numbers of lines in a list of subtasks, where a bullet that begins with an id needs no mark.
    """
    found: list[WrittenSubtask] = []
    wrapped = _WRAPS
    for line in lines:
        if line.hidden:
            continue
        marks = list(_MARK.finditer(line.text))
        if not marks and line.number in listed and (bare := _BARE.match(line.text)):
            found.append(_written(bare[1], line.text[bare.end() :], line.number, False))
            wrapped = _WRAPS
            continue
        if flat and found and wrapped < _WRAPS:
            before = line.text[: marks[0].start()] if marks else line.text
            if line.bullet or _LABEL.match(before) or not before:
                wrapped = _WRAPS
            elif not _TAIL.search(found[-1].subtask.title):
                found[-1] = _longer(found[-1], before)
        for mark, following in zip_longest(marks, marks[1:]):
            text = line.text[mark.end() : following.start() if following else None]
            found.append(_written(mark[2], text, line.number, mark[1] not in ("[ ]", "[]", "□", "☐", "⬜", "🔲")))
        wrapped = 0 if marks else wrapped + 1
    return [each._replace(subtask=Subtask(each.subtask.id, subtask_title(each.subtask.title))) for each in found]


def subtask_title(text: str) -> str:
    """A title without tags such as ``[P]``, the name of its work package, and the dashes around it."""
    tail = _TAIL.search(text)
    plain = _TAG.sub("", text[: tail.start()] if tail else text)
    return plain.strip(" \t_-—\u2013:.").strip()


def subtask_ids(text: str) -> list[str]:
    """The ids in ``T001, T004-T006``."""
    found: list[str] = []
    for match in _ID_RANGE.finditer(text):
        first, last = match[1], match[2]
        if first is None:
            found.append(match[0])
            continue
        low, high = int(first[1:]), int(last[1:])
        count = max(0, min(high - low + 1, _MAX_IDS - len(found)))
        found.extend(f"T{number:0{len(first) - 1}d}" for number in range(low, low + count))
        if len(found) >= _MAX_IDS:
            break
    return found


def _written(name: str, text: str, line: int, done: bool) -> WrittenSubtask:
    return WrittenSubtask(Subtask(name, text), line, done or _TAG.search(text) is not None)


def _longer(written: WrittenSubtask, text: str) -> WrittenSubtask:
    return written._replace(subtask=Subtask(written.subtask.id, f"{written.subtask.title} {text}"))
