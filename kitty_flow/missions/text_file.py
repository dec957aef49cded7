"""Reads a mission from one text file: a ``tasks.md`` by itself, or a document whose headings have lost their marks.

The head of the document may name the mission and its target branch; what it does not say comes from the file's name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kitty_flow.errors import DefinitionError
from kitty_flow.missions.draft import MissionDraft
from kitty_flow.missions.files import is_file, read_text
from kitty_flow.missions.findings import Findings
from kitty_flow.missions.task_lines import Line
from kitty_flow.missions.tasks_text import read_task_list

__all__ = ["KIND", "read", "recognises"]

KIND: Final = "text"
_SUFFIXES: Final = (".txt", ".md", ".markdown")
_HEAD: Final = 60
_TITLE: Final = re.compile(
    r"(?:tasks?|work packages?|task (?:plan|list)|(?:implementation |feature )?plan)"
    r"\s{0,3}[:—\u2013-]\s{0,3}(?P<title>\S.*)",
    re.IGNORECASE,
)
_SLUG: Final = re.compile(
    r"(?:\A|(?<=\s))(?:Mission(?: Slug)?|Feature):\s{0,3}([A-Za-z0-9][A-Za-z0-9-]{0,62})(?![\w-])"
)
_TARGETS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?:\A|(?<=\s))Target Branch:\s{0,3}([\w./-]{1,100})",
        r"\bmerge[_ ]target(?:[_ ]branch)?\b\s{0,3}[:=]?\s{0,3}([\w./-]{1,100})",
        r"(?:\A|(?<=\s))Branch:\s{0,3}[\w./-]{1,100}\s{0,3}(?:→|->)\s{0,3}([\w./-]{1,100})",
    )
)


def recognises(path: Path) -> bool:
    """Whether `path` is a text or Markdown file."""
    return path.suffix.lower() in _SUFFIXES and is_file(path)


def read(path: Path, findings: Findings) -> MissionDraft:
    """The mission that the text file `path` describes.

    Raises:
        DefinitionError: NO_WORK_PACKAGES, or what `read_text` raises.
    """
    tasks = read_task_list(read_text(path, path.name), path.name)
    if not tasks.work_packages:
        raise DefinitionError(
            "NO_WORK_PACKAGES",
            f"{path} has no work packages: looked for headings such as '## WP01: Title', for lines such as "
            "'WP01 — Title' or 'Work Package WP01: Title', and for a table with a column of work packages",
            hint="kitty-flow plan FILE, with the task list that was made from this document (such as tasks.md)",
            details={"path": str(path), "where": f"{path.name}:1"},
        )
    for note in (*tasks.notes, *(note for each in tasks.work_packages for note in each.notes)):
        note.tell(findings)
    for each in tasks.work_packages:
        if not each.declares:
            message = f"{each.draft.id} does not say what it depends on"
            findings.warn("DEPENDENCIES_NOT_DECLARED", message, each.draft.where)
    head = [line for line in tasks.head[:_HEAD] if not line.hidden]
    slug, title = _slug(head, path, findings), _title(head)
    return MissionDraft(
        path=path,
        where=path.name,
        kind=KIND,
        id=None,
        slug=slug,
        title=title or slug,
        target_branch=_target_branch(head),
        template="software-dev",
        work_packages=tuple(each.draft for each in tasks.work_packages),
        stated=tasks.stated,
    )


def _title(head: Sequence[Line]) -> str:
    for line in head:
        if match := _TITLE.fullmatch(line.text):
            return match["title"][:500]
    return ""


def _target_branch(head: Sequence[Line]) -> str | None:
    for pattern in _TARGETS:
        for line in head:
            if match := pattern.search(line.text):
                return match[1].rstrip(".")
    return None


def _slug(head: Sequence[Line], path: Path, findings: Findings) -> str:
    for line in head:
        if match := _SLUG.search(line.text):
            return match[1]
    name = path.parent.name if path.stem.lower() == "tasks" and path.parent.name else path.stem
    slug = (
        re.sub(r"[^A-Za-z0-9]+", "-", name.encode("ascii", "ignore").decode()).strip("-")[:63].rstrip("-") or "mission"
    )
    findings.guessed("SLUG_FROM_FILE_NAME", f"the document does not name its mission: it is called {slug}", path.name)
    return slug
