"""The common form between a reader and validation: typed, complete, not yet trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from kitty_flow.model.mission import Subtask

__all__ = ["MissionDraft", "StatedOrder", "WorkPackageDraft"]


@dataclass(frozen=True, slots=True)
class WorkPackageDraft:
    """One work package as written.

    `where` is the file, or the place in the file, that a problem is reported at; `places` are the places of single
    fields, by field name, where the reader knows them (`place`). `created_files` are patterns of `owned_files` that
    need not match a file yet, None where the source knows no such declaration. `surface` is the folder or file that
    this work package speaks for, and lies within its owned files. `changes` off: it changes no files.
    """

    where: str
    id: str
    title: str
    dependencies: tuple[str, ...] = ()
    owned_files: tuple[str, ...] = ()
    execution_mode: str = "code_change"
    subtasks: tuple[Subtask, ...] = ()
    requirement_refs: tuple[str, ...] = ()
    prompt: str = ""
    created_files: tuple[str, ...] | None = None
    surface: str | None = None
    changes: bool = True
    places: Mapping[str, str] = field(default_factory=dict)

    def place(self, name: str) -> str:
        """Where the field `name` is written, such as ``tasks/WP02-cli.md:5``."""
        return self.places.get(name, self.where)


class StatedOrder(NamedTuple):
    """What prose claims about the order: the work packages of `together` can run at the same time, at `where`."""

    where: str
    together: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MissionDraft:
    """One mission as written. `path` is what was read, `where` how its own fields are named in a problem.

    `unreadable` are ids of work packages that exist but could not be read; each has its own problem already.
    `requirements` are the ids that the specification lists, with their places, or None where there is none; `stated` is
    what the source's prose says about waves, to be compared with the declared graph.
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
    requirements: Mapping[str, str] | None = None
    stated: tuple[StatedOrder, ...] = ()
