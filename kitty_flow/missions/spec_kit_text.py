"""Cuts a spec-kit task list into its phases and tasks."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from kitty_flow.missions.markdown_lines import heading, spoken_lines
from kitty_flow.missions.spec_kit_order import Phase, Task, role_of

__all__ = ["TaskList", "is_task_list", "phase_title", "read_task_list"]

_ITEM: Final = r"[ \t]*(?:[-*+]|\d{1,4}[.)])[ \t]+"
_ID: Final = r"(?:\*\*)?(T\d{1,6}[a-z]?)\b(?:\*\*)?:?"
_TASK: Final = re.compile(rf"{_ITEM}\[([ xX])\][ \t]+{_ID}(.*)")
_CHECKBOX: Final = re.compile(rf"{_ITEM}\[([ xX])\][ \t]+(.*)")
_PLAIN: Final = re.compile(rf"{_ITEM}{_ID}(?=[ \t])(.*)")
_LIKE_A_TASK: Final = re.compile(
    r"[ \t]*(?:[-*+\u2022]|\d{1,4}[.)])[ \t]*(?:\[[^\]\n]{0,3}\])?[ \t*_~`\[(]{0,6}(T\d{3,6}[a-z]?)\b"
)
_A_TASK: Final = re.compile(rf"^{_TASK.pattern}$", re.MULTILINE)
_WORK_PACKAGE: Final = re.compile(r"^#{1,6}[ \t][^\n]{0,200}?\bWP\d", re.MULTILINE)
_MARK: Final = re.compile(r"[ \t]*\[([A-Za-z][\w-]{0,20})\]")
_NUMBER: Final = re.compile(r"\bphase[ \t]+(\d{1,3})(?![\w.])", re.IGNORECASE)
_PHASE_MARK: Final = re.compile(r"\bphase[ \t]+(\d{1,4}(?:\.\d{1,3}){0,3}[a-z]?)\b", re.IGNORECASE)
_STORY: Final = re.compile(r"\b(?:user[ \t]+story|us)[ \t]?-?(\d{1,4})\b", re.IGNORECASE)
_PREFIX: Final = re.compile(r"phase[ \t]+\w{1,4}(?:\.\d{1,3}[a-z]?){0,3}[ \t]*[:.\u2013\u2014-][ \t]*", re.IGNORECASE)
_DECORATION: Final = re.compile(r"\(priority:?[ \t]*P\d\)|\U0001f3af|\(?\bMVP\b\)?[ \t]*$", re.IGNORECASE)
_TITLE: Final = re.compile(r"(?:implementation[ \t]+)?tasks?:[ \t]*", re.IGNORECASE)
_CONTEXT: Final = re.compile(r"\*\*(?:Input|Prerequisites|Feature|Branch|Spec|Plan)\b")
_DEPENDENCIES: Final = re.compile(r"\*\*dependencies\*\*|\*\*dependencies:\*\*", re.IGNORECASE)
_NO_ORDER: Final = ("within", "parallel", "example")


@dataclass(slots=True)
class TaskList:
    """A task list: `context` are the lines that name its design documents, `statements` those that speak of the order.

    `statements`, `others`, the headings of sections that say nothing of use, and `unread`, the ids of items that look
    like a task in no form that is read, come with their lines.
    """

    title: str = ""
    context: list[str] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    statements: list[tuple[int, str]] = field(default_factory=list)
    others: list[tuple[int, str]] = field(default_factory=list)
    unread: list[tuple[int, str]] = field(default_factory=list)


def is_task_list(text: str) -> bool:
    """Whether a Markdown text holds numbered tasks as spec-kit writes them, and no sections of work packages."""
    return _A_TASK.search(text) is not None and _WORK_PACKAGE.search(text) is None


def phase_title(text: str) -> str:
    """The heading of a phase without its number, priority and MVP mark."""
    return " ".join(_DECORATION.sub("", _PREFIX.sub("", text, count=1)).split()) or text


def read_task_list(text: str) -> TaskList:
    """The phases of a task list, in their order; only a section with a numbered task is one."""
    result = TaskList()
    spoken = dict(spoken_lines(text))
    section: Phase | None = None
    topic = ""
    known = {match[2] for line in spoken.values() if (match := _TASK.fullmatch(line))}
    for number, line in enumerate(text.split("\n"), start=1):
        found = heading(spoken.get(number, ""))
        if found is not None and found.level == 1 and not result.title:
            result.title = _TITLE.sub("", found.text, count=1)
        elif found is not None and found.level <= 2:
            section, topic = _section(number, found.text), ""
            result.phases.append(section)
        elif found is not None:
            topic = found.text.casefold()
        if section is not None:
            section.lines.append(line)
        if number in spoken:
            _take(line, number, section, topic, known, result)
    _keep_phases(result)
    return result


def _section(line: int, text: str) -> Phase:
    number, story = _NUMBER.search(text), _STORY.search(text)
    told = int(story[1]) if story else None
    mark = _PHASE_MARK.search(text)
    name = mark[1].casefold().lstrip("0") or "0" if mark else ""
    return Phase(line, text, int(number[1]) if number else None, told, role_of(text, told), mark=name)


def _take(line: str, number: int, section: Phase | None, topic: str, known: set[str], result: TaskList) -> None:
    """Take over what one line says: a task, a word on the order, or the documents that the list was made from.

    An item without a checkbox is a task when its id is not `known` yet; else it is a remark on that task.
    """
    if section is None:
        if _CONTEXT.match(line):
            result.context.append(line)
        elif match := _LIKE_A_TASK.match(line):
            result.unread.append((number, match[1]))
    elif match := _TASK.fullmatch(line):
        section.tasks.append(_task(number, match[2], match[3], match[1] != " "))
    elif match := _CHECKBOX.fullmatch(line):
        section.tasks.append(_task(number, "", match[2], match[1] != " "))
    elif match := _DEPENDENCIES.search(line):
        section.stated.append((number, line[match.end() :]))
    elif _is_about_order(section) and line.strip() and not any(word in topic for word in _NO_ORDER):
        result.statements.append((number, line))
    elif _is_about_order(section):
        return
    elif (match := _PLAIN.fullmatch(line)) and match[1] not in known:
        known.add(match[1])
        section.tasks.append(_task(number, match[1], match[2], is_done=False))
    elif (match := _LIKE_A_TASK.match(line)) and match[1] not in known:
        result.unread.append((number, match[1]))


def _is_about_order(section: Phase) -> bool:
    return "dependenc" in section.heading.casefold() or "execution order" in section.heading.casefold()


def _task(line: int, name: str, text: str, is_done: bool) -> Task:
    story: int | None = None
    is_parallel = False
    while match := _MARK.match(text):
        told = _STORY.fullmatch(match[1])
        if told is None and match[1] not in ("P", "Story"):
            break
        is_parallel |= match[1] == "P"
        story = int(told[1]) if told else story
        text = text[match.end() :]
    return Task(line, name, text.strip(), is_done, story, is_parallel)


def _keep_phases(result: TaskList) -> None:
    sections, result.phases = result.phases, []
    for section in sections:
        if not any(task.id for task in section.tasks):
            if not _is_about_order(section):
                result.others.append((section.line, section.heading))
            continue
        stories = {task.story for task in section.tasks}
        if section.role == "other" and len(stories) == 1 and None not in stories:
            section.story, section.role = stories.pop(), "story"
        result.phases.append(section)
