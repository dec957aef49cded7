"""Reads the Spec Kitty layout: `meta.json`, `tasks/WP*.md` with YAML frontmatter, `wps.yaml` and `tasks.md`.

Fields that kitty-flow has no use for are the origin's business and pass without a word. What is odd but readable is
a warning; what would change the plan silently is a problem. How the sources of a work package are put together
is told in `spec_kitty_package`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from kitty_flow.errors import DefinitionError
from kitty_flow.missions.draft import MissionDraft
from kitty_flow.missions.files import (
    MAX_WORK_PACKAGES,
    children,
    exists,
    invalid,
    is_file,
    is_folder,
    is_inside,
    parse_json_object,
    read_text,
)
from kitty_flow.missions.findings import Findings
from kitty_flow.missions.spec_kitty_fields import string
from kitty_flow.missions.spec_kitty_package import Written, from_files, from_task_list
from kitty_flow.missions.spec_requirements import read_requirements
from kitty_flow.missions.tasks_text import TaskList, names_work_packages, read_task_list
from kitty_flow.missions.yaml_text import YamlMapping, parse_yaml, split_frontmatter
from kitty_flow.model.ids import check_mission_slug, is_ulid, natural_key

__all__ = ["KIND", "has_work_packages", "mission_slug", "read", "read_meta", "recognises"]

KIND: Final = "spec-kitty"
_META: Final = "meta.json"
_WPS: Final = "wps.yaml"
_TASKS: Final = "tasks.md"
_SPEC: Final = "spec.md"
_FILE_NAME: Final = re.compile(r"(WP[0-9]+)(?![0-9]).*\.md", re.DOTALL)


def recognises(folder: Path) -> bool:
    """Whether `folder` holds a mission in the Spec Kitty layout."""
    return is_folder(folder) and (
        is_file(folder / _META) or is_folder(folder / "tasks") or _lists_work_packages(folder)
    )


def has_work_packages(folder: Path) -> bool:
    """Whether the mission has come as far as work packages; looks at names, and into `tasks.md` only without them.

    Raises:
        DefinitionError: UNREADABLE_FILE, the tasks folder cannot be listed.
    """
    return is_file(folder / _WPS) or bool(_work_package_files(folder)) or _lists_work_packages(folder)


def read_meta(folder: Path) -> dict[str, Any]:
    """The object in `meta.json`; empty when there is no such file.

    Raises:
        DefinitionError: the file cannot be read, is not strict JSON, or leads out of the mission folder.
    """
    return parse_json_object(_read_inside(folder / _META, folder), _META) if exists(folder / _META) else {}


def mission_slug(folder: Path, meta: Mapping[str, Any]) -> str:
    """The folder's name, or the slug in `meta.json` where the name cannot be one."""
    for candidate in (folder.name, meta.get("mission_slug"), meta.get("slug")):
        if isinstance(candidate, str) and _is_slug(candidate):
            return candidate
    return folder.name


def read(folder: Path, findings: Findings) -> MissionDraft:
    """The mission in `folder`; whatever cannot be read becomes a problem in `findings`."""
    meta: dict[str, Any] = {}
    with findings.gathering(_META):
        meta = read_meta(folder)
    if not exists(folder / _META):
        findings.warn("NO_META", "there is no meta.json: id, title and target branch are unknown", _META)
    entries = _read_entries(folder, findings)
    files: list[tuple[str, Path]] = []
    with findings.gathering("tasks"):
        files = _work_package_files(folder)
    if len(files) > MAX_WORK_PACKAGES:
        findings.problem("TOO_MANY_WORK_PACKAGES", f"more than {MAX_WORK_PACKAGES} work package files", "tasks")
        files = files[:MAX_WORK_PACKAGES]
    written, unreadable = _read_files(folder, files, findings)
    alone = not files and not exists(folder / _WPS)
    tasks = _listed(folder, [*(each.id for each in written), *entries], findings, needed=alone)
    if alone and tasks is not None:
        drafts = from_task_list(tasks, findings)
    else:
        drafts = from_files(written, entries, tasks, unreadable, findings)
    slug = mission_slug(folder, meta)
    mission_id = _meta_text(meta, "mission_id", lambda text: is_ulid(text.upper()), findings)
    return MissionDraft(
        path=folder,
        where=_META,
        kind=KIND,
        id=mission_id.upper() if mission_id else None,
        slug=slug,
        title=_meta_text(meta, "friendly_name", bool, findings) or slug,
        target_branch=_meta_text(meta, "target_branch", bool, findings),
        template=_meta_text(meta, "mission_type", _is_slug, findings) or "software-dev",
        work_packages=tuple(sorted(drafts, key=lambda draft: natural_key(draft.id))),
        unreadable=frozenset(unreadable),
        requirements=_requirements(folder, findings),
        stated=tasks.stated if tasks else (),
    )


def _meta_text(meta: Mapping[str, Any], key: str, usable: Callable[[str], bool], findings: Findings) -> str | None:
    value = meta.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, str) and usable(value):
        return value
    findings.warn("META_FIELD_IGNORED", f"{key} {str(value)[:80]!r} is not usable and counts as absent", _META)
    return None


def _lists_work_packages(folder: Path) -> bool:
    try:
        return is_file(folder / _TASKS) and names_work_packages(_read_inside(folder / _TASKS, folder), _TASKS)
    except DefinitionError:
        return False


def _is_slug(text: str) -> bool:
    try:
        check_mission_slug(text)
    except DefinitionError:
        return False
    return True


def _read_inside(path: Path, folder: Path) -> str:
    where = path.relative_to(folder).as_posix()
    if not is_inside(path, folder):
        raise invalid("UNSAFE_PATH", "is a link that leads out of the mission folder", where)
    return read_text(path, where)


def _work_package_files(folder: Path) -> list[tuple[str, Path]]:
    """The ids that the names of `tasks/WP*.md` begin with, and the files, in natural order."""
    found = [(match[1], path) for path in children(folder / "tasks") if (match := _FILE_NAME.fullmatch(path.name))]
    return sorted(found, key=lambda each: natural_key(each[0]))


def _read_files(folder: Path, files: Sequence[tuple[str, Path]], findings: Findings) -> tuple[list[Written], set[str]]:
    """The files as written, and the ids of those that cannot be read (nobody shall hear that they do not exist)."""
    found: list[Written] = []
    unreadable: set[str] = set()
    for name_id, path in files:
        before = len(findings.problems)
        where = f"tasks/{path.name}".encode("utf-8", "backslashreplace").decode()
        with findings.gathering(where):
            if where != f"tasks/{path.name}":
                raise invalid("UNUSABLE_PATH", "the file name is not UTF-8 text", where)
            found.append(_read_file(path, folder, name_id, findings))
        if len(findings.problems) > before:
            unreadable.add(name_id)
    return found, unreadable


def _read_file(path: Path, folder: Path, name_id: str, findings: Findings) -> Written:
    where = f"tasks/{path.name}"
    head, body = split_frontmatter(_read_inside(path, folder), where)
    fields = parse_yaml(head, where, first_line=2) or YamlMapping(2)
    if not isinstance(fields, YamlMapping):
        raise invalid("INVALID_YAML", "the frontmatter must be a mapping of fields", where)
    work_package_id = string(fields, "work_package_id", where, findings) or name_id
    if work_package_id.casefold() != name_id.casefold():
        findings.warn("ID_DIFFERS_FROM_FILE", f"work_package_id is {work_package_id[:80]!r}, which counts", where)
    return Written(work_package_id, where, fields, body)


def _listed(folder: Path, known: Sequence[str], findings: Findings, *, needed: bool) -> TaskList | None:
    """The task list in `tasks.md`. Where other files define the work packages, it may be missing or unreadable."""
    if not exists(folder / _TASKS):
        return None
    try:
        return read_task_list(_read_inside(folder / _TASKS, folder), _TASKS, known=known)
    except DefinitionError as error:
        report = findings.problem if needed else findings.warn
        report(error.code, error.message, str(error.details.get("where", _TASKS)))
        return None


def _requirements(folder: Path, findings: Findings) -> Mapping[str, str] | None:
    if not exists(folder / _SPEC):
        return None
    try:
        return read_requirements(_read_inside(folder / _SPEC, folder), _SPEC)
    except DefinitionError as error:
        findings.warn(error.code, error.message, str(error.details.get("where", _SPEC)))
        return None


def _read_entries(folder: Path, findings: Findings) -> dict[str, YamlMapping]:
    """The entries of `wps.yaml` by id; empty when there is no such file."""
    entries: dict[str, YamlMapping] = {}
    if not exists(folder / _WPS):
        return entries
    with findings.gathering(_WPS):
        value = parse_yaml(_read_inside(folder / _WPS, folder), _WPS)
        listed = value.get("work_packages") if isinstance(value, dict) else None
        if not isinstance(listed, list):
            raise invalid("INVALID_WPS_YAML", "must hold a list 'work_packages'", _WPS)
        for number, entry in enumerate(listed, start=1):
            where = f"{_WPS}:{entry.line}" if isinstance(entry, YamlMapping) else f"{_WPS}: entry {number}"
            work_package_id = entry.get("id") if isinstance(entry, dict) else None
            if not isinstance(entry, YamlMapping) or not isinstance(work_package_id, str) or not work_package_id:
                findings.problem("INVALID_WPS_YAML", "must be a mapping with an id", where)
            elif work_package_id in entries:
                findings.problem("DUPLICATE_WORK_PACKAGE_ID", f"{work_package_id[:80]!r} is listed twice", where)
            else:
                entries[work_package_id] = entry
    return entries
