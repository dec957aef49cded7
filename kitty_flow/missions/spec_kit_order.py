"""Which phase of a spec-kit task list waits for which: what the list says, and the template's rule where it is silent.

What is said stands in bullets such as ``- **User Story 2 (P2)**: Depends on US1`` and in ``(depends on T012)`` behind a
task. A bullet is read clause by clause; only the references behind a word of waiting count, so that "No dependencies
on other stories" and "can run in parallel with US1" add nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = ["Order", "Orders", "Phase", "Role", "Task", "role_of"]

Role = Literal["setup", "foundation", "story", "polish", "other"]

_BOLD: Final = re.compile(r"[ \t]*[-*+]?[ \t]*\*\*([^*\n]{1,200})\*\*([^:*\n]{0,100}?):?(?=[\s:]|$)")
_CLAUSE: Final = re.compile(r"[;\u2013\u2014]|\.(?=\s|$)| - |, but ")
_WAITING: Final = re.compile(
    r"\b(?:depend(?:s|ent|encies|ency)?(?:\s+only)?\s*(?:on\b|:)|after\b|needs?\b|requires?\b|builds\s+on\b|blocked\s+by\b)",
    re.IGNORECASE,
)
_UNTRUE: Final = re.compile(r"\b(?:no|not|without|independent(?:ly)?|parallel|never)\b", re.IGNORECASE)
_NOTHING: Final = re.compile(
    r"\bno dependenc(?:y|ies)\b(?!\s+(?:on|with|between)\b)|^\s*none\b|\bstart immediately\b",
    re.IGNORECASE,
)
_REFERENCE: Final = re.compile(
    r"\bphases?\s+(?P<phase>\d{1,4}(?:\s*(?:,|\+|&|-|\u2013|/|and\b)\s*(?:phase\s+)?\d{1,4})*)"
    r"|\b(?:user\s+story|story|us)\s?-?(?P<story>\d{1,4})\b"
    r"|\b(?P<task>T\d{1,6}[a-z]?)\b"
    r"|(?P<stories>\b(?:all|desired|the)\s+(?:\w+\s+){0,2}stories\b|\buser\s+stories\b|\bevery\s+story\b)"
    r"|\b(?P<word>setup|foundation(?:al)?|polish)\b",
    re.IGNORECASE,
)
_SPAN: Final = re.compile(r"(\d+)\s*(-|\u2013)?")
_REMARK: Final = re.compile(r"[(\[]([^()\[\]]{1,500})[)\]]")
_BEFORE: Final[Mapping[Role, tuple[Role, ...]]] = {"foundation": ("setup",), "story": ("foundation", "setup")}


@dataclass(frozen=True, slots=True)
class Task:
    """One checkbox of the list: ``- [ ] T012 [P] [US1] Create ...``; `id` is empty where none is written."""

    line: int
    id: str
    title: str
    is_done: bool
    story: int | None
    is_parallel: bool


@dataclass(slots=True)
class Phase:
    """One section of the list. `number` and `story` are None where its heading names none.

    `stated` is what it says itself behind "Dependencies", `lines` its text as it is.
    """

    line: int
    heading: str
    number: int | None
    story: int | None
    role: Role
    tasks: list[Task] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    stated: list[str] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether every task is ticked off."""
        return all(task.is_done for task in self.tasks)


@dataclass(slots=True)
class Order:
    """What was said about one phase: what it waits for, and whether anything was said at all."""

    after: set[int] = field(default_factory=set)
    is_stated: bool = False


def role_of(heading: str, story: int | None) -> Role:
    """What a phase is for, by its heading."""
    text = heading.casefold()
    if story is not None:
        return "story"
    if "foundation" in text or "blocking prerequisite" in text:
        return "foundation"
    if "setup" in text or "initiali" in text:
        return "setup"
    return "polish" if "polish" in text or "cross-cutting" in text else "other"


class Orders:
    """Collects what is said about `phases`; `of` gives the order of one, by the template's rule where nothing was."""

    def __init__(self, phases: Sequence[Phase]) -> None:
        self._phases = phases
        self._orders = [Order() for _ in phases]
        self._named: dict[str, set[int]] = {}
        self._noted: set[tuple[frozenset[int], frozenset[int]]] = set()
        for index, phase in enumerate(phases):
            names = {f"phase {phase.number}", f"story {phase.story}", phase.role, *(task.id for task in phase.tasks)}
            for name in names - {"", "phase None", "story None"}:
                self._named.setdefault(name, set()).add(index)
        for index, phase in enumerate(phases):
            for task in phase.tasks:
                self._note_task(task.title, index)

    def of(self, index: int) -> Order:
        """What the phase at `index` waits for."""
        stated = self._orders[index]
        return stated if stated.is_stated else Order(stated.after | self._by_rule(index), False)

    def note(self, text: str) -> bool:
        """Take over a bullet of the section on dependencies: whom its bold label names, and what that waits for.

        False when nothing in it says who waits for what.
        """
        label = _BOLD.match(text)
        subjects = self._references(label[1] + label[2], is_label=True) if label else set()
        return (label is None or bool(subjects)) and self._note_clauses(
            text[label.end() :] if label else text, subjects
        )

    def note_of(self, index: int, text: str) -> None:
        """Take over what the section of a phase says behind its label "Dependencies"."""
        text = text.lstrip(" :*")
        self._note_clauses(text if _NOTHING.match(text) else f"depends on {text}", {index})

    def _note_clauses(self, text: str, subjects: set[int]) -> bool:
        is_understood = False
        for clause in _CLAUSE.split(text):
            waiting = _WAITING.search(clause)
            if waiting is None or _UNTRUE.search(clause, 0, waiting.start()):
                continue
            after = frozenset(self._references(_positive(clause[waiting.end() :])))
            waiters = frozenset(self._references(clause[: waiting.start()]) or subjects)
            is_understood |= bool(after and waiters)
            if after and (waiters, after) not in self._noted:
                self._noted.add((waiters, after))
                for index in waiters:
                    self._orders[index].after |= after - {index}
                    self._orders[index].is_stated = True
        if _NOTHING.search(text):
            for index in subjects:
                self._orders[index].is_stated = is_understood = True
        return is_understood

    def _note_task(self, title: str, index: int) -> None:
        """Take over ``(depends on T012, T013)``; only in brackets, since "after the merge" may be the work itself."""
        for remark in _REMARK.findall(title):
            waiting = _WAITING.match(remark)
            if waiting is not None:
                self._orders[index].after |= self._references(_positive(remark[waiting.end() :])) - {index}

    def _by_rule(self, index: int) -> set[int]:
        """Setup, foundation, the stories side by side, polish; any other phase after the one before it."""
        role = self._phases[index].role
        if role == "polish":
            return set(range(index))
        for wanted in _BEFORE.get(role, ()):
            if found := {i for i in self._named.get(wanted, ()) if i < index}:
                return found
        return {index - 1} if role == "other" and index else set()

    def _references(self, text: str, *, is_label: bool = False) -> set[int]:
        """The phases that `text` names; a label counts by its word, such as Setup, only where it has no number."""
        found: set[int] = set()
        by_word: set[int] = set()
        for match in _REFERENCE.finditer(text):
            kind = match.lastgroup
            if kind == "phase":
                found.update(*(self._named.get(f"phase {n}", ()) for n in _numbers(match["phase"])))
            elif kind == "story":
                found |= self._named.get(f"story {int(match['story'])}", set())
            elif kind == "task":
                found |= self._named.get(match["task"], set())
            elif kind == "stories":
                found |= self._named.get("story", set())
            else:
                by_word |= self._named.get(match["word"].casefold().removesuffix("al"), set())
        return (found or by_word) if is_label else found | by_word


def _positive(text: str) -> str:
    """`text` up to a word such as "not" or "parallel"."""
    end = _UNTRUE.search(text)
    return text[: end.start()] if end else text


def _numbers(text: str) -> set[int]:
    """The numbers of ``3, 4 and 6-8``."""
    numbers: set[int] = set()
    start: int | None = None
    for number, dash in _SPAN.findall(text):
        value = int(number)
        numbers |= set(range(start, value + 1)) if start is not None and value - start < 100 else {value}
        start = value if dash else None
    return numbers
