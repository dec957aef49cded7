"""Reads the tasks of Taskmaster (claude-task-master): ``.taskmaster/tasks/tasks.json``, by tags or in the old form.

A task becomes a work package, its subtasks become subtasks. Tasks that are done or cancelled are left out and count as
satisfied. What a task says stands in the prompt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from kitty_flow.errors import DefinitionError
from kitty_flow.missions.draft import MissionDraft, WorkPackageDraft
from kitty_flow.missions.files import (
    MAX_WORK_PACKAGES,
    exists,
    invalid,
    is_file,
    is_folder,
    is_inside,
    parse_json_object,
    read_text,
)
from kitty_flow.missions.findings import Findings
from kitty_flow.missions.foreign_fields import UnusedFields, counted
from kitty_flow.missions.foreign_mission import foreign_mission
from kitty_flow.missions.foreign_names import slug_of_folder, work_package_ids
from kitty_flow.missions.json_places import object_lines
from kitty_flow.missions.taskmaster_tasks import KNOWN_FIELDS, TaskRecord, prompt_of, subtasks_of, task_record

__all__ = ["KIND", "read", "recognises"]

KIND: Final = "taskmaster"
MAX_TASKS_BYTES: Final = 8 * 1024 * 1024
"""The tool's own list of its own tasks has 1.1 MB."""

_FILE: Final = "tasks.json"
_FOLDER: Final = ".taskmaster"
_DEFAULT_TAG: Final = "master"


def recognises(path: Path) -> bool:
    """Whether `path` is a `tasks.json`, or a folder that keeps one as Taskmaster does."""
    if is_file(path):
        return path.name == _FILE
    return is_folder(path) and _file_in(path) is not None and not _is_spec_kitty(path)


def _is_spec_kitty(folder: Path) -> bool:
    return exists(folder / "meta.json") or any((folder / "tasks").glob("WP*.md"))


def read(path: Path, findings: Findings) -> MissionDraft:
    """The mission in the file or folder `path`.

    Raises:
        DefinitionError: INVALID_MISSION, the tasks cannot be read, or it is not clear which tag is meant.
    """
    file = path if is_file(path) else _file_in(path) or path / _FILE
    project = _project(file)
    tag, records, total = "", [], 0
    with findings.gathering(file.name):
        if file is not path and not is_inside(file, path):
            raise invalid("UNSAFE_PATH", "is a link that leads out of the folder", file.name)
        text = read_text(file, file.name, limit=MAX_TASKS_BYTES)
        data = parse_json_object(text, file.name)
        lines = object_lines(data, text)
        tag, tasks = _chosen(data, lines, file, findings)
        total = len(tasks)
        records = _records(tasks, lines, file.name, findings)
    slug = slug_of_folder(project if tag in ("", _DEFAULT_TAG) else Path(tag), KIND)
    if total:
        findings.guessed("NAME_GUESSED", f"the mission is called {slug}, after its folder or tag", file.name)
    return foreign_mission(KIND, path, file.name, slug, _work_packages(records, tag, file.name, findings))


def _file_in(folder: Path) -> Path | None:
    """Where the tasks lie in `folder`: the tool's own, or a project with one, also as older versions had it."""
    places = [Path("tasks"), Path(_FOLDER, "tasks"), Path(_FOLDER)]
    places += [Path()] if folder.name == _FOLDER else []
    return next((folder / place / _FILE for place in places if is_file(folder / place / _FILE)), None)


def _project(file: Path) -> Path:
    """The folder that the tasks are about: above ``.taskmaster/tasks`` or ``tasks``."""
    folder = file.parent.parent if file.parent.name == "tasks" else file.parent
    return folder.parent if folder.name == _FOLDER else folder


def _chosen(
    data: Mapping[str, Any], lines: Mapping[int, int], file: Path, findings: Findings
) -> tuple[str, Sequence[Any]]:
    """The tag whose tasks are meant, and these; the tag is empty in the old form, which knows none."""
    if isinstance(data.get("tasks"), list):
        return "", data["tasks"]
    tags = {n: t["tasks"] for n, t in data.items() if isinstance(t, dict) and isinstance(t.get("tasks"), list)}
    if not tags:
        raise invalid("NO_TASKS", "holds neither a list 'tasks' nor a tag with one", file.name)
    filled = {name: tasks for name, tasks in tags.items() if tasks}
    if len(filled) <= 1:
        return next(iter(filled.items()), next(iter(tags.items())))
    current = _current_tag(file, findings)
    if current not in filled:
        listed = ", ".join(f"{name[:40]} ({len(tasks)} tasks)" for name, tasks in list(filled.items())[:20])
        message = f"has {len(filled)} tags: {listed}; choose one with 'task-master use-tag NAME'"
        raise invalid("AMBIGUOUS_TAG", message, file.name)
    for name, tasks in filled.items():
        where = f"{file.name}:{lines[id(data[name])]}"
        if name == current:
            findings.guessed("TAG_GUESSED", f"the tag {name[:40]} is meant, which state.json calls current", where)
        else:
            findings.dropped("TAG_DROPPED", f"the tag {name[:40]}, which holds {len(tasks)} of the tasks", where)
    return current, filled[current]


def _current_tag(file: Path, findings: Findings) -> str:
    state = file.parent.parent / "state.json" if file.parent.name == "tasks" else file.parent / "state.json"
    current: object = None
    if exists(state):
        try:
            current = parse_json_object(read_text(state, state.name), state.name).get("currentTag")
        except DefinitionError as error:
            findings.warn("STATE_IGNORED", f"state.json {error.message}", state.name)
    return current if isinstance(current, str) else ""


def _records(tasks: Sequence[Any], lines: Mapping[int, int], file: str, findings: Findings) -> list[TaskRecord]:
    """The tasks, read; what is no task is a problem at its line."""
    found: dict[str, TaskRecord] = {}
    unused = UnusedFields(KNOWN_FIELDS)
    for number, task in enumerate(tasks, start=1):
        if not isinstance(task, dict):
            findings.problem("INVALID_TASK", f"task {number} must be an object", file)
            continue
        record = task_record(task, lines[id(task)], lines, file, findings)
        if record is None:
            continue
        unused.look_at(task, record.line)
        for subtask in task.get("subtasks") or ():
            if isinstance(subtask, dict):
                unused.look_at(subtask, lines[id(subtask)])
        if found.setdefault(record.name, record) is not record:
            where = f"{file}:{record.line}"
            findings.problem(
                "DUPLICATE_TASK_ID", f"the id {record.name[:40]} is taken by line {found[record.name].line}", where
            )
    unused.report(file, findings)
    return list(found.values())


def _work_packages(
    records: Sequence[TaskRecord], tag: str, file: str, findings: Findings
) -> tuple[WorkPackageDraft, ...]:
    open_records = [record for record in records if not record.is_closed]
    closed = [record.line for record in records if record.is_closed]
    if closed:
        message = counted("tasks that are done or cancelled, for which nothing waits", closed)
        findings.dropped("DONE_DROPPED", message, f"{file}:{closed[0]}")
    if records and not open_records:
        findings.problem("NOTHING_LEFT", "every task is done or cancelled: there is nothing left to do", file)
    if len(open_records) > MAX_WORK_PACKAGES:
        findings.problem("TOO_MANY_WORK_PACKAGES", f"has more than {MAX_WORK_PACKAGES} open tasks", file)
        return ()
    ids = work_package_ids(record.name for record in open_records)
    known = {record.name: record for record in records}
    drafts = []
    for record in open_records:
        where = f"{file}:{record.line}"
        if record.status not in ("pending", ""):
            message = f"task {record.name[:40]} is {json.dumps(record.status[:40])} there and not begun here"
            findings.guessed("STATUS_GUESSED", message, where)
        names = _needed(record, known, where, findings)
        drafts.append(
            WorkPackageDraft(
                where=where,
                id=ids[record.name],
                title=record.title or f"Task {record.name[:40]}",
                dependencies=tuple(ids[name] for name in names if name in ids),
                subtasks=subtasks_of(record),
                prompt=prompt_of(record, tag),
            )
        )
    return tuple(drafts)


def _needed(record: TaskRecord, known: Mapping[str, TaskRecord], where: str, findings: Findings) -> tuple[str, ...]:
    """The names of the tasks that `record` waits for, by its own dependencies and those of its open subtasks."""
    needed: dict[str, None] = {}
    for name in record.dependencies:
        task, is_dotted, _ = name.partition(".")
        if name in known:
            needed[name] = None
        elif is_dotted and task in known:
            message = f"task {record.name[:40]} waits for subtask {name[:40]}: it waits for all of task {task[:40]}"
            findings.guessed("SUBTASK_DEPENDENCY", message, where)
            needed[task] = None
        else:
            message = f"task {record.name[:40]} depends on {name[:40]!r}, which is not there"
            findings.problem("UNKNOWN_DEPENDENCY", message, where)
    for subtask in record.subtasks:
        for name in subtask.outside:
            task = name.partition(".")[0]
            if task in known and task != record.name and not subtask.is_closed:
                message = (
                    f"subtask {subtask.number[:20]} waits for {name[:40]}: its whole task waits for task {task[:40]}"
                )
                findings.guessed("SUBTASK_DEPENDENCY", message, f"{where.rpartition(':')[0]}:{subtask.line}")
                needed[task] = None
    return tuple(needed)
