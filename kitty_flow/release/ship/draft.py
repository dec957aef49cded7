"""An entry for the changelog, drafted from what the mission did; it is shown and never written into a file."""

from __future__ import annotations

from kitty_flow.model.mission import WorkPackage
from kitty_flow.model.text import printable
from kitty_flow.release.ship.changelog import Entry, heading_like
from kitty_flow.release.ship.sheet import Release

__all__ = ["drafted_block"]

_GROUPS = (("code_change", "Changed"), ("planning_artifact", "Documents"))


def drafted_block(release: Release, like: Entry | None) -> str:
    """Title, then the work packages that are done, by kind, with the requirements that they meet.

    The heading has the form of the entry `like`; its date is the day of the release commit.
    """
    mission = release.mission
    day = mission.project.history.committed_at(release.commit).date().isoformat()
    view = mission.view()
    done = [w for w in mission.definition.work_packages if mission.work_package(w.id, view).state == "done"]
    lines = [heading_like(like, release.version, day), "", _line(mission.definition.title)]
    deeper = f"{like.level}#" if like and like.level.startswith("#") else "###"
    for mode, title in _GROUPS:
        group = [w for w in done if w.execution_mode == mode]
        if group:
            lines += ["", f"{deeper} {title}", "", *(_item(work_package) for work_package in group)]
    return "\n".join(lines) + "\n"


def _item(work_package: WorkPackage) -> str:
    refs = ", ".join(_line(ref) for ref in work_package.requirement_refs)
    return f"- {_line(work_package.title)} ({work_package.id}{'; ' + refs if refs else ''})"


def _line(text: str) -> str:
    return printable(text).strip()
