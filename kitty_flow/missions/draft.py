"""The common form between a reader and validation: typed, complete, not yet trusted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kitty_flow.model.mission import Subtask

__all__ = ["MissionDraft", "WorkPackageDraft"]


@dataclass(frozen=True, slots=True)
class WorkPackageDraft:
    """One work package as written; `where` is the file, or the place in the file, that a problem is reported at."""

    where: str
    id: str
    title: str
    dependencies: tuple[str, ...] = ()
    owned_files: tuple[str, ...] = ()
    execution_mode: str = "code_change"
    subtasks: tuple[Subtask, ...] = ()
    requirement_refs: tuple[str, ...] = ()
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class MissionDraft:
    """One mission as written. `path` is what was read, `where` how its own fields are named in a problem.

    `unreadable` are ids of work packages that exist but could not be read; each has its own problem already.
    """

    path: Path
    where: str
    kind: str
    id: str | None
    slug: str
    title: str
    target_branch: str | None
    template: str
    work_packages: tuple[WorkPackageDraft, ...]
    unreadable: frozenset[str] = frozenset()
