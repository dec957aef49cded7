"""A landing as a bundle tells it, compared with the commits of this clone; no remote is asked."""

from __future__ import annotations

import re
from typing import Any, Final

from kitty_flow.errors import KittyFlowError
from kitty_flow.git.history import History
from kitty_flow.git.merging import Merger, open_merger
from kitty_flow.git.objects import ObjectStore
from kitty_flow.git.process import GitFailedError
from kitty_flow.git.repository import Repository
from kitty_flow.release.evidence.finding import Finding, failed, passed, unknown

__all__ = ["check_landing"]

_NAME: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_MERGES: Final = 1000
_BRANCH: Final = re.compile(r"refs/heads/[^\s\x00-\x20~^:?*\[\\\x7f]+")


def check_landing(repository: Repository, landing: dict[str, Any]) -> list[Finding]:
    """The landed commit and its tree, its place on the target, the work in it, and the merge made once more."""
    names = [landing["commit"], landing["tree"], landing["target_commit_before"], landing["mission_head"]]
    names += [each["head"] for each in landing["work_packages"]]
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        return [failed("commit", "it names no commits by their full names")]
    if not isinstance(landing["target_ref"], str) or not _BRANCH.fullmatch(landing["target_ref"]):
        return [failed("target", "its target is not a branch")]
    with repository.objects() as objects:
        commit = landing["commit"]
        if not _is_commit(objects, commit):
            more = " (this clone is shallow: git fetch --unshallow)" if _is_shallow(repository) else ""
            return [failed("commit", f"the commit {commit[:12]} that landed is not in this clone{more}; git fetch")]
        if objects.tree_of(commit) != landing["tree"]:
            return [failed("commit", f"the commit {commit[:12]} has another tree than the one that was tested")]
        found = [passed("commit", f"the commit {commit[:12]} has the tested tree {landing['tree'][:12]}")]
        history = History(repository.store_git)
        found.append(_on_target(repository, history, landing))
        found.append(_on_top(history, objects, landing))
        found.append(_work(history, objects, landing))
        found.append(_made_again(repository, objects, landing))
    return found


def _is_commit(objects: ObjectStore, name: str) -> bool:
    found = objects.read(name)
    return found is not None and found[0] == "commit"


def _is_shallow(repository: Repository) -> bool:
    return (repository.common_dir / "shallow").exists()


def _contains(history: History, tip: str, commit: str) -> bool:
    try:
        return history.is_ancestor(commit, tip)
    except GitFailedError:
        return False  # one of both is not here


def _on_target(repository: Repository, history: History, landing: dict[str, Any]) -> Finding:
    """Whether the target here, or as a remote had it when it was fetched last, contains the commit."""
    branch = landing["target_ref"].removeprefix("refs/heads/")
    refs = repository.refs.under(landing["target_ref"])
    refs |= {
        name: tip for name, tip in repository.refs.under("refs/remotes/").items() if name.split("/", 3)[3:] == [branch]
    }
    holding = [name for name, tip in refs.items() if _contains(history, tip, landing["commit"])]
    if holding:
        return passed("target", f"{holding[0]} contains it")
    if not refs:
        return failed("target", f"this clone has no branch {branch}, neither its own nor a remote's")
    return failed("target", f"{', '.join(sorted(refs))} does not contain the commit {landing['commit'][:12]}")


def _on_top(history: History, objects: ObjectStore, landing: dict[str, Any]) -> Finding:
    """The commit lies on the commit that the target had before: nothing that was there was lost."""
    before, commit = landing["target_commit_before"], landing["commit"]
    if not _is_commit(objects, before):
        return unknown("before", f"the commit {before[:12]} that the target had before is not in this clone")
    if _contains(history, commit, before):
        return passed("before", f"it lies on {before[:12]}, where the target was before")
    return failed("before", f"it does not contain {before[:12]}, where the target was before")


def _work(history: History, objects: ObjectStore, landing: dict[str, Any]) -> Finding:
    """Every approved head: part of the landed history, or, where commits were rewritten, of the merge made again."""
    heads = {each["id"]: each["head"] for each in landing["work_packages"]}
    away = [name for name, head in heads.items() if not _contains(history, landing["commit"], head)]
    if not away:
        return passed("work", f"the commit contains the approved heads of {', '.join(heads) or 'nothing'}")
    missing = [name for name in away if not _is_commit(objects, heads[name])]
    if landing["strategy"] == "merge":
        return failed("work", f"the commit does not contain the approved heads of {', '.join(away)}")
    if missing:
        return unknown("work", f"the approved commits of {', '.join(missing)} are not in this clone")
    outside = [name for name in away if not _contains(history, landing["mission_head"], heads[name])]
    if outside:
        return failed("work", f"the mission's commit does not contain the approved heads of {', '.join(outside)}")
    return passed("work", f"the mission's commit {landing['mission_head'][:12]} contains {', '.join(away)}")


def _made_again(repository: Repository, objects: ObjectStore, landing: dict[str, Any]) -> Finding:
    """Every merge between the old target and the landed commit made once more: each has to give the very same tree."""
    before, commit = landing["target_commit_before"], landing["commit"]
    words = ("rev-list", "--first-parent", "--parents", f"--max-count={_MERGES}", commit, f"^{before}", "--")
    try:
        rows = [line.split() for line in repository.store_git.text(*words).splitlines()]
        merges = [(parents[0], parents[1], made) for made, *parents in rows if len(parents) == 2]
        with open_merger(repository, keep_trees=False) as merger:
            if rows and not merges:
                return _rewritten(merger, objects, landing)
            again = merger.merge_pairs([(ours, theirs) for ours, theirs, _ in merges])
    except KittyFlowError:
        return unknown("merge", "not everything that was merged is in this clone, so it was not merged again")
    for (ours, theirs, made), merged in zip(merges, again, strict=True):
        if not merged.is_clean or merged.tree != objects.tree_of(made):
            return failed("merge", f"merging {theirs[:12]} into {ours[:12]} does not give the tree of {made[:12]}")
    if not merges:
        return passed("merge", "the target had all of it before: nothing was merged")
    return passed("merge", f"merging {', '.join(theirs[:12] for _, theirs, _ in merges)} again gives the same tree")


def _rewritten(merger: Merger, objects: ObjectStore, landing: dict[str, Any]) -> Finding:
    """Where the commits were rewritten (squash, rebase): merging the mission into the old target gives the tree.

    Or merging the approved heads alone does: the mission's commit also has what the merge sent back to work.
    """
    before, head, commit = landing["target_commit_before"], landing["mission_head"], landing["commit"]
    wanted = objects.tree_of(commit)
    merged = merger.merge_trees(before, head)
    if merged.is_clean and merged.tree == wanted:
        return passed("merge", f"merging {head[:12]} again gives the same tree")
    names = ", ".join(each["id"] for each in landing["work_packages"])
    alone = merger.merge_all(before, [each["head"] for each in landing["work_packages"]])
    if alone.is_clean and alone.tree == wanted:
        return passed("merge", f"merging the approved heads of {names} alone again gives the same tree")
    return failed(
        "merge", f"merging {head[:12]} into {before[:12]}, or {names} alone, does not give the tree of {commit[:12]}"
    )
