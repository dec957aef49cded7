"""The focused pull-request branch: the mission's work alone, on top of what the remote has (seed 004).

For a target that has diverged: the branch carries nothing of the local target that the remote does not know.
"""

from __future__ import annotations

from dataclasses import dataclass

from kitty_flow.errors import ConflictError, RefusedError, UsageError
from kitty_flow.flow.mission import OpenMission
from kitty_flow.git.merging import open_merger
from kitty_flow.git.refs import ABSENT
from kitty_flow.model.text import printable
from kitty_flow.release.commits import write_merge
from kitty_flow.release.remote_gate import divergence

__all__ = ["FocusedBranch", "make_focused_branch"]


@dataclass(frozen=True)
class FocusedBranch:
    """A branch that was made, or was there already: its short name, its commit, and what it is on top of.

    `remote` and `base` are the parts of `upstream`, either of which may have slashes of its own.
    """

    branch: str
    commit: str
    upstream: str
    upstream_commit: str
    remote: str
    base: str


def make_focused_branch(mission: OpenMission) -> FocusedBranch:
    """Make ``kitty/pr/<slug>-to-<target>`` at the mission's own commits, merged onto the remote's branch.

    Asked again with nothing changed it finds the same commit. The target is not touched.

    Raises:
        UsageError: NO_UPSTREAM, the target follows no remote branch.
        RefusedError: MERGE_CONFLICT, the mission does not merge with what the remote has; CARRIES_LOCAL_COMMITS, the
            mission was begun from commits of the target that the remote does not have.
        ConflictError: BRANCH_TAKEN, the branch is there with commits that this one does not contain.
    """
    found = divergence(mission)
    if found is None or found.commit is None:
        raise UsageError(
            "NO_UPSTREAM",
            f"{mission.target_branch} follows no remote branch that is there, so there is nothing to put the work on",
            hint=f"git branch --set-upstream-to=REMOTE/{mission.target_branch} {mission.target_branch}",
        )
    repository = mission.project.repository
    head = str(repository.refs.commit(mission.branch))
    entity = mission.view().entity("mission", mission.id)
    base = str(entity.facts.get("base_commit", "")) if entity else ""
    if base and not mission.project.history.is_ancestor(base, found.commit):
        raise RefusedError(
            "CARRIES_LOCAL_COMMITS",
            f"{mission.slug} was begun at {base[:12]}, which {found.upstream} does not have: "
            "a pull request would carry foreign commits",
            hint=f"bring {mission.target_branch} and {found.upstream} together, then kitty-flow merge {mission.slug}",
        )
    commit = _merged(mission, found.commit, head, found.upstream)
    name = f"kitty/pr/{mission.slug}-to-{mission.target_branch}"
    _place(mission, name, commit)
    return FocusedBranch(name, commit, found.upstream, found.commit, found.remote, found.base)


def _merged(mission: OpenMission, upstream_commit: str, head: str, upstream: str) -> str:
    if mission.project.history.is_ancestor(upstream_commit, head):
        return head
    with open_merger(mission.project.repository) as merger:
        merged = merger.merge_trees(upstream_commit, head)
    if not merged.is_clean:
        raise RefusedError(
            "MERGE_CONFLICT",
            f"{mission.slug} conflicts with {upstream} in: {', '.join(merged.conflicts[:10])}",
            hint=f"git switch {mission.branch.removeprefix('refs/heads/')} && git merge {upstream}, resolve, commit, "
            f"then kitty-flow merge {mission.slug} --pr-branch",
            details={"conflicts": list(merged.conflicts)},
        )
    message = f"{printable(mission.definition.title).strip()}\n\nMission: {mission.slug}\n"
    return write_merge(mission, merged.tree, (upstream_commit, head), message)


def _place(mission: OpenMission, name: str, commit: str) -> None:
    refs, ref = mission.project.repository.refs, f"refs/heads/{name}"
    before = refs.commit(ref)
    if before == commit:
        return
    if before is not None and not mission.project.history.is_ancestor(before, commit):
        raise ConflictError(
            "BRANCH_TAKEN",
            f"{name} is at {before[:12]}, which has commits of its own",
            hint=f"git branch -m {name} ANOTHER-NAME, then type the command again",
        )
    refs.swap(ref, commit, before or ABSENT, is_ours=True)
