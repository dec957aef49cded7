"""What the sections of a task list declare about dependencies, put together for the whole document.

A work package may say it twice, a table may say it again, and another one may say that it blocks this one. What the
work package itself says last counts; what contradicts that is noted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from kitty_flow.missions.dependency_text import Reading, read_dependencies
from kitty_flow.missions.findings import Findings
from kitty_flow.missions.section_fields import Field
from kitty_flow.missions.task_tables import Row
from kitty_flow.missions.work_package_names import Roster

__all__ = ["Declared", "Note", "resolve"]

_MAX_STATEMENTS: Final = 100


class Note(NamedTuple):
    """What a reader guessed, dropped or warns of, kept until it is known whether the reading is used."""

    loss: Literal["guessed", "dropped", "warning"]
    code: str
    message: str
    where: str

    def tell(self, findings: Findings) -> None:
        """Put the note among the findings of the mission."""
        tell = {"guessed": findings.guessed, "dropped": findings.dropped, "warning": findings.warn}[self.loss]
        tell(self.code, self.message, self.where)


class _Statement(NamedTuple):
    line: int
    reading: Reading
    sentence: bool


class Declared:
    """The dependencies of the work package `id`: the set `mask` of a `Roster`, and `unknown` names.

    `where` is the place that declares them, None as long as none does; an empty set with a place is an explicit "none".
    `blocks` are the work packages that are said to wait for this one, and the line that says so.
    """

    def __init__(self, name: str, file: str) -> None:
        self.id = name
        self.mask = 0
        self.unknown: tuple[str, ...] = ()
        self.where: str | None = None
        self.notes: list[Note] = []
        self.blocks: tuple[int, int] = (0, 0)
        self._file = file

    def read(self, fields: Sequence[Field], rows: Sequence[Row], roster: Roster) -> None:
        """Take the declarations among the fields of a section, and those of the rows that name its work package."""
        statements: list[_Statement] = []
        for field in [each for each in fields if each.name == "dependencies"][:_MAX_STATEMENTS]:
            reading = self._reading(field, roster)
            last = statements[-1] if statements else None
            if last is not None and field.sentence and last.sentence and field.line.number <= last.line + 1:
                statements[-1] = _Statement(field.line.number, _both(last.reading, reading), True)
            elif reading.says_something:
                statements.append(_Statement(field.line.number, reading, field.sentence))
        cells = [(row.line.number, text) for row in rows if (text := row.cells.get("dependencies"))]
        listed = [_Statement(line, read_dependencies(text, roster, self.id), False) for line, text in cells]
        self._choose([*(each for each in listed if each.reading.says_something), *statements], roster)
        for field in [each for each in fields if each.name == "blocks"][:_MAX_STATEMENTS]:
            mask = self.blocks[0] | self._reading(field, roster, told=False).mask
            self.blocks = (mask, self.blocks[1] or field.line.number)

    def note(self, loss: Literal["guessed", "dropped", "warning"], code: str, message: str, line: int) -> None:
        """Keep a note about these dependencies."""
        self.notes.append(Note(loss, code, message, f"{self._file}:{line}"))

    def place(self, line: int) -> str:
        """How a line of the document is named."""
        return f"{self._file}:{line}"

    def _reading(self, field: Field, roster: Roster, *, told: bool = True) -> Reading:
        whole = Reading()
        for line, text in field.values:
            reading = read_dependencies(text, roster, self.id)
            whole = _both(whole, reading)
            for message in reading.guessed if told else ():
                self.note("guessed", "DEPENDENCIES_GUESSED", f"{self.id}: {message}", line.number)
            for message in reading.dropped if told else ():
                self.note("dropped", "NO_DEPENDENCY", f"{self.id}: {message}", line.number)
        if told and field.values and not whole.says_something:
            message = f"{self.id}: {field.values[0].text[:80]!r} does not say which work packages, and does not count"
            self.note("guessed", "DEPENDENCIES_NOT_UNDERSTOOD", message, field.values[0].line.number)
        return whole

    def _choose(self, statements: Sequence[_Statement], roster: Roster) -> None:
        if not statements:
            return
        chosen = statements[-1]
        self.mask, self.unknown = chosen.reading.mask, chosen.reading.unknown
        self.where = self.place(chosen.line)
        for other in statements[:-1]:
            if (other.reading.mask, other.reading.unknown) != (self.mask, self.unknown):
                message = (
                    f"{self.id}: line {other.line} says {shown(roster, other.reading.mask)}, line {chosen.line} says "
                    f"{shown(roster, self.mask)}; the latter counts"
                )
                self.note("warning", "DEPENDENCIES_RESTATED", message, other.line)


def resolve(declared: Sequence[Declared], roster: Roster) -> None:
    """Compare who is said to block whom with what the blocked ones declare, and fill in where they declare nothing."""
    by_id = {each.id: each for each in reversed(declared)}
    silent = {each.id for each in declared if each.where is None}
    for each in declared:
        mask, line = each.blocks
        for name in roster.members(mask):
            if name in silent and name in by_id and name != each.id:
                waiting = by_id[name]
                waiting.mask |= roster.bit(each.id)
                waiting.where = waiting.where or each.place(line)
                waiting.note("guessed", "BLOCKS_READ_AS_DEPENDENCY", f"{name}: {each.id} says that it blocks it", line)
    reach = _Reach(by_id, roster)
    for each in declared:
        mask, line = each.blocks
        own = roster.bit(each.id)
        denied = [name for name in roster.members(mask & ~own) if name in by_id and not reach.of(name) & own]
        if denied:
            message = f"{each.id} says that it blocks {', '.join(denied[:12])}, which does not depend on it"
            each.note("dropped", "BLOCKS_NOT_DECLARED", message, line)


def shown(roster: Roster, mask: int) -> str:
    """The names of a set for a message."""
    names = roster.members(mask)
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "") or "none"


def _both(one: Reading, other: Reading) -> Reading:
    return Reading(one.mask | other.mask, (*one.unknown, *other.unknown)[:64], one.none or other.none)


class _Reach:
    """All work packages that one depends on, directly or not; cycles are no obstacle."""

    def __init__(self, by_id: dict[str, Declared], roster: Roster) -> None:
        self._known: dict[str, int] = {}
        self._by_id, self._roster = by_id, roster

    def of(self, name: str) -> int:
        """The set of those that `name` waits for."""
        if name not in self._known:
            reached, open_ = 0, self._by_id[name].mask
            while open_:
                reached |= open_
                wider = 0
                for each in self._roster.members(open_):
                    wider |= self._by_id[each].mask if each in self._by_id else 0
                open_ = wider & ~reached
            self._known[name] = reached
        return self._known[name]
