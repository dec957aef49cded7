"""Reads one section of a task list after the other: title, subtasks, owned files, requirements, execution mode."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

from kitty_flow.missions.declared import Declared, Note
from kitty_flow.missions.draft import WorkPackageDraft
from kitty_flow.missions.listed_text import files_in_cell, listed_files, listed_requirements
from kitty_flow.missions.section_fields import Field, fields
from kitty_flow.missions.subtask_text import WrittenSubtask, subtask_ids, subtask_title, written_subtasks
from kitty_flow.missions.task_outline import Outline, Section
from kitty_flow.missions.task_tables import Row
from kitty_flow.missions.work_package_names import Roster
from kitty_flow.model.mission import Subtask

__all__ = ["SectionReader"]

_MODE: Final = re.compile(r"[a-z]{1,30}(?:_[a-z]{1,30})?")


class SectionReader:
    """Knows the tables of the document, and keeps in `notes` what was guessed or dropped."""

    def __init__(self, file: str, roster: Roster, cut: Outline, table: Sequence[Row]) -> None:
        self.notes: list[Note] = []
        self._file, self._roster, self._flat = file, roster, cut.flat
        self._rows: dict[int, list[Row]] = {}
        self._index: dict[int, dict[str, WrittenSubtask]] = {}
        self._requirements_of: dict[int, tuple[list[str], int]] = {}
        self._owners: dict[str, str] = {}
        self._tagged: int | None = None
        self._told: set[int] = set()
        for row in table:
            self._take(row)
        if cut.guessed_end is not None:
            message = f"{cut.guessed_end.text[:80]!r} was taken for the end of the last work package"
            self._note("guessed", "SECTION_END_GUESSED", message, cut.guessed_end.number)

    def read(self, section: Section) -> tuple[WorkPackageDraft, Declared]:
        """The draft of a section, still without dependencies, and what it declares about them."""
        found = list(fields(section.lines))
        bit = self._roster.bit(section.id)
        (name,) = self._roster.members(bit)
        declared = Declared(name, self._file)
        declared.read(found, self._rows.get(bit, []), self._roster)
        files, files_line = self._files(found, bit)
        requirements, requirements_line = self._requirements(found, bit)
        subtasks, subtasks_line = self._subtasks(section, found, bit)
        mode, mode_line = _mode(found)
        lines = {
            "title": section.heading.number,
            "owned_files": files_line,
            "requirement_refs": requirements_line,
            "subtasks": subtasks_line,
            "execution_mode": mode_line,
        }
        return WorkPackageDraft(
            where=self._place(section.heading.number),
            id=name,
            title=section.title,
            owned_files=tuple(files),
            execution_mode=mode or "code_change",
            subtasks=tuple(subtasks),
            requirement_refs=tuple(requirements),
            prompt=_body(section),
            places={key: self._place(line) for key, line in lines.items() if line is not None},
        ), declared

    def finish(self) -> tuple[Note, ...]:
        """All notes, when the last section is read."""
        if self._tagged is not None:
            message = (
                "marks of subtasks as done or parallel: work on a mission starts afresh, and a subtask has no order"
            )
            self._note("dropped", "SUBTASK_MARKS_DROPPED", message, self._tagged)
        return tuple(self.notes)

    def _take(self, row: Row) -> None:
        names, subtask = row.cells.get("work_package", ""), row.cells.get("subtask")
        bits = [mention.mask for mention in self._roster.mentions(names)]
        if subtask is not None and bits:
            title = row.cells.get("title", "")
            written = WrittenSubtask(Subtask(subtask, subtask_title(title)), row.line.number, False)
            self._index.setdefault(bits[0], {}).setdefault(subtask, written)
        elif "requirement" in row.cells:
            for mask in bits:
                for name in self._roster.members(mask):
                    self._require(self._roster.bit(name), row.cells["requirement"], row.line.number)
        elif len(bits) == 1 and bits[0].bit_count() == 1:
            self._rows.setdefault(bits[0], []).append(row)
            if row.ignored and row.table not in self._told:
                self._told.add(row.table)
                columns = ", ".join(name[:40] for name in row.ignored[:12])
                self._note(
                    "dropped",
                    "COLUMNS_DROPPED",
                    f"columns of a work package table that are not read: {columns}",
                    row.table,
                )
            if "requirement_refs" in row.cells:
                self._require(bits[0], row.cells["requirement_refs"], row.line.number)

    def _require(self, bit: int, text: str, line: int) -> None:
        self._requirements_of.setdefault(bit, ([], line))[0].extend(listed_requirements(text))

    def _files(self, found: Sequence[Field], bit: int) -> tuple[list[str], int | None]:
        for field in (each for each in found if each.name == "owned_files"):
            files, other = listed_files(value.line.raw for value in field.values)
            self._no_patterns(other, field.line.number)
            if files:
                return files, field.line.number
        for row in self._rows.get(bit, []):
            files, other = files_in_cell(row.cells.get("owned_files", ""))
            self._no_patterns(other, row.line.number)
            if files:
                return files, row.line.number
        return [], None

    def _no_patterns(self, texts: Sequence[str], line: int) -> None:
        for text in texts[:10]:
            self._note("dropped", "NO_FILE_PATTERN", f"{text[:80]!r} is no file pattern", line)

    def _requirements(self, found: Sequence[Field], bit: int) -> tuple[list[str], int | None]:
        for field in (each for each in found if each.name == "requirement_refs"):
            if ids := listed_requirements(" ".join(value.text for value in field.values)):
                return ids, field.line.number
        ids, line = self._requirements_of.get(bit, ([], None))
        return list(dict.fromkeys(ids)), line

    def _subtasks(self, section: Section, found: Sequence[Field], bit: int) -> tuple[list[Subtask], int | None]:
        """The subtasks marked in the section, else those that its field names; the index adds titles and the rest."""
        lists = [field for field in found if field.name == "subtasks"]
        listed = frozenset(value.line.number for field in lists for value in field.values)
        index = self._index.get(bit, {})
        chosen: dict[str, WrittenSubtask] = {}
        for each in written_subtasks(section.lines, listed, flat=self._flat):
            if each.tagged and self._tagged is None:
                self._tagged = each.line
            if chosen.setdefault(each.subtask.id, each) is not each:
                message = f"{section.id}: subtask {each.subtask.id} is listed twice; the first counts"
                self._note("guessed", "DUPLICATE_SUBTASK_ID", message, each.line)
        if not chosen:
            for field in lists:
                for name in subtask_ids(" ".join(value.text for value in field.values)):
                    chosen.setdefault(name, WrittenSubtask(Subtask(name), field.line.number, False))
        for name, each in index.items():
            if name not in chosen and name not in self._owners:
                chosen[name] = each
            elif name in chosen and (self._flat or not chosen[name].subtask.title):
                chosen[name] = chosen[name]._replace(subtask=Subtask(name, each.subtask.title))
        self._owners.update(dict.fromkeys(chosen, section.id))
        first = min((each.line for each in chosen.values()), default=None)
        return [each.subtask for each in chosen.values()], first

    def _note(self, loss: Literal["guessed", "dropped"], code: str, message: str, line: int) -> None:
        self.notes.append(Note(loss, code, message, self._place(line)))

    def _place(self, line: int) -> str:
        return f"{self._file}:{line}"


def _mode(found: Sequence[Field]) -> tuple[str, int | None]:
    for field in found:
        if field.name == "execution_mode" and (match := _MODE.match(field.values[0].text if field.values else "")):
            return match[0], field.line.number
    return "", None


def _body(section: Section) -> str:
    text = "\n".join(line.raw for line in section.lines).strip("\n")
    text = text.removesuffix("---").rstrip()
    return f"{text}\n" if text else ""
