"""Who changed what is in conflict: the work packages on one side, and the commits on the target on the other."""

from __future__ import annotations

from collections.abc import Mapping

from kitty_flow.flow.mission import OpenMission
from kitty_flow.release.commits import line_of

__all__ = ["name_both_sides"]

_SHOWN = 5


def name_both_sides(mission: OpenMission, target: str, heads: Mapping[str, str], paths: tuple[str, ...]) -> str:
    """In words, for the first of the paths: which work packages changed it, and which commit on the target did."""
    shown = [_path(mission, target, heads, path) for path in paths[:_SHOWN]]
    more = f"; and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return "; ".join(shown) + more


def _path(mission: OpenMission, target: str, heads: Mapping[str, str], path: str) -> str:
    git, known = mission.project.repository.git, [target]
    literal = f":(top,literal){path}"
    names = []
    for name, head in heads.items():
        words = (
            "rev-list",
            "-1",
            "--no-merges",
            "--end-of-options",
            head,
            *(f"^{commit}" for commit in known),
            "--",
            literal,
        )
        if git.text(*words):
            names.append(name)
        known.append(head)
    span = ("--end-of-options", target, *(f"^{head}" for head in heads.values()), "--", literal)
    there = git.text("log", "-1", "--no-merges", "--format=%h %s", *span)
    ours = " and ".join(names) or mission.branch.removeprefix("refs/heads/")
    on_target = f"on {mission.target_branch} by {line_of(there)!r:.80}" if there else f"on {mission.target_branch}"
    return f"{path} was changed by {ours}, and {on_target}"
