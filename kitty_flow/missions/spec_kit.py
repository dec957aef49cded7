"""Reads the task list of GitHub's spec-kit: ``specs/<feature>/tasks.md``, phases of ``- [ ] T001 [P] [US1] ... path``.

A phase becomes a work package and its open tasks its subtasks (`docs/how-to/import-a-mission.md` says why). Phases that
are ticked off are left out and count as satisfied.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kitty_flow.errors import DefinitionError
from kitty_flow.missions.draft import MissionDraft, WorkPackageDraft
from kitty_flow.missions.files import exists, invalid, is_file, is_inside, read_text
from kitty_flow.missions.findings import Findings
from kitty_flow.missions.foreign_fields import counted, line_ranges
from kitty_flow.missions.foreign_mission import foreign_mission
from kitty_flow.missions.foreign_names import slug_of_folder
from kitty_flow.missions.markdown_lines import spoken_lines
from kitty_flow.missions.path_mentions import mentioned_paths, refused_paths
from kitty_flow.missions.spec_kit_order import Orders, Phase, Task
from kitty_flow.missions.spec_kit_text import TaskList, is_task_list, phase_title, read_task_list
from kitty_flow.model.mission import Subtask

__all__ = ["KIND", "read", "recognises"]

KIND: Final = "spec-kit"
MAX_PHASES: Final = 256
_TASKS: Final = "tasks.md"
_SPEC: Final = "spec.md"
_REQUIREMENT: Final = re.compile(r"\b(?:FR|NFR)-\d{1,4}\b")
_LISTED: Final = re.compile(r"[ \t]*[-*+][ \t]+\*\*((?:FR|NFR)-\d{1,4})\*\*")


def recognises(path: Path) -> bool:
    """Whether `path` is a task list of spec-kit, or a folder with one."""
    file = path if is_file(path) else path / _TASKS
    if file.suffix != ".md" or not is_file(file):
        return False
    try:
        return is_task_list(read_text(file, file.name))
    except DefinitionError:
        return False


def read(path: Path, findings: Findings) -> MissionDraft:
    """The mission in the task list `path`, or in the folder `path`.

    Raises:
        DefinitionError: INVALID_MISSION, the list cannot be read.
    """
    folder, file = (path.parent, path) if is_file(path) else (path, path / _TASKS)
    tasks = TaskList()
    with findings.gathering(file.name):
        tasks = read_task_list(_inside(file, folder))
    findings.raise_if_invalid(path)
    work_packages = _work_packages(tasks, file.name, findings)
    requirements = _requirements(folder, tasks, findings)
    slug = slug_of_folder(folder, "tasks")
    return foreign_mission(KIND, path, file.name, slug, work_packages, title=tasks.title, requirements=requirements)


def _inside(file: Path, folder: Path) -> str:
    if not is_inside(file, folder):
        raise invalid("UNSAFE_PATH", "is a link that leads out of the mission folder", file.name)
    return read_text(file, file.name)


def _requirements(folder: Path, tasks: TaskList, findings: Findings) -> dict[str, str] | None:
    """The requirements that `spec.md` lists, where the task list refers to any of them."""
    found: dict[str, str] = {}
    if not exists(folder / _SPEC):
        return None
    with findings.gathering(_SPEC):
        for number, line in spoken_lines(_inside(folder / _SPEC, folder)):
            if match := _LISTED.match(line):
                found.setdefault(match[1], f"{_SPEC}:{number}")
    if found and not any(_refs(phase) for phase in tasks.phases):
        message = f"the {len(found)} requirements of spec.md, since no task refers to one"
        findings.dropped("REQUIREMENTS_DROPPED", message, next(iter(found.values())))
        return None
    return found or None


def _refs(phase: Phase) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_REQUIREMENT.findall("\n".join(phase.lines))))


def _work_packages(tasks: TaskList, file: str, findings: Findings) -> tuple[WorkPackageDraft, ...]:
    if len(tasks.phases) > MAX_PHASES:
        message = f"has {len(tasks.phases)} phases; at most {MAX_PHASES} are read"
        findings.problem("TOO_MANY_WORK_PACKAGES", message, file)
        return ()
    orders = _orders(tasks, file, findings)
    ids = _ids(tasks.phases)
    drafts: list[WorkPackageDraft] = []
    for index, phase in enumerate(tasks.phases):
        where, order = f"{file}:{phase.line}", orders.of(index)
        if phase.is_done:
            findings.dropped("DONE_DROPPED", f"{ids[index]} is done, so that nothing has to wait for it", where)
            continue
        if not order.is_stated:
            what = "all that" if order.after - order.by_rule else "what"
            place = ", ".join(ids[i] for i in sorted(order.by_rule)) or "nothing"
            message = f"{ids[index]} does not say {what} it waits for; by its place: {place}"
            findings.guessed("ORDER_GUESSED", message, where)
        open_ids = tuple(ids[i] for i in sorted(order.after) if not tasks.phases[i].is_done)
        drafts.append(_draft(phase, ids[index], open_ids, tasks.context, where, findings))
    if tasks.phases and not drafts:
        findings.problem("NOTHING_LEFT", "every task is ticked off: there is nothing left to do", file)
    _report_rest(tasks, file, findings)
    return tuple(drafts)


def _orders(tasks: TaskList, file: str, findings: Findings) -> Orders:
    """What the list says about the order of its phases; what of it cannot be kept is reported."""
    orders = Orders(tasks.phases)
    vague: list[int] = []
    inside: list[int] = []
    for line, text in tasks.statements:
        heard = orders.note(text, line)
        if not heard and text.lstrip()[:2] in ("- ", "* ", "+ "):
            vague.append(line)
        elif "inside" in heard:
            inside.append(line)
    for index, phase in enumerate(tasks.phases):
        for line, text in phase.stated:
            if not orders.note_of(index, text, line):
                vague.append(line)
    for line, names in sorted(orders.unknown.items()):
        message = f"the order names what the list does not have: {', '.join(list(names)[:20])}"
        findings.warn("UNKNOWN_REFERENCE", message, f"{file}:{line}")
    for found, what in (
        (
            [line for line in vague if line not in orders.unknown],
            "remarks that could not be read as a phase, story or task that waits for another",
        ),
        (inside, "remarks on the order of tasks of which both are in one work package"),
    ):
        if found:
            findings.dropped("ORDER_DROPPED", counted(what, found), f"{file}:{min(found)}")
    return orders


def _ids(phases: list[Phase]) -> list[str]:
    """WP03 for phase 3 where each number is there once, and the numbers behind them for other phases; else 1, 2, 3."""
    numbers = [phase.number for phase in phases if phase.number is not None]
    if len(set(numbers)) < len(numbers):
        return [f"WP{number:02d}" for number in range(1, len(phases) + 1)]
    free = iter(range(max(numbers, default=0) + 1, max(numbers, default=0) + 1 + len(phases)))
    return [f"WP{next(free) if phase.number is None else phase.number:02d}" for phase in phases]


def _draft(
    phase: Phase, name: str, dependencies: tuple[str, ...], context: list[str], where: str, findings: Findings
) -> WorkPackageDraft:
    tasks = [task for task in phase.tasks if not task.is_done]
    paths = {task.line: mentioned_paths(task.title) for task in tasks}
    for task in tasks:
        for message in refused_paths(task.title):
            findings.dropped(
                "PATH_DROPPED",
                f"{name} does not own what a task names: {message}",
                f"{where.rpartition(':')[0]}:{task.line}",
            )
    owned = tuple(dict.fromkeys(path for each in paths.values() for path in each))
    if owned:
        silent = [line for line, each in paths.items() if not each]
        rest = f"; line {line_ranges(silent)} names none" if silent else ""
        message = f"{name} owns what its tasks name: {len(owned)} {'path' if len(owned) == 1 else 'paths'}{rest}"
        findings.guessed("OWNED_FILES_GUESSED", message, where)
    body = "\n".join(phase.lines).strip().removesuffix("---").rstrip()
    return WorkPackageDraft(
        where=where,
        id=name,
        title=phase_title(phase.heading),
        dependencies=dependencies,
        owned_files=owned,
        subtasks=_subtasks(tasks, where.rpartition(":")[0], findings),
        requirement_refs=_refs(phase),
        prompt="\n".join([*context, ""] if context else []) + ("\n" if context else "") + body + "\n",
    )


def _subtasks(tasks: list[Task], file: str, findings: Findings) -> tuple[Subtask, ...]:
    found: dict[str, Subtask] = {}
    for number, task in enumerate(tasks, start=1):
        name = task.id
        if not name or name in found:
            name = f"S{number:02d}"
            why = f"{task.id} is there twice" if task.id else "a task has no number"
            findings.guessed("TASK_ID_GUESSED", f"{why}: it becomes {name}", f"{file}:{task.line}")
        found[name] = Subtask(name, task.title)
    return tuple(found.values())


def _report_rest(tasks: TaskList, file: str, findings: Findings) -> None:
    """Say what of the list has no place: ticked tasks, marks, and sections without tasks."""

    def lines(chosen: Callable[[Task], bool]) -> list[int]:
        return [task.line for phase in tasks.phases for task in phase.tasks if chosen(task)]

    for code, found, message in (
        ("DONE_DROPPED", lines(lambda task: task.is_done), "tasks that are done, and so are no subtasks"),
        ("MARK_DROPPED", lines(lambda task: task.is_parallel), "[P] marks, since one agent does the tasks of a phase"),
    ):
        if found:
            findings.dropped(code, counted(message, found), f"{file}:{found[0]}")
    for line, name in tasks.unread:
        message = f"{name}, which looks like a task but stands outside of any phase or in a form that is not read"
        findings.dropped("TASK_DROPPED", message, f"{file}:{line}")
    for line, text in tasks.others:
        findings.dropped("SECTION_DROPPED", f"the section {text[:60]!r}, which has no tasks", f"{file}:{line}")
