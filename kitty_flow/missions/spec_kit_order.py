"""Which phase of a spec-kit task list waits for which: what the list says, and the template's rule where it is silent.

What is said stands in bullets such as ``- **User Story 2 (P2)**: Depends on US1`` and in ``(depends on T012)`` behind a
task. A bullet is read clause by clause; only the references behind a word of waiting count, so that "No dependencies
on other stories" and "can run in parallel with US1" add nothing. "X blocks Y" and "X before Y" are read as Y waiting.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = ["Heard", "Order", "Orders", "Phase", "Role", "Task", "role_of"]

Role = Literal["setup", "foundation", "story", "polish", "other"]
Heard = Literal["order", "inside"]
"""What a remark on the order gave: an order of phases, or one of tasks that are in the same phase."""

_BOLD: Final = re.compile(r"[ \t]*[-*+]?[ \t]*\*\*([^*\n]{1,200})\*\*([^:*\n]{0,100}?):?(?=[\s:]|$)")
_CLAUSE: Final = re.compile(r"[;\u2014]|\u2013(?!T?\d)|\.(?=\s|$)| - |, but ")
_WAITING: Final = re.compile(
    r"\b(?:depend(?:s|ent|encies|ency)?(?:\s+only)?\s*(?:on\b|:)|after\b|needs?\b|requires?\b|builds\s+on\b|blocked\s+by\b)"
    r"|\b(?:not|cannot)\s{1,4}(?:\w{1,20}\s{1,4}){0,2}(?:before|until)\b",
    re.IGNORECASE,
)
_LEADING: Final = re.compile(r"\b(?:blocks?|before|precedes?)\b", re.IGNORECASE)
_MAYBE: Final = re.compile(r"\b(?:can|could|may|might|optional(?:ly)?)\b", re.IGNORECASE)
_UNTRUE: Final = re.compile(r"\b(?:no|not|without|independent(?:ly)?|parallel|never)\b", re.IGNORECASE)
_NOTHING: Final = re.compile(
    r"\bno dependenc(?:y|ies)\b(?!\s+(?:on|with|between)\b)|^\s*none\b|\bstart immediately\b",
    re.IGNORECASE,
)
_REFERENCE: Final = re.compile(
    r"\bphases?\s+(?P<phase>\d{1,4}(?:\.\d{1,3}){0,3}(?:[a-z]\b)?"
    r"(?:\s*(?:,|\+|&|-|\u2013|/|and\b)\s*(?:phase\s+)?\d{1,4}(?:\.\d{1,3}){0,3}(?:[a-z]\b)?)*)"
    r"|\b(?:user\s+story|story|us)\s?-?(?P<story>\d{1,4})\b"
    r"|\b(?P<task>T\d{1,6}[a-z]?\b(?:\s*[-\u2013]\s*T\d{1,6}[a-z]?\b)?)"
    r"|(?P<stories>\b(?:all|desired|the)\s+(?:\w+\s+){0,2}stories\b|\buser\s+stories\b|\bevery\s+story\b)"
    r"|\b(?P<word>setup|foundation(?:al)?|polish)\b",
    re.IGNORECASE,
)
_SPAN: Final = re.compile(r"(T?\d+(?:\.\d+)*(?:[a-z]\b)?)\s*(-|\u2013)?", re.IGNORECASE)
_LAST: Final = re.compile(r"(\d+)([a-z]?)$")
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

    `mark` is what others call it by: ``3``, ``3.1``, ``3a``, or empty. `stated` is what it says itself behind
    "Dependencies", with the lines, `lines` its text as it is.
    """

    line: int
    heading: str
    number: int | None
    story: int | None
    role: Role
    tasks: list[Task] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    stated: list[tuple[int, str]] = field(default_factory=list)
    mark: str = ""

    @property
    def is_done(self) -> bool:
        """Whether every task is ticked off."""
        return all(task.is_done for task in self.tasks)


@dataclass(slots=True)
class Order:
    """What one phase waits for, whether it says so itself, and what of it nobody says but the template's rule."""

    after: set[int] = field(default_factory=set)
    is_stated: bool = False
    by_rule: set[int] = field(default_factory=set)


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
    """Collects what is said about `phases`; `of` gives the order of one, by the template's rule where nothing was.

    `unknown` holds, by line, the names in remarks on the order that no phase, story or task of the list has.
    """

    def __init__(self, phases: Sequence[Phase]) -> None:
        self._phases = phases
        self._orders = [Order() for _ in phases]
        self._named: dict[str, set[int]] = {}
        self._noted: set[tuple[frozenset[int], frozenset[int], bool]] = set()
        self.unknown: dict[int, dict[str, None]] = {}
        for index, phase in enumerate(phases):
            names = {f"phase {phase.mark}", f"story {phase.story}", phase.role, *(task.id for task in phase.tasks)}
            for name in names - {"", "phase ", "story None"}:
                self._named.setdefault(name, set()).add(index)
        self._numbered = _numbered(self._named)
        self._spans: dict[tuple[str, str], frozenset[int]] = {}
        for index, phase in enumerate(phases):
            for task in phase.tasks:
                self._note_task(task, index)

    def of(self, index: int) -> Order:
        """What the phase at `index` waits for."""
        stated = self._orders[index]
        if stated.is_stated:
            return stated
        by_rule = self._by_rule(index) - stated.after
        return Order(stated.after | by_rule, is_stated=bool(stated.after) and not by_rule, by_rule=by_rule)

    def note(self, text: str, line: int) -> set[Heard]:
        """Take over a bullet of the section on dependencies: whom its bold label names, and what that waits for.

        Empty when nothing in it says who waits for what.
        """
        label = _BOLD.match(text)
        if label is None:
            return self._note_clauses(text, frozenset(), line)
        subjects = self._references(label[1] + label[2], line, is_label=True)
        return self._note_clauses(text[label.end() :], subjects, line) if subjects else set()

    def note_of(self, index: int, text: str, line: int) -> set[Heard]:
        """Take over what the section of a phase says behind its label "Dependencies"; the result is that of `note`."""
        text = text.lstrip(" :*")
        return self._note_clauses(text if _NOTHING.match(text) else f"depends on {text}", frozenset({index}), line)

    def _note_clauses(self, text: str, subjects: frozenset[int], line: int) -> set[Heard]:
        heard: set[Heard] = set()
        for clause in _CLAUSE.split(text):
            heard |= self._note_clause(clause, subjects, line)
        if _NOTHING.search(text):
            for index in subjects:
                self._orders[index].is_stated = True
                heard.add("order")
        return heard

    def _note_clause(self, clause: str, subjects: frozenset[int], line: int) -> set[Heard]:
        """Take over ``X depends on Y``, ``X blocks Y``, ``X after Y and before Z`` or ``X before Y, which needs Z``."""
        waiting, leading = _WAITING.search(clause), _LEADING.search(clause)
        if waiting and leading and waiting.start() < leading.start() < waiting.end():
            leading = _LEADING.search(clause, waiting.end())
        marks = sorted((mark for mark in (waiting, leading) if mark is not None), key=lambda mark: mark.start())
        if not marks or _UNTRUE.search(clause, 0, marks[0].start()):
            return set()
        heard: set[Heard] = set()
        who = self._references(clause[: marks[0].start()], line) or subjects
        for mark, end in zip(marks, [*(mark.start() for mark in marks[1:]), len(clause)], strict=True):
            named = self._references(_positive(clause[mark.end() : end]), line)
            if mark is waiting:
                heard |= self._add(who, named, is_all=True)
            elif not _MAYBE.search(clause, 0, mark.start()):
                heard |= self._add(named, who, is_all=False)
                who = named
        return heard

    def _add(self, waiters: frozenset[int], after: frozenset[int], *, is_all: bool) -> set[Heard]:
        """Let `waiters` wait for `after`; with `is_all`, the template's rule adds nothing to it."""
        if not waiters or not after:
            return set()
        if (waiters, after, is_all) not in self._noted:
            self._noted.add((waiters, after, is_all))
            for index in waiters:
                if others := after - {index}:
                    self._orders[index].after |= others
                    self._orders[index].is_stated |= is_all
        heard: set[Heard] = {"inside"} if waiters & after else set()
        return heard | {"order"} if len(waiters | after) > 1 else heard

    def _note_task(self, task: Task, index: int) -> None:
        """Take over ``(depends on T012)`` and ``(blocks T013)``; without brackets "after the merge" may be the work."""
        for remark in _REMARK.findall(task.title):
            own = frozenset({index})
            if mark := _WAITING.match(remark):
                named = self._references(_positive(remark[mark.end() :]), task.line)
                self._orders[index].after |= named - own
            elif mark := _LEADING.match(remark):
                self._add(self._references(_positive(remark[mark.end() :]), task.line), own, is_all=False)

    def _by_rule(self, index: int) -> set[int]:
        """Setup, foundation, the stories side by side, polish; any other phase after the one before it.

        A phase that is said to wait for this one is left out.
        """
        role = self._phases[index].role
        earlier = {i for i in range(index) if index not in self._orders[i].after}
        if role == "polish":
            return earlier
        for wanted in _BEFORE.get(role, ()):
            if found := earlier & self._named.get(wanted, set()):
                return found
        return earlier & {index - 1} if role == "other" else set()

    def _references(self, text: str, line: int, *, is_label: bool = False) -> frozenset[int]:
        """The phases that `text` names; a label counts by its word, such as Setup, only where it has no number."""
        found: set[int] = set()
        by_word: set[int] = set()
        for match in _REFERENCE.finditer(text):
            kind = match.lastgroup
            if kind == "stories":
                found |= self._named.get("story", set())
            elif kind == "word":
                by_word |= self._named.get(match["word"].casefold().removesuffix("al"), set())
            elif kind is not None:
                for name, start in _spanned(match[kind], "" if kind == "task" else f"{kind} "):
                    found |= self._named.get(name, set())
                    if name not in self._named:
                        self.unknown.setdefault(line, {})[name] = None
                    if start:
                        found |= self._span(start, name)
        return frozenset((found or by_word) if is_label else found | by_word)

    def _span(self, start: str, end: str) -> frozenset[int]:
        """The phases between two names, such as ``T008`` and ``T011``, both included."""
        if (start, end) not in self._spans:
            (kind, first), (other, last) = _number(start), _number(end)
            numbered = self._numbered.get(kind, {}) if kind == other else {}
            begins = ((index, numbers, bisect_left(numbers, first)) for index, numbers in numbered.items())
            self._spans[start, end] = frozenset(
                index for index, numbers, at in begins if at < len(numbers) and numbers[at] <= last
            )
        return self._spans[start, end]


def _positive(text: str) -> str:
    """`text` up to a word such as "not" or "parallel"."""
    end = _UNTRUE.search(text)
    return text[: end.start()] if end else text


def _spanned(text: str, kind: str) -> Iterator[tuple[str, str]]:
    """The names in ``3, 4a and 6-8`` or ``T008-T011``, each with the name that a span to it begins with, or nothing."""
    start = ""
    for written, dash in _SPAN.findall(text):
        plain = written.casefold()
        name = kind + (f"T{plain[1:]}" if plain.startswith("t") else plain.lstrip("0") or "0")
        yield name, start
        start = name if dash else ""


def _number(name: str) -> tuple[str, tuple[int, str]]:
    """``phase 3.1a`` as ``phase 3.`` and (1, "a")."""
    match = _LAST.search(name)
    return (name[: match.start()], (int(match[1]), match[2])) if match else (name, (0, ""))


def _numbered(named: Mapping[str, set[int]]) -> dict[str, dict[int, list[tuple[int, str]]]]:
    """By the kind of a name, the sorted numbers that each phase has of it."""
    found: dict[str, dict[int, list[tuple[int, str]]]] = {}
    for (kind, number), indices in sorted(
        ((_number(name), indices) for name, indices in named.items()), key=lambda pair: pair[0]
    ):
        for index in indices:
            found.setdefault(kind, {}).setdefault(index, []).append(number)
    return found
