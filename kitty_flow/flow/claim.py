"""Claiming a work package: one transition that only one caller can win, with a lease and a fencing epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kitty_flow.errors import RefusedError
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.lease import Lease
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.readiness import Readiness, is_under_review
from kitty_flow.ledger.ledger import Batch, new_ulid
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.machines import Facts

__all__ = ["Claim", "claim", "refuse_unless_open"]


@dataclass(frozen=True)
class Claim:
    """A won claim: who holds what, under which epoch, until when.

    Two clones that do not know of each other may give out the same epoch; the claim's own `id` tells them apart (None
    for a claim from an imported history). `confirmation` is ``confirmed`` or ``provisional`` where a remote is to
    confirm claims. A reviewer has the claim whose work it reviews, with its own invocation in `review`.
    """

    id: str | None
    work_package_id: str
    actor: str
    epoch: int
    lease_expires_at: str
    confirmation: str | None = None
    review: str | None = None

    @classmethod
    def on(cls, entity: EntityState) -> Claim:
        """The claim that the ledger says is on a work package now."""
        facts = entity.facts
        return cls(
            facts.get("claim_id"),
            entity.entity_id,
            str(facts.get("holder")),
            entity.epoch,
            str(facts.get("lease_expires_at")),
        )

    def current_epoch(self, entity: EntityState) -> int:
        """The epoch to compare with ours: that of the work package, or 0 when somebody else's claim counts."""
        return entity.epoch if entity.facts.get("claim_id") == self.id else 0

    def counts(self, entity: EntityState, view: LedgerView) -> bool:
        """Whether it still holds the work package, or still reviews it."""
        if self.current_epoch(entity) != self.epoch:
            return False
        if self.review is None:
            return entity.state in ("claimed", "in_progress")
        return is_under_review(entity, view) and entity.facts.get("review_invocation_id") == self.review


def refuse_unless_open(mission: OpenMission, view: LedgerView) -> None:
    """Nothing new is begun in a mission that is paused, aborted or over.

    Raises:
        RefusedError: MISSION_NOT_RUNNING.
    """
    state = mission.state(view)
    if state not in ("planned", "running"):
        hint = f"kitty-flow mission resume {mission.slug}" if state == "paused" else f"kitty-flow status {mission.slug}"
        raise RefusedError("MISSION_NOT_RUNNING", f"{mission.slug} is {state}; nothing new is begun", hint=hint)


def claim(
    mission: OpenMission, work_package_id: str, *, actor: str, lease_s: float, run_id: str | None = None
) -> Claim:
    """Take a ready work package for `actor`.

    Args:
        lease_s: seconds for which the claim holds without renewal.
        run_id: the run that holds it; recovery gives back claims of a run that is gone.

    Raises:
        RefusedError: DEPENDENCIES_NOT_SATISFIED, OWNERSHIP_CONFLICT, MISSION_NOT_RUNNING, WORK_PACKAGE_DROPPED or
            ILLEGAL_TRANSITION.
        ConflictError: SYNC_BUSY, other clones were faster at the remote that confirms claims.
    """
    confirm_at = _confirming_remote(mission)
    lease = Lease.grant(lease_s)
    claim_id = new_ulid()

    def build(view: LedgerView) -> Batch:
        refuse_unless_open(mission, view)
        entity = mission.at(view).work_package(work_package_id, view)
        builder = BatchBuilder(view, actor=actor, correlation_id=run_id)
        readiness = Readiness(mission, view)
        facts = Facts(
            actor=actor,
            unsatisfied_dependencies=readiness.unsatisfied(work_package_id),
            holder="" if entity.state == "planned" else str(entity.facts.get("holder", "?")),
            ownership_conflicts=readiness.active_conflicts(work_package_id),
        )
        evidence: dict[str, Any] = {
            "claim_id": claim_id,
            "holder": actor,
            **lease.evidence(),
            "lease_for": claim_id,
            "run_id": run_id,
            "invocation_id": None,
            "confirm_at": confirm_at,
        }
        builder.transition("work_package", work_package_id, "claim", facts, epoch=entity.epoch + 1, evidence=evidence)
        return builder.build()

    confirmation = None
    if confirm_at is None:
        receipt = mission.ledger.record(build)
    else:
        from kitty_flow.flow.sync.claims import record_confirmed

        receipt, confirmation = record_confirmed(mission, build)
    return Claim(claim_id, work_package_id, actor, receipt.events[0].epoch or 0, lease.expires_at, confirmation)


def _confirming_remote(mission: OpenMission) -> str | None:
    """The key of the remote that is to confirm claims, under which is remembered what it has; None for none."""
    if not mission.project.settings.sync.confirm_claims:
        return None
    from kitty_flow.flow.sync.peer import open_peer

    return open_peer(mission.project, None).remote.location.key
