"""Renewing the claims of living agents, several in one commit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from kitty_flow.errors import ConflictError
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.claim import Claim
from kitty_flow.flow.mission import OpenMission
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import LedgerView

__all__ = ["renew_claims"]


def renew_claims(mission: OpenMission, claims: Sequence[Claim]) -> tuple[Claim, ...]:
    """Renew claims for another lease; returns those that do not count any more.

    Where the ledger is held by somebody else for too long nothing is renewed; the next time does.
    """
    lost: list[Claim] = []
    lease_s = mission.project.settings.run.lease_s

    def build(view: LedgerView) -> Batch:
        lost.clear()
        builder = BatchBuilder(view, actor=claims[0].actor)
        expires = (datetime.now(UTC) + timedelta(seconds=lease_s)).isoformat(timespec="milliseconds")
        for held in claims:
            entity = mission.recorded_work_package(held.work_package_id, view)
            if held.current_epoch(entity) != held.epoch:
                lost.append(held)
            elif entity.state in ("claimed", "in_progress"):
                evidence = {"lease_expires_at": expires}
                builder.annotate("work_package", held.work_package_id, "heartbeat", evidence=evidence)
        return builder.build()

    try:
        mission.ledger.record(build)
    except ConflictError:
        return ()
    return tuple(lost)
