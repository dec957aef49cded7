"""The draft of a mission that another tool keeps: it has no ULID, no target branch and no template."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kitty_flow.missions.draft import MissionDraft, WorkPackageDraft

__all__ = ["foreign_mission"]


def foreign_mission(
    kind: str,
    path: Path,
    where: str,
    slug: str,
    work_packages: tuple[WorkPackageDraft, ...],
    *,
    title: str = "",
    requirements: Mapping[str, str] | None = None,
) -> MissionDraft:
    """The draft of the mission at `path`; problems of its own fields are reported at `where`."""
    return MissionDraft(
        path=path,
        where=where,
        kind=kind,
        id=None,
        slug=slug,
        title=title or slug,
        target_branch=None,
        template="software-dev",
        work_packages=work_packages,
        requirements=requirements,
    )
