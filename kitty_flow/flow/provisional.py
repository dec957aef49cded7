"""Which claims have not been confirmed yet by the remote that is to confirm them."""

from __future__ import annotations

from typing import Final

from kitty_flow.flow.mission import OpenMission
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.ledger.view import LedgerView

__all__ = ["provisional"]

_HELD: Final = ("claimed", "in_progress")


def provisional(mission: OpenMission, view: LedgerView) -> frozenset[str]:
    """The work packages that are held by a claim which the remote has not seen yet, although it is to confirm claims.

    Nothing is asked of the remote: what it had at the last exchange is remembered.
    """
    waiting = {
        name: entity.facts
        for name, entity in view.of_type("work_package").items()
        if entity.state in _HELD and entity.facts.get("confirm_at")
    }
    if not waiting or view.tip is None:
        return frozenset()
    unseen: dict[str, frozenset[str]] = {}
    for facts in waiting.values():
        place = str(facts["confirm_at"])
        if place not in unseen:
            unseen[place] = _unseen_claims(mission.ledger, place, view.tip)
    return frozenset(name for name, facts in waiting.items() if facts.get("claim_id") in unseen[facts["confirm_at"]])


def _unseen_claims(ledger: Ledger, place: str, tip: str) -> frozenset[str]:
    from kitty_flow.ledger.sharing import fallback_name  # late: only claims that wait for a remote need it

    refs = ledger.repository.refs
    names = (ledger.ref, fallback_name(ledger.ref))
    seen = [refs.read(f"refs/kitty/remotes/{place}/{name.removeprefix('refs/')}") for name in names]
    events = ledger.projection.beyond(tip, next(filter(None, seen), None))
    return frozenset(str(e.evidence["claim_id"]) for e in events if e.trigger == "claim" and "claim_id" in e.evidence)
