"""The trail that every invocation leaves, in three tiers, and which kinds of work may leave more than the first.

Source: seed 000, WP05 (MinimalViableTrailPolicy), and ORIGIN section 4. `docs/explanation/trail.md` explains it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from kitty_flow.errors import RefusedError

if TYPE_CHECKING:
    from kitty_flow.invocation.record import InvocationRecord

__all__ = [
    "EVIDENCE_FOLDER",
    "Eligibility",
    "MinimalViableTrailPolicy",
    "TierPolicy",
    "refuse_evidence",
    "tier_eligible",
]

EVIDENCE_FOLDER: Final = "evidence"
"""The folder of the log's tree that holds what was promoted to evidence."""


@dataclass(frozen=True)
class TierPolicy:
    """One tier: its name, whether every invocation has it, what it is, where it is kept, and what brings it about."""

    name: str
    mandatory: bool
    description: str
    storage_path: str
    trigger: str


@dataclass(frozen=True)
class MinimalViableTrailPolicy:
    """The three tiers. A tier is never left out below one that is there: evidence belongs to a record."""

    tier_1: TierPolicy = TierPolicy(
        name="every_invocation",
        mandatory=True,
        description="One record for each invocation, on disk before anything is handed out: who asked what of which "
        "profile under which rules, and how it ended.",
        storage_path="refs/kitty/ops:kitty-ops/<4>/<2>/<1>/<id>.jsonl; of a mission's step, refs/kitty/m/<mission>",
        trigger="advise, ask, do, and every step that run or next starts",
    )
    tier_2: TierPolicy = TierPolicy(
        name="evidence_artifact",
        mandatory=False,
        description="What was seen or made, kept with its digest: a report, a log, a review.",
        storage_path="refs/kitty/ops:evidence/<4>/<2>/<1>/<id>/<sha256>",
        trigger="profile-invocation complete --evidence FILE, or promote_to_evidence; not for advisory or query work",
    )
    tier_3: TierPolicy = TierPolicy(
        name="durable_project_state",
        mandatory=False,
        description="What changes the project itself: the definition, plan and work of a mission, and its landing.",
        storage_path="refs/kitty/m/<mission>, and the branch that the work is in",
        trigger="the actions specify, plan, tasks, merge and accept of a mission",
    )

    @property
    def tiers(self) -> tuple[TierPolicy, TierPolicy, TierPolicy]:
        """All three, in order."""
        return (self.tier_1, self.tier_2, self.tier_3)


_MAY_LEAVE_EVIDENCE: Final = frozenset({"task_execution", "mission_step"})
_PROJECT_STATE_ACTIONS: Final = frozenset({"specify", "plan", "tasks", "merge", "accept"})


class Eligibility(NamedTuple):
    """Which tiers an invocation may have."""

    every_invocation: bool
    evidence_artifact: bool
    durable_project_state: bool


def tier_eligible(record: InvocationRecord) -> Eligibility:
    """The tiers that an invocation may have: always the first, the second by its mode of work, the third by its action
    as well."""
    may_leave = record.mode_of_work in _MAY_LEAVE_EVIDENCE
    return Eligibility(True, may_leave, may_leave and record.action in _PROJECT_STATE_ACTIONS)


def refuse_evidence(record: InvocationRecord) -> None:
    """Asked before anything is written.

    Raises:
        RefusedError: EVIDENCE_NOT_ALLOWED.
    """
    if tier_eligible(record).evidence_artifact:
        return
    raise RefusedError(
        "EVIDENCE_NOT_ALLOWED",
        f"invocation {record.invocation_id} is {record.mode_of_work} work, which leaves no evidence: nothing was done "
        "that it could prove. Nothing was recorded",
        hint=f"kitty-flow profile-invocation complete --invocation-id {record.invocation_id} --outcome done",
        details={"invocation_id": record.invocation_id, "mode_of_work": record.mode_of_work},
    )
