"""The events of a bundle, compared with the ledger of this clone, if it has that ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kitty_flow.git.repository import Repository
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.ledger.segment import encode_event
from kitty_flow.ledger.sharing import MISSIONS
from kitty_flow.release.evidence.finding import Finding, failed, passed, unknown
from kitty_flow.release.evidence.gather import counting, recorded_in
from kitty_flow.release.evidence.selection import select

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = ["check_ledger"]


def check_ledger(repository: Repository, statement: dict[str, Any], events: Sequence[Event]) -> list[Finding]:
    """Each event of the bundle is in the ledger, the same to the byte, and none about its landings was left out.

    Without the ledger the events are only known to agree with each other and with the commits: who reviewed, what the
    tests said, and that nothing was overridden, is then the word of whoever gave the bundle away.
    """
    predicate = statement["predicate"]
    mission = predicate["mission"]["id"]
    if repository.refs.read(MISSIONS + mission) is None:
        told = "this clone does not have the ledger: reviewers, tests and overrides are the bundle's word alone"
        return [unknown("ledger", f"{told}; kitty-flow sync fetches the ledger")]
    with Ledger(repository, mission, "", only_look=True) as ledger:
        recorded = ledger.events()
    known = {event.event_id: encode_event(event) for event in recorded}
    other = [event.event_id for event in events if known.get(event.event_id) != encode_event(event)]
    if other:
        return [failed("ledger", f"{len(other)} events are not in the ledger, or say something else there: {other[0]}")]
    landings = [landing["id"] for landing in predicate["landings"]]
    due = [e for e in select(counting(recorded), landings) if e.order <= events[-1].order]
    omitted = {event.event_id for event in due} - {event.event_id for event in events}
    if omitted:
        return [failed("ledger", f"the bundle leaves out {len(omitted)} events of its landings: {min(omitted)}")]
    if recorded_in(repository, MISSIONS + mission, events[-1]) != predicate["ledger"]["commit"]:
        return [failed("ledger", "the ledger's commit that it names is not the one that recorded its last event")]
    return [passed("ledger", f"its {len(events)} events are those of the ledger, and none was left out")]
