"""An approval that survives a rebase: the same patches on another base, with the tests green there.

What an approving review has seen is on record as `last_review`. A later head of the same work package needs no second
review when it makes the very same changes, the work package is still the same, and the test command passes on the tree
of the new head. Anything else is reviewed, but only what changed since.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict
from typing import Final, NamedTuple

from kitty_flow.agents.command import AgentSpec, check_executable
from kitty_flow.errors import ExternalToolError
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.run_context import RunContext
from kitty_flow.flow.tree_test import TreeTest, gate_lane, run_tree_test
from kitty_flow.git.process import Git
from kitty_flow.ledger.view import EntityState
from kitty_flow.model.mission import WorkPackage

__all__ = ["Carried", "LastReview", "carry", "last_review", "patch_series", "task_digest"]

_HUNK: Final = re.compile(rb"^@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@.*$")
_MAX_PATCH_BYTES: Final = 64 * 1024 * 1024


class LastReview(NamedTuple):
    """What the last review of a work package has seen, and how it ended; commits are full ids."""

    base: str
    head: str
    verdict: str
    reviewer: str
    invocation_id: str
    task: str

    def as_evidence(self) -> dict[str, str]:
        """The JSON form in the ledger."""
        return self._asdict()


class Carried(NamedTuple):
    """Why an approval holds for another head: the approval, and the test that passed on the new tree."""

    approval: LastReview
    test: TreeTest


def last_review(mission: OpenMission, entity: EntityState) -> LastReview | None:
    """What the last review has seen; None without one, and when the task was changed since: then all is new."""
    told = entity.facts.get("last_review")
    if not isinstance(told, dict) or set(told) != set(LastReview._fields):
        return None
    seen = LastReview(**{name: str(value) for name, value in told.items()})
    definition = mission.definition.by_id.get(entity.entity_id)
    return seen if definition is not None and seen.task == task_digest(definition) else None


def task_digest(work_package: WorkPackage) -> str:
    """What a review is about: a digest of the whole definition of the work package."""
    text = json.dumps(asdict(work_package), sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def carry(mission: OpenMission, entity: EntityState, run: RunContext | None = None) -> Carried | None:
    """Whether the last approval holds for the head that is submitted now; None when a review is needed.

    Without a test command an approval is never carried: nobody would have seen that the changes work on the new base.

    Raises:
        ConflictError: STATE_CHANGED, its tests are running for somebody else; look again.
        InterruptedRunError: INTERRUPTED, the `run` that it is done for is being stopped.
    """
    seen = last_review(mission, entity)
    base, head = str(entity.facts.get("base_commit")), str(entity.facts.get("head_commit"))
    if (
        seen is None
        or seen.verdict != "approved"
        or seen.head == head
        or not mission.project.settings.merge.test_command
    ):
        return None
    git = mission.project.repository.git
    try:
        old = patch_series(git, seen.base, seen.head)
        if old is None or old != patch_series(git, base, head):
            return None
        merge = mission.project.settings.merge
        spec = AgentSpec("tests", merge.test_command or (), merge.test_timeout_s, 0.0)
        log = mission.project.workspace_root / "carried" / mission.id / entity.entity_id / f"{head}.log"
        lane = gate_lane(entity.entity_id)
        test = run_tree_test(mission, head, check_executable(spec, mission.project.root), lane=lane, log=log, run=run)
    except ExternalToolError:
        return None  # what cannot be tested, or compared, is reviewed
    return Carried(seen, test) if test.passed else None


def patch_series(git: Git, base: str, head: str) -> tuple[str, ...] | None:
    """A digest of each commit's changes between `base` and `head`, oldest first; None when they cannot be compared.

    Like ``git patch-id --stable``, line numbers and object names do not count; unlike there, blanks do, because an
    indentation can be all that matters. Series with merges, and very large ones, are not compared.
    """
    listed = git.text("rev-list", "--reverse", "--topo-order", "--parents", f"{base}..{head}").splitlines()
    if any(len(line.split()) != 2 for line in listed):
        return None
    commits = [line.split()[0] for line in listed]
    found = []
    size = 0
    for commit in commits:
        words = ("diff-tree", "-p", "--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv")
        patch = git.output(*words, "--no-commit-id", commit)
        size += len(patch)
        if size > _MAX_PATCH_BYTES:
            return None
        found.append(_digest(patch.split(b"\n")))
    return tuple(found)


def _digest(lines: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    in_header = True
    for line in lines:
        if line.startswith(b"diff --git "):
            in_header = True
        elif line.startswith(b"@@ "):
            in_header = False
            line = _HUNK.sub(b"@@", line)
        elif in_header and line.startswith(b"index "):
            # The mode behind the object names counts, the names do not.
            line = b"index " + b" ".join(line.split(b" ")[2:])
        digest.update(line + b"\n")
    return digest.hexdigest()
