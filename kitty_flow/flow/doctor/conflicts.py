"""What two clones recorded without knowing of each other, claims that no remote has confirmed, heads that collide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kitty_flow.flow.doctor.finding import DoctorFinding, ok, warning
from kitty_flow.flow.doctor.ledgers import Ledgers
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.provisional import provisional
from kitty_flow.flow.radar import Collision, look_around
from kitty_flow.flow.remarks import open_conflicts
from kitty_flow.git.process import GitFailedError
from kitty_flow.ledger.fold import Conflict
from kitty_flow.ledger.query import EventFilter, find_events

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = ["examine_conflicts"]


def examine_conflicts(ledgers: Ledgers, others: Iterable[DoctorFinding] = ()) -> Iterator[DoctorFinding]:
    """Every conflict of every ledger, and the `others`. They are settled by a rule, so none is a problem; one whose
    entity is still on its way is a warning, since somebody may go on with work that does not count."""
    quiet = True
    for mission in ledgers.missions:
        for finding in _mission(mission):
            quiet = False
            yield finding
    for ref in ledgers.unreadable:
        quiet = False
        message = "its conflicts were not looked at: its ledger cannot be read"
        yield warning("conflicts", ref.rpartition("/")[2], message, "kitty-flow doctor ledger")
    for finding in others:
        quiet = False
        yield finding
    if quiet:
        yield ok("conflicts", "conflicts", "no two clones recorded without knowing of each other")


def _mission(mission: OpenMission) -> Iterator[DoctorFinding]:
    view = mission.view()
    still_open = open_conflicts(view)
    for conflict in view.conflicts:
        events = {e.event_id: e for e in find_events(mission.ledger, EventFilter(conflict.entity_id))}
        yield _conflict(mission.slug, conflict, events, is_open=conflict in still_open)
    for work_package_id in sorted(provisional(mission, view)):
        entity = mission.work_package(work_package_id, view)
        message = f"the claim of {entity.facts.get('holder')} is provisional: no remote has confirmed it yet"
        yield warning("conflicts", f"{mission.slug}/{work_package_id}", message, "kitty-flow sync")
    yield from _collisions(mission)


def _collisions(mission: OpenMission) -> Iterator[DoctorFinding]:
    """Submitted heads that do not merge with each other or with the target; a clone may lack some of them."""
    collisions: tuple[Collision, ...] = ()
    with suppress(GitFailedError):
        collisions = look_around(mission)
    for each in collisions:
        remedy = f"kitty-flow wp show {each.work_package} --mission {mission.slug}"
        found = warning("conflicts", f"{mission.slug}/{each.work_package}", each.sentence, remedy)
        yield replace(found, details=each.as_data())


def _conflict(slug: str, conflict: Conflict, events: Mapping[str, Event], *, is_open: bool) -> DoctorFinding:
    name = conflict.entity_id if conflict.entity_type == "work_package" else conflict.entity_type
    winner, loser = events.get(conflict.winner), events.get(conflict.loser)
    built = len(conflict.superseded) - 1
    message = (
        f"{'open' if is_open else 'settled'}: {_words(winner, conflict.winner_trigger, conflict.winner_actor)} counts, "
        f"{_words(loser, conflict.loser_trigger, conflict.loser_actor)} is superseded"
        f"{f' with {built} event(s) built on it' if built else ''}"
    )
    details = {
        "entity_type": conflict.entity_type,
        "entity_id": conflict.entity_id,
        "open": is_open,
        "winner": _facts(winner, conflict.winner, conflict.winner_trigger, conflict.winner_actor),
        "loser": _facts(loser, conflict.loser, conflict.loser_trigger, conflict.loser_actor),
        "superseded": list(conflict.superseded),
    }
    report, remedy = (warning, f"kitty-flow log {slug} --entity {conflict.entity_id}") if is_open else (ok, "")
    found = report("conflicts", f"{slug}/{name}", message, remedy)
    return replace(found, details=details)


def _words(event: Event | None, trigger: str, actor: str) -> str:
    return f"{trigger} by {actor}{f' at {event.at[:19]}' if event else ''}"


def _facts(event: Event | None, event_id: str, trigger: str, actor: str) -> dict[str, Any]:
    at, writer = (event.at, event.writer) if event else (None, None)
    return {"event_id": event_id, "trigger": trigger, "actor": actor, "at": at, "writer": writer}
