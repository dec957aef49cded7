"""Reads the Spec Kitty layout: `meta.json`, `tasks/WP*.md` with YAML frontmatter, and `wps.yaml` where there is one.

Fields that kitty-flow has no use for are the origin's business and pass without a word. What is odd but readable is
a warning; what would change the plan silently is a problem. In `wps.yaml`, dependencies and owned files win over the
frontmatter; its other fields only fill gaps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from kitty_flow.errors import DefinitionError
from kitty_flow.missions.draft import MissionDraft, WorkPackageDraft
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
from kitty_flow.missions.spec_kitty_fields import string, strings, subtasks
from kitty_flow.missions.yaml_text import YamlValue, parse_yaml, split_frontmatter
from kitty_flow.model.ids import check_mission_slug, is_ulid, natural_key

__all__ = ["KIND", "has_work_packages", "mission_slug", "read", "read_meta", "recognises"]

KIND: Final = "spec-kitty"
_META: Final = "meta.json"
_WPS: Final = "wps.yaml"
_FILE_NAME: Final = re.compile(r"(WP[0-9]+)(?![0-9]).*\.md", re.DOTALL)

_Fields = Mapping[str, YamlValue]


def recognises(folder: Path) -> bool:
    """Whether `folder` holds a mission in the Spec Kitty layout."""
    return is_folder(folder) and (is_file(folder / _META) or is_folder(folder / "tasks"))


def has_work_packages(folder: Path) -> bool:
    """Whether the mission has come as far as work packages; looks at names only.

    Raises:
        DefinitionError: UNREADABLE_FILE, the tasks folder cannot be listed.
    """
    return is_file(folder / _WPS) or bool(_work_package_files(folder))


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
    work_packages, unreadable = _read_work_packages(folder, entries, findings)
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
        work_packages=work_packages,
        unreadable=unreadable,
    )


def _meta_text(meta: Mapping[str, Any], key: str, usable: Callable[[str], bool], findings: Findings) -> str | None:
    value = meta.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, str) and usable(value):
        return value
    findings.warn("META_FIELD_IGNORED", f"{key} {str(value)[:80]!r} is not usable and counts as absent", _META)
    return None


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


def _read_work_packages(
    folder: Path, entries: Mapping[str, _Fields], findings: Findings
) -> tuple[tuple[WorkPackageDraft, ...], frozenset[str]]:
    """The drafts, and the ids of files that could not be read (so that nobody is told that they do not exist)."""
    drafts: list[WorkPackageDraft] = []
    unreadable: set[str] = set()
    files: list[tuple[str, Path]] = []
    with findings.gathering("tasks"):
        files = _work_package_files(folder)
    if len(files) > MAX_WORK_PACKAGES:
        findings.problem("TOO_MANY_WORK_PACKAGES", f"more than {MAX_WORK_PACKAGES} work package files", "tasks")
        files = files[:MAX_WORK_PACKAGES]
    for name_id, path in files:
        before = len(findings.problems)
        where = f"tasks/{path.name}".encode("utf-8", "backslashreplace").decode()
        with findings.gathering(where):
            if where != f"tasks/{path.name}":
                raise invalid("UNUSABLE_PATH", "the file name is not UTF-8 text", where)
            drafts.append(_read_file(path, folder, name_id, entries, findings))
        if len(findings.problems) > before:
            unreadable.add(name_id)
    written = {draft.id for draft in drafts} | unreadable
    for work_package_id, entry in entries.items():
        if work_package_id not in written:
            where = f"{_WPS}: {work_package_id[:40]}"
            findings.warn("NO_PROMPT_FILE", "has no file under tasks/: the prompt is empty", where)
            drafts.append(_draft(work_package_id, {}, entry, "", where, findings))
    return tuple(sorted(drafts, key=lambda draft: natural_key(draft.id))), frozenset(unreadable)


def _read_file(
    path: Path, folder: Path, name_id: str, entries: Mapping[str, _Fields], findings: Findings
) -> WorkPackageDraft:
    where = f"tasks/{path.name}"
    head, body = split_frontmatter(_read_inside(path, folder), where)
    fields = parse_yaml(head, where, first_line=2) or {}
    if not isinstance(fields, dict):
        raise invalid("INVALID_YAML", "the frontmatter must be a mapping of fields", where)
    work_package_id = string(fields, "work_package_id", where, findings) or name_id
    if work_package_id.casefold() != name_id.casefold():
        findings.warn("ID_DIFFERS_FROM_FILE", f"work_package_id is {work_package_id[:80]!r}, which counts", where)
    if entries and work_package_id not in entries:
        findings.warn(
            "NOT_IN_WPS_YAML", f"{work_package_id[:80]} is missing in wps.yaml; its frontmatter counts", where
        )
    return _draft(work_package_id, fields, entries.get(work_package_id, {}), body, where, findings)


def _draft(
    work_package_id: str, fields: _Fields, entry: _Fields, body: str, where: str, findings: Findings
) -> WorkPackageDraft:
    chosen = {**entry, **fields, **{key: entry[key] for key in ("dependencies", "owned_files") if key in entry}}
    dependencies = strings(chosen, "dependencies", where, findings)
    if "dependencies" not in chosen:
        findings.warn("DEPENDENCIES_NOT_DECLARED", f"{work_package_id[:80]} does not say what it depends on", where)
    elif "dependencies" in entry and "dependencies" in fields:
        written = strings(fields, "dependencies", where, findings)
        if written and set(written) != set(dependencies):
            findings.warn(
                "DEPENDENCIES_DISAGREE",
                f"{work_package_id[:80]}: frontmatter says {_listed(written)}, wps.yaml says "
                f"{_listed(dependencies)}; wps.yaml counts",
                where,
            )
    return WorkPackageDraft(
        where=where,
        id=work_package_id,
        title=string(chosen, "title", where, findings),
        dependencies=dependencies,
        owned_files=strings(chosen, "owned_files", where, findings),
        execution_mode=string(chosen, "execution_mode", where, findings) or "code_change",
        subtasks=subtasks(chosen, where, findings),
        requirement_refs=strings(chosen, "requirement_refs", where, findings),
        prompt=body,
    )


def _listed(ids: tuple[str, ...]) -> str:
    return ", ".join(text[:40] for text in ids[:20]) or "none"


def _read_entries(folder: Path, findings: Findings) -> dict[str, _Fields]:
    """The entries of `wps.yaml` by id; empty when there is no such file."""
    entries: dict[str, _Fields] = {}
    if not exists(folder / _WPS):
        return entries
    with findings.gathering(_WPS):
        value = parse_yaml(_read_inside(folder / _WPS, folder), _WPS)
        listed = value.get("work_packages") if isinstance(value, dict) else None
        if not isinstance(listed, list):
            raise invalid("INVALID_WPS_YAML", "must hold a list 'work_packages'", _WPS)
        for number, entry in enumerate(listed, start=1):
            where = f"{_WPS}: entry {number}"
            work_package_id = entry.get("id") if isinstance(entry, dict) else None
            if not isinstance(entry, dict) or not isinstance(work_package_id, str) or not work_package_id:
                findings.problem("INVALID_WPS_YAML", "must be a mapping with an id", where)
            elif work_package_id in entries:
                findings.problem("DUPLICATE_WORK_PACKAGE_ID", f"{work_package_id[:80]!r} is listed twice", where)
            else:
                entries[work_package_id] = entry
    return entries
