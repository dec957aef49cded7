"""What a run does about leases: it renews those of its living agents, and takes back those that ran out."""

from __future__ import annotations

from collections.abc import Sequence

from kitty_flow.errors import ConflictError
from kitty_flow.flow.claim import Claim
from kitty_flow.flow.expire import expire_due
from kitty_flow.flow.lease import next_expiry, renew
from kitty_flow.flow.mission import OpenMission
from kitty_flow.ledger.view import LedgerView

__all__ = ["renew_claims", "take_back"]


def renew_claims(mission: OpenMission, claims: Sequence[Claim], run_id: str) -> tuple[Claim, ...]:
    """Renew claims for another lease; returns those that do not count any more.

    Where the ledger is held by somebody else for too long nothing is renewed; the next time does.
    """
    try:
        return renew(mission, claims, run_id=run_id)
    except ConflictError:
        return ()


def take_back(mission: OpenMission, view: LedgerView) -> float | None:
    """Take back what has run out; returns in how many seconds there may be more to do, None for never."""
    left = next_expiry(mission, view)
    if left is not None and left <= 0:
        expire_due(mission)
        return next_expiry(mission)
    return left
