"""Reads the issues of beads: ``.beads/issues.jsonl``, one issue a line, with typed dependencies.

`blocks` is a dependency. An issue with children is a container: no work itself, and what it waits for its children wait
for. Closed issues are left out and count as satisfied; links that order nothing are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kitty_flow.missions.beads_graph import Hierarchy
from kitty_flow.missions.beads_issues import Issue, read_issues
from kitty_flow.missions.draft import MissionDraft, WorkPackageDraft
from kitty_flow.missions.files import MAX_WORK_PACKAGES, children, invalid, is_file, is_folder, is_inside, read_text
from kitty_flow.missions.findings import Findings
from kitty_flow.missions.foreign_fields import counted
from kitty_flow.missions.foreign_history import EVENTS_FILE
from kitty_flow.missions.foreign_mission import foreign_mission
from kitty_flow.missions.foreign_names import slug_of_folder, work_package_ids

__all__ = ["KIND", "read", "recognises"]

KIND: Final = "beads"
MAX_ISSUES_BYTES: Final = 16 * 1024 * 1024
_FOLDER: Final = ".beads"
_FILES: Final = ("issues.jsonl", "beads.jsonl")


def recognises(path: Path) -> bool:
    """Whether `path` is a JSONL file (not a log of Spec Kitty), the folder ``.beads``, or one with issues of beads."""
    if is_file(path):
        return path.suffix == ".jsonl" and path.name != EVENTS_FILE
    return is_folder(path) and (path.name == _FOLDER or any(is_file(path / name) for name in _FILES))


def read(path: Path, findings: Findings) -> MissionDraft:
    """The mission in the file or folder `path`.

    Raises:
        DefinitionError: INVALID_MISSION, there is no file with issues, or it cannot be read.
    """
    file, text = path, ""
    with findings.gathering(path.name):
        file = path if is_file(path) else _file_in(path)
        text = read_text(file, file.name, limit=MAX_ISSUES_BYTES)
    findings.raise_if_invalid(path)
    issues = read_issues(text, file.name, findings)
    folder = file.parent.parent if file.parent.name == _FOLDER else file.with_suffix("")
    slug = slug_of_folder(folder, KIND)
    if issues:
        findings.guessed("NAME_GUESSED", f"the mission is called {slug}, after its folder or file", file.name)
    return foreign_mission(KIND, path, file.name, slug, _work_packages(issues, file.name, findings))


def _file_in(folder: Path) -> Path:
    known = [folder / name for name in _FILES if is_file(folder / name)]
    found = known or [path for path in children(folder) if path.suffix == ".jsonl" and is_file(path)]
    if len(found) != 1 and not known:
        message = f"holds {len(found)} JSONL files and no issues.jsonl; write one with: bd export -o issues.jsonl"
        raise invalid("NO_ISSUES_FILE", message, folder.name)
    if not is_inside(found[0], folder):
        raise invalid("UNSAFE_PATH", "is a link that leads out of the folder", found[0].name)
    return found[0]


def _work_packages(issues: Mapping[str, Issue], file: str, findings: Findings) -> tuple[WorkPackageDraft, ...]:
    hierarchy = Hierarchy(issues, file, findings)
    work = [issue for issue in issues.values() if not issue.is_closed and not hierarchy.is_container(issue.name)]
    closed = [issue.line for issue in issues.values() if issue.is_closed]
    if closed:
        message = counted("closed issues, for which nothing waits", closed)
        findings.dropped("DONE_DROPPED", message, f"{file}:{min(closed)}")
    if issues and not work:
        findings.problem("NOTHING_LEFT", "no issue is open: there is nothing left to do", file)
    if len(work) > MAX_WORK_PACKAGES:
        message = f"has {len(work)} open issues; at most {MAX_WORK_PACKAGES} make a mission"
        findings.problem("TOO_MANY_WORK_PACKAGES", message, file)
        return ()
    ids = work_package_ids(issue.name for issue in work)
    return tuple(_draft(issue, ids, hierarchy, f"{file}:{issue.line}", findings) for issue in work)


def _draft(
    issue: Issue, ids: Mapping[str, str], hierarchy: Hierarchy, where: str, findings: Findings
) -> WorkPackageDraft:
    name = ids[issue.name]
    if name != issue.name:
        findings.guessed("ID_CHANGED", f"{issue.name} is called {name} here", where)
    if issue.status != "open":
        findings.guessed("STATUS_GUESSED", f"{issue.name} is {issue.status[:40]!r} there and not begun here", where)
    parents = [hierarchy.issues[each] for each in hierarchy.parents(issue.name)]
    of = "".join(f", part of {each.name} ({' '.join(each.title.split())[:200]})" for each in parents[:5])
    return WorkPackageDraft(
        where=where,
        id=name,
        title=issue.title,
        dependencies=tuple(sorted(ids[each] for each in hierarchy.prerequisites(issue.name))),
        prompt="\n\n".join(part for part in (f"Issue {issue.name} of beads{of}.", issue.text) if part) + "\n",
    )
