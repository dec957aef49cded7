"""One task of Taskmaster: its fields, and what they become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kitty_flow.missions.findings import Findings
from kitty_flow.missions.foreign_fields import section, string
from kitty_flow.model.mission import Subtask

__all__ = ["KNOWN_FIELDS", "SubtaskRecord", "TaskRecord", "prompt_of", "subtasks_of", "task_record"]

KNOWN_FIELDS: Final = frozenset(
    {"id", "title", "description", "details", "testStrategy", "status", "dependencies", "subtasks"}
    | {"acceptanceCriteria", "parentTaskId", "parentId", "previousStatus", "createdAt", "updatedAt"}
)
_CLOSED: Final = frozenset({"done", "completed", "cancelled", "canceled"})
_MAX_NAME: Final = 80


@dataclass(frozen=True, slots=True)
class SubtaskRecord:
    """A subtask: `id` is its id here, `after` the sibling ids it follows, `outside` what it waits for elsewhere."""

    line: int
    number: str
    id: str
    title: str
    text: str
    is_closed: bool
    after: tuple[str, ...]
    outside: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task; `name` is its id as text."""

    line: int
    name: str
    title: str
    text: str
    status: str
    dependencies: tuple[str, ...]
    subtasks: tuple[SubtaskRecord, ...]

    @property
    def is_closed(self) -> bool:
        """Whether there is nothing left to do."""
        return self.status in _CLOSED


def task_record(
    task: Mapping[str, Any], line: int, lines: Mapping[int, int], file: str, findings: Findings
) -> TaskRecord | None:
    """The task in the JSON object `task`; None, and a problem, when it has no usable id."""
    where = f"{file}:{line}"
    name = _name(task.get("id"))
    if name is None:
        findings.problem("INVALID_TASK", f"a task needs an id, a number or a text of at most {_MAX_NAME}", where)
        return None
    return TaskRecord(
        line=line,
        name=name,
        title=string(task, "title", where, findings),
        text=_text(task, where, findings),
        status=_status(task, where, findings),
        dependencies=_names(task, where, findings),
        subtasks=_subtasks(task, name, line, lines, file, findings),
    )


def subtasks_of(record: TaskRecord) -> tuple[Subtask, ...]:
    """The subtasks that are left to do."""
    return tuple(Subtask(each.id, each.title) for each in record.subtasks if not each.is_closed)


def prompt_of(record: TaskRecord, tag: str) -> str:
    """What the agent is told: everything that the task says, and the steps with their order."""
    of_tag = f", tag {tag[:_MAX_NAME]}" if tag else ""
    parts = [f"Task {record.name} of Taskmaster{of_tag}.", record.text]
    for each in record.subtasks:
        done = " (done)" if each.is_closed else ""
        after = f"After {', '.join(each.after)}." if each.after else ""
        title = " ".join(each.title.split())
        parts += [f"## {each.id} {title}{done}", after, each.text if not each.is_closed else ""]
    return "\n\n".join(part for part in parts if part) + "\n"


def _name(value: object) -> str | None:
    if isinstance(value, float) and len(repr(value)) <= _MAX_NAME:
        return repr(value)  # 5.2 as a number
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    if not isinstance(value, str) or not 0 < len(value.strip()) <= _MAX_NAME or not value.isprintable():
        return None
    text = value.strip()
    return str(int(text)) if text.isascii() and text.isdigit() else text


def _names(task: Mapping[str, Any], where: str, findings: Findings) -> tuple[str, ...]:
    listed = task.get("dependencies")
    names = [_name(each) for each in listed] if isinstance(listed, list) else [None] * (listed is not None)
    if None in names:
        findings.problem("WRONG_TYPE", "dependencies must be a list of task ids", where)
    return tuple(dict.fromkeys(name for name in names if name is not None))


def _status(task: Mapping[str, Any], where: str, findings: Findings) -> str:
    return string(task, "status", where, findings).casefold()


def _text(task: Mapping[str, Any], where: str, findings: Findings) -> str:
    parts = (
        string(task, "description", where, findings),
        section("### Details", string(task, "details", where, findings)),
        section("### Acceptance criteria", string(task, "acceptanceCriteria", where, findings)),
        section("### Test strategy", string(task, "testStrategy", where, findings)),
    )
    return "\n\n".join(part for part in parts if part)


def _subtasks(
    task: Mapping[str, Any], name: str, line: int, lines: Mapping[int, int], file: str, findings: Findings
) -> tuple[SubtaskRecord, ...]:
    listed = task.get("subtasks") or []
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        findings.problem("WRONG_TYPE", "subtasks must be a list of objects", f"{file}:{line}")
        return ()
    numbers = [_number(_name(each.get("id")), name) for each in listed]
    ids: dict[str, str] = {}
    taken: set[str] = set()
    for position, number in enumerate(numbers, start=1):
        wanted = f"S{number}" if number.isdigit() and len(number) <= 8 else f"S{position}"
        if number in ids or wanted in taken:
            message = f"two subtasks of task {name[:40]} have the number {number[:20]}"
            findings.problem("DUPLICATE_SUBTASK_ID", message, f"{file}:{lines[id(listed[position - 1])]}")
        ids[number] = wanted
        taken.add(wanted)
    records = []
    for each, number in zip(listed, numbers, strict=True):
        where = f"{file}:{lines[id(each)]}"
        needed = [(_number(n, name), n) for n in _names(each, where, findings)]
        records.append(
            SubtaskRecord(
                line=lines[id(each)],
                number=f"{name}.{number}",
                id=ids[number],
                title=" ".join(string(each, "title", where, findings).split()),
                text=_text(each, where, findings),
                is_closed=_status(each, where, findings) in _CLOSED,
                after=tuple(ids[n] for n, _ in needed if n in ids),
                outside=tuple(full for n, full in needed if n not in ids),
            )
        )
    return tuple(records)


def _number(name: str | None, task: str) -> str:
    """The number of a subtask in its task: 2 for ``2`` and for ``7.2`` in task 7; another task's stays as it is."""
    return "" if name is None else name.removeprefix(f"{task}.")
