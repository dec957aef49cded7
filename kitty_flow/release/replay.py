"""The commits of a mission replayed one after the other on the target: a straight line, each with its author."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from kitty_flow.flow.mission import OpenMission
from kitty_flow.git.identity import OWN_IDENTITY
from kitty_flow.git.merging import open_merger
from kitty_flow.git.objects import CommitText, ObjectStore

__all__ = ["Replay", "own_commits", "replay"]


class _Commit(NamedTuple):
    """What of a commit is kept: its tree, its author's ident line, its committer's moment (unix, zone), its message."""

    tree: str
    author: str
    moment: tuple[int, str]
    message: str


@dataclass(frozen=True)
class Replay:
    """Where a replay ended: the last commit and its tree; with a conflict, which commit stopped it, and the paths."""

    commit: str
    tree: str
    stopped_at: str = ""
    paths: tuple[str, ...] = ()


def own_commits(
    mission: OpenMission, base: str, heads: Mapping[str, str], tip: str
) -> dict[str, list[tuple[str, ...]]]:
    """The commits of each head that neither `base` nor an earlier head has, oldest first, each with its parents.

    What `tip`, the mission branch, has beyond the heads stands under the empty name.
    """
    found: dict[str, list[tuple[str, ...]]] = {}
    known = [base]
    for name, head in (*heads.items(), ("", tip)):
        words = (
            "rev-list",
            "--reverse",
            "--topo-order",
            "--parents",
            "--end-of-options",
            head,
            *(f"^{commit}" for commit in known),
            "--",
        )
        found[name] = [tuple(line.split()) for line in mission.project.repository.git.text(*words).splitlines()]
        known.append(head)
    return found


def replay(mission: OpenMission, base: str, heads: Mapping[str, str], tip: str) -> Replay:
    """Apply the change of every commit that is no merge, in merge order, on `base`; made again, it is the same.

    What the target has already leaves nothing behind. A commit that stands where it would be put is taken as it is.

    Raises:
        GitFailedError: a commit cannot be merged at all.
    """
    history = mission.project.history
    at, tree = base, history.tree(base)
    with open_merger(mission.project.repository) as merger, mission.project.repository.objects() as objects:
        for name, commit, parent in _changes(mission, base, heads, tip):
            read = _read(objects, commit)
            if parent == at:
                at, tree = commit, read.tree
                continue
            merged = merger.merge_trees(_standing_on(objects, parent, tree, read), commit)
            if not merged.is_clean:
                return Replay(at, tree, f"{name or mission.branch} ({commit[:12]})", merged.conflicts)
            if merged.tree != tree:
                at, tree = _write(mission, objects, merged.tree, at, read), merged.tree
    return Replay(at, tree)


def _changes(mission: OpenMission, base: str, heads: Mapping[str, str], tip: str) -> Iterator[tuple[str, str, str]]:
    for name, commits in own_commits(mission, base, heads, tip).items():
        yield from ((name, commit, parents[0]) for commit, *parents in commits if len(parents) == 1)


def _standing_on(objects: ObjectStore, parent: str, tree: str, like: _Commit) -> str:
    """A commit with `tree` whose only parent is `parent`: merging it and another child of `parent` applies the child.

    `git merge-tree --merge-base` would say the same and needs git 2.40.
    """
    ident = f"{OWN_IDENTITY} {like.moment[0]} {like.moment[1]}"
    return objects.write_commit(CommitText(tree, (parent,), ident, ident, "Where a commit is replayed\n"))


def _write(mission: OpenMission, objects: ObjectStore, tree: str, parent: str, original: _Commit) -> str:
    moment = max(original.moment, _read(objects, parent).moment)
    identity = mission.project.repository.identity or OWN_IDENTITY
    committer = f"{identity} {moment[0]} {moment[1]}"
    return objects.write_commit(CommitText(tree, (parent,), original.author, committer, original.message))


def _read(objects: ObjectStore, commit: str) -> _Commit:
    found = objects.read(commit)
    head, _, message = (found[1] if found else b"").partition(b"\n\n")
    lines = dict(line.split(b" ", 1) for line in head.split(b"\n") if line[:1] != b" " and b" " in line)
    charset = lines.get(b"encoding", b"utf-8").decode("ascii", "replace")
    try:
        author, text = lines[b"author"].decode(charset), message.decode(charset)
    except (LookupError, UnicodeDecodeError):
        author, text = lines[b"author"].decode("utf-8", "replace"), message.decode("utf-8", "replace")
    _, seconds, zone = lines[b"committer"].rsplit(b" ", 2)
    return _Commit(lines[b"tree"].decode(), author, (int(seconds), zone.decode("ascii", "replace")), text)
