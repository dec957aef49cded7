"""A release as a bundle tells it, compared with the commits and tags of this clone; no remote or index is asked."""

from __future__ import annotations

import re
from typing import Any, Final

from kitty_flow.git.history import History
from kitty_flow.git.process import GitFailedError
from kitty_flow.git.repository import Repository
from kitty_flow.release.evidence.finding import Finding, failed, passed, unknown

__all__ = ["check_release"]

_NAME: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_TAG: Final = re.compile(r"[^\s\x00-\x20~^:?*\[\\\x7f]+")


def check_release(repository: Repository, release: dict[str, Any], landings: list[dict[str, Any]]) -> list[Finding]:
    """The commit that was shipped with its tree, the landings in it, and the tag, where this clone has it.

    `landings` are those of the same bundle, after their own commits were checked.
    """
    commit, tag = release["commit"], release["tag"]
    names = (commit, release["tree"], release["tag_object"])
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        return [failed("release", "it names no commits by their full names")]
    if not isinstance(tag, str) or not _TAG.fullmatch(tag):
        return [failed("tag", "its tag has no name that a tag can have")]
    history = History(repository.store_git)
    try:
        if history.tree(commit) != release["tree"]:
            return [failed("release", f"the commit {commit[:12]} has another tree than the one that was shipped")]
        away = [each["id"] for each in landings if not history.is_ancestor(each["commit"], commit)]
    except GitFailedError:
        return [failed("release", f"the commit {commit[:12]} that was shipped is not in this clone; git fetch")]
    if away:
        return [failed("release", f"the commit {commit[:12]} does not contain what landed with {', '.join(away)}")]
    told = passed("release", f"the commit {commit[:12]} of {release['version']} contains everything that landed")
    return [told, _tag(repository, tag, release["tag_object"], commit)]


def _tag(repository: Repository, tag: str, wanted: str, commit: str) -> Finding:
    ref = f"refs/tags/{tag}"
    found = repository.refs.read(ref)
    if found is None:
        return unknown("tag", f"this clone does not have the tag {tag}; git fetch --tags")
    if found == wanted and repository.refs.commit(ref) == commit:
        return passed("tag", f"{tag} is the tag that was made, at {commit[:12]}")
    return failed("tag", f"{tag} is not the tag {wanted[:12]} that was made for {commit[:12]}")
