"""Commits of a landing: they follow from their parents and the mission alone, so that made again they are the same."""

from __future__ import annotations

from kitty_flow.flow.mission import OpenMission
from kitty_flow.git.identity import OWN_IDENTITY, stamp
from kitty_flow.git.objects import CommitText
from kitty_flow.model.text import printable

__all__ = ["landing_message", "line_of", "merge_message", "write_merge"]


def write_merge(
    mission: OpenMission, tree: str, parents: tuple[str, ...], message: str, *, dated_by: tuple[str, ...] = ()
) -> str:
    """Write a commit that depends on nothing but what it is given: made again, it is the same commit.

    It is dated by the latest of its parents, or of the commits `dated_by`.
    """
    repository, at = mission.project.repository, mission.project.history.committed_at(*(dated_by or parents))
    now = stamp(repository.identity or OWN_IDENTITY, at)
    with repository.objects() as objects:
        return objects.write_commit(CommitText(tree, parents, now, now, message))


def landing_message(mission: OpenMission, work_package_ids: tuple[str, ...]) -> str:
    """The message of a commit that lands these work packages together."""
    lines = [f"- {i}: {line_of(mission.definition.work_package(i).title)}\n" for i in work_package_ids]
    paragraphs = [f"Land {line_of(mission.definition.title)}\n", "".join(lines), f"Mission: {mission.slug}\n"]
    return "\n".join(paragraph for paragraph in paragraphs if paragraph)


def merge_message(mission: OpenMission, work_package_id: str) -> str:
    """The message of a commit that merges one work package."""
    title = line_of(mission.definition.work_package(work_package_id).title)
    return f"Merge {work_package_id}: {title}\n\nMission: {mission.slug}\n"


def line_of(text: str) -> str:
    """Text of a mission as one line that is safe to show."""
    return printable(text).strip()
