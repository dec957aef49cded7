"""Every commit on the target's first-parent line since a mission began: is it a tree that was tested?

MERGE.md, G1: a commit that landed through kitty-flow has a recorded pass for exactly its tree; any other commit is
named as not ours. A rebase is the exception that is told: of its commits only the last one was tested.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from kitty_flow.errors import KittyFlowError, RefusedError
from kitty_flow.flow.mission import OpenMission
from kitty_flow.ledger.catalog import catalog
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.ledger.view import LedgerView

__all__ = ["FirstParent", "TargetCommit", "first_parent"]

_SHOWN: Final = 5
_LISTED: Final = 1000


class TargetCommit(NamedTuple):
    """A commit on the line. `merge_id` is the landing that put it there, None when none of ours did.

    One that `is_replayed` lies below the commit that a rebase landed: the target went over it in one step.
    """

    commit: str
    tree: str
    merge_id: str | None
    is_tested: bool
    is_replayed: bool = False


@dataclass(frozen=True)
class FirstParent:
    """The line from the commit `since`, where the mission began (None: not known), newest first."""

    since: str | None
    commits: tuple[TargetCommit, ...]

    @property
    def tested(self) -> tuple[TargetCommit, ...]:
        """Those whose very tree has a recorded pass."""
        return tuple(each for each in self.commits if each.is_tested)

    @property
    def untested(self) -> tuple[TargetCommit, ...]:
        """Those that a landing of ours put there without a recorded pass, and should have one."""
        return tuple(e for e in self.commits if e.merge_id and not e.is_tested and not e.is_replayed)

    @property
    def replayed(self) -> tuple[TargetCommit, ...]:
        """Those below the tested commit of a rebase, which were not tested by themselves."""
        return tuple(each for each in self.commits if each.is_replayed and not each.is_tested)

    @property
    def not_ours(self) -> tuple[TargetCommit, ...]:
        """Those that somebody else put there, without a recorded pass."""
        return tuple(each for each in self.commits if each.merge_id is None and not each.is_tested)

    @property
    def holds(self) -> bool:
        """Whether every commit to which kitty-flow moved the target is a tested tree."""
        return not self.untested

    @property
    def error(self) -> RefusedError | None:
        """TREE_NOT_TESTED, or None."""
        if self.holds:
            return None
        names = ", ".join(each.commit[:12] for each in self.untested[:_SHOWN])
        return RefusedError(
            "TREE_NOT_TESTED",
            f"landed without a recorded pass of exactly that tree: {names}",
            hint=f"git log --first-parent {self.since or ''}..{self.commits[0].commit}",
            details={"commits": [each.commit for each in self.untested[:_LISTED]]},
        )

    @property
    def sentence(self) -> str:
        """The same for a person."""
        if not self.commits:
            return "no commit came onto the target since the mission began"
        count = len(self.commits)
        what, are = ("commits", "are") if count > 1 else ("commit", "is")
        told = f"since the mission began, {len(self.tested)} of {count} first-parent {what} {are} a tested tree"
        told += _named("; below what a rebase landed, and not tested by themselves", self.replayed)
        return told + _named("; not ours", self.not_ours)

    def as_data(self) -> dict[str, Any]:
        """JSON-ready; of each kind no more than a thousand are named."""
        return {
            "since": self.since,
            "count": len(self.commits),
            "tested": [{"commit": c.commit, "tree": c.tree, "merge_id": c.merge_id} for c in self.tested[:_LISTED]],
            "untested": [c.commit for c in self.untested[:_LISTED]],
            "replayed": [c.commit for c in self.replayed[:_LISTED]],
            "not_ours": [c.commit for c in self.not_ours[:_LISTED]],
            "holds": self.holds,
        }


def _named(what: str, commits: tuple[TargetCommit, ...]) -> str:
    names = ", ".join(each.commit[:12] for each in commits[:_SHOWN])
    return f"{what}: {names}{' …' if len(commits) > _SHOWN else ''}" if commits else ""


class _Added(NamedTuple):
    """The commits that one landing added, from the target's commit before it up to its own."""

    merge_id: str
    before: str
    commit: str
    is_rebase: bool


@dataclass(frozen=True)
class _Records:
    """What ledgers say about landings: the trees that passed, each landed commit's landing, the lines it added."""

    passed: set[str]
    landed: dict[str, str]
    lines: list[_Added]


def first_parent(mission: OpenMission) -> FirstParent:
    """Look at the target's line since the mission began; changes nothing.

    The records of the other missions are asked only about commits that this one did not land.

    Raises:
        GitFailedError: git cannot walk the line.
    """
    repository = mission.project.repository
    view, target = mission.view(), repository.refs.commit(mission.target_ref)
    since = _began(mission, view)
    if target is None or since is None or repository.refs.commit(since) is None:
        return FirstParent(since, ())
    line = _line(mission, since, target)
    records = _Records(set(), {}, [])
    _add(records, view)
    if any(commit not in records.landed for commit, _ in line):
        for other in _others(mission):
            _add(records, other)
    owners, replayed = dict(records.landed), set[str]()
    for added in records.lines:
        # A landing of several commits (a rebase, or a commit for each work package) owns all that it added.
        if any(added.commit == each for each, _ in line):
            below = {c: added.merge_id for c, _ in _line(mission, added.before, added.commit) if c not in owners}
            owners |= below
            replayed |= below.keys() if added.is_rebase else set()
    found = (TargetCommit(c, tree, owners.get(c), tree in records.passed, c in replayed) for c, tree in line)
    return FirstParent(since, tuple(found))


def _began(mission: OpenMission, view: LedgerView) -> str | None:
    """The commit of the target when the mission began, or before its first landing."""
    entity = view.entity("mission", mission.id)
    facts: Mapping[str, Any] = entity.facts if entity else {}
    landings = [e.facts.get("target_commit_before") for e in view.of_type("merge").values()]
    return next((str(found) for found in (facts.get("base_commit"), *landings) if found), None)


def _line(mission: OpenMission, since: str, tip: str) -> list[tuple[str, str]]:
    """(commit, tree) along the first parents, newest first."""
    words = ("log", "--first-parent", "--format=%H %T", "--no-show-signature", tip, f"^{since}", "--")
    rows = mission.project.repository.store_git.text(*words).splitlines()
    return [(commit, tree) for commit, _, tree in (row.partition(" ") for row in rows)]


def _add(records: _Records, view: LedgerView) -> None:
    for entity in view.of_type("merge").values():
        facts = entity.facts
        if facts.get("tested_tree"):
            records.passed.add(str(facts["tested_tree"]))
        for name, told in facts.items():
            if name.startswith("tests_") and isinstance(told, Mapping) and told.get("passed") is True:
                records.passed.add(str(told.get("tree")))
        if entity.state in ("landed", "proved") and facts.get("target_commit"):
            commit, before = str(facts["target_commit"]), str(facts.get("target_commit_before"))
            records.landed[commit] = entity.entity_id
            records.lines.append(_Added(entity.entity_id, before, commit, facts.get("strategy") == "rebase"))


def _others(mission: OpenMission) -> Iterator[LedgerView]:
    """The ledgers of the other missions, as far as they can be read."""
    repository = mission.project.repository
    for entry in catalog(repository):
        if entry.mission_id == mission.id:
            continue
        try:
            with Ledger(repository, entry.mission_id, entry.slug, only_look=True) as ledger:
                yield ledger.view()
        except KittyFlowError:
            continue
