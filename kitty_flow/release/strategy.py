"""How a mission lands: as a merge, as one commit, or as a straight line of commits; the tree is the same each time.

A strategy only chooses the commits. No strategy resolves a conflict, and none of git's strategy options is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from kitty_flow.git.identity import OWN_IDENTITY
from kitty_flow.release.commits import landing_message, line_of, write_merge
from kitty_flow.release.landing import Landing
from kitty_flow.release.replay import replay

__all__ = ["STRATEGIES", "commit_candidate"]


def commit_candidate(landing: Landing, tree: str) -> None:
    """Make the commit that would land with `tree`, which is that of merging the mission into the target.

    Where the strategy cannot come to this tree, `conflicts` and `obstacle` say so, and there is no candidate.
    """
    before = str(landing.target_commit)
    is_there = landing.strategy != "merge" and tree == landing.mission.project.history.tree(before)
    commit = before if is_there else STRATEGIES[landing.strategy](landing, tree)
    if commit:
        landing.candidate_commit, landing.candidate_tree = commit, tree


def _merge(landing: Landing, tree: str) -> str:
    """One commit with two parents, the target and the mission branch."""
    parents = (str(landing.target_commit), str(landing.mission_head))
    return write_merge(landing.mission, tree, parents, landing_message(landing.mission, tuple(landing.heads)))


def _squash(landing: Landing, tree: str) -> str:
    """One commit on the target; whoever wrote or helped to write what it holds stands in its trailers."""
    before, head = str(landing.target_commit), str(landing.mission_head)
    message = landing_message(landing.mission, tuple(landing.heads))
    trailers = "".join(f"Co-authored-by: {author}\n" for author in _authors(landing))
    return write_merge(landing.mission, tree, (before,), message + trailers, dated_by=(before, head))


def _authors(landing: Landing) -> list[str]:
    """The authors and co-authors of the mission's commits in order of appearance, without who lands them."""
    repository = landing.mission.project.repository
    form = "--format=%an <%ae>%n%(trailers:key=Co-authored-by,valueonly,unfold)"
    span = ("--end-of-options", str(landing.mission_head), f"^{landing.target_commit}", "--")
    lines = repository.git.text("log", "--reverse", "--no-merges", form, *span).splitlines()
    own = repository.identity or OWN_IDENTITY
    return [name for name in dict.fromkeys(line_of(line) for line in lines) if name and name != own]


def _rebase(landing: Landing, tree: str) -> str:
    """The mission's own commits, replayed; they have to end in the tree of the merge."""
    mission, target = landing.mission, landing.mission.target_branch
    made = replay(mission, str(landing.target_commit), landing.heads, str(landing.mission_head))
    if made.stopped_at:
        landing.conflicts = made.paths
        landing.obstacle = f"{made.stopped_at} cannot be replayed on {target}: it conflicts in"
    elif made.tree != tree:
        landing.conflicts = mission.project.history.changed_paths(made.tree, tree)
        landing.obstacle = f"the commits of {mission.slug}, replayed on {target}, are not what merging it gives, in"
    return "" if landing.conflicts else made.commit


STRATEGIES: Final[Mapping[str, Callable[[Landing, str], str]]] = {"merge": _merge, "squash": _squash, "rebase": _rebase}
"""By name: each makes the commit for a landing and a tree, or nothing."""
