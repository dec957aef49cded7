"""For how long work packages were worked on, as the ledgers of this clone tell; forecasts learn from it.

Worked time is what an agent slot of `run` is taken for: all stretches in which an implementer or a reviewer was at
work, rework included. Waiting (for a claim, for a reviewer, for an unblocking) is not. `at` is the wall clock of
whoever recorded and proves nothing, so a work package with a stretch that cannot be is left out as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from kitty_flow.errors import KittyFlowError
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.project import Project
from kitty_flow.flow.readiness import FINISHED
from kitty_flow.flow.standing import ACTIVE
from kitty_flow.ledger.catalog import UNREADABLE, catalog
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.ledger.query import EventFilter, find_events
from kitty_flow.ledger.view import LedgerView
from kitty_flow.model.forecast import Durations, Standing

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = [
    "LONGEST_STRETCH_S",
    "Worked",
    "learn",
    "mission_standing",
    "moment_of",
    "standing_of",
    "worked_times",
]

LONGEST_STRETCH_S: Final = 24 * 3600.0
"""No agent works for longer without handing in: this is a forgotten claim, a sleeping machine, or a clock."""

_AT_WORK: Final = ("in_progress", "in_review")
_ENOUGH: Final = 3
"""With so many finished work packages of its own, a mission is judged by them alone."""
_MOST: Final = 200


@dataclass
class Worked:
    """The time that went into one work package: seconds in closed stretches, and since when one is open.

    `is_sound` is false once a stretch was negative, too long, or without a moment that can be read.
    """

    state: str = ""
    seconds: float = 0.0
    since: datetime | None = None
    is_sound: bool = True

    def follow(self, event: Event) -> None:
        """Take the next transition of the work package into account."""
        at = moment_of(event)
        if self.state in _AT_WORK:
            stretch = (at - self.since).total_seconds() if at and self.since else -1.0
            self.is_sound = self.is_sound and 0.0 <= stretch <= LONGEST_STRETCH_S
            self.seconds += stretch
        self.state, self.since = event.to_state, at

    def until(self, now: datetime) -> float:
        """The seconds up to `now`, an open stretch included; 0 where the moments make no sense."""
        going = (now - self.since).total_seconds() if self.state in _AT_WORK and self.since else 0.0
        return self.seconds + going if self.is_sound and 0.0 <= going <= LONGEST_STRETCH_S else 0.0

    @property
    def sample(self) -> float | None:
        """How long the work package took, once it is approved or done and the moments make sense."""
        is_over = self.state in ("approved", "done") and self.is_sound and self.seconds > 0
        return self.seconds if is_over else None


def worked_times(events: Iterable[Event]) -> dict[str, Worked]:
    """The time that went into each work package, from the events that count, in order."""
    found: dict[str, Worked] = {}
    for event in events:
        if event.entity_type == "work_package" and event.kind == "transition":
            found.setdefault(event.entity_id, Worked()).follow(event)
    return found


def mission_standing(mission: OpenMission, now: datetime) -> tuple[Standing, dict[str, Worked]]:
    """How far a mission is at `now`, and the times this follows from; a mission nobody began is not read.

    Raises:
        LedgerError: the log cannot be read.
    """
    view = mission.view()
    known = {w.id: mission.work_package(w.id, view) for w in mission.definition.work_packages}
    if all(set(entity.counts) == {"plan"} for entity in known.values()):
        return Standing(), {}
    states = {name: entity.state for name, entity in known.items()}
    times = worked_times(_counting(mission.ledger, view))
    return standing_of(states, times, now), times


def standing_of(states: Mapping[str, str], times: Mapping[str, Worked], now: datetime) -> Standing:
    """How far a mission is at `now`, from the state of each work package and the time that went into it."""
    finished = frozenset(name for name, state in states.items() if state in FINISHED)
    return Standing(
        finished,
        frozenset(name for name, state in states.items() if state in ACTIVE),
        {name: times[name].until(now) for name in states if name in times and name not in finished},
    )


def learn(project: Project, own: Mapping[str, Worked], own_id: str | None) -> Durations | None:
    """What finished work packages took: those of the mission itself when there are enough, else of all in this clone.

    A ledger that cannot be read teaches nothing and stops nothing; the newest missions are asked first.
    """
    samples = _samples(own)
    if len(samples) >= _ENOUGH:
        return Durations(tuple(sorted(samples)), "mission")
    for entry in reversed(catalog(project.repository)):
        if entry.mission_id == own_id or entry.state in ("draft", "planned", UNREADABLE) or len(samples) >= _MOST:
            continue
        with (
            suppress(KittyFlowError),
            Ledger(project.repository, entry.mission_id, entry.slug, only_look=True) as ledger,
        ):
            samples += _samples(worked_times(_counting(ledger, ledger.view())))
    return Durations(tuple(sorted(samples[:_MOST])), "repository") if samples else None


def _samples(times: Mapping[str, Worked]) -> list[float]:
    return [worked.sample for worked in times.values() if worked.sample is not None]


def _counting(ledger: Ledger, view: LedgerView) -> Iterable[Event]:
    superseded = view.superseded
    return (event for event in find_events(ledger, EventFilter()) if event.event_id not in superseded)


def moment_of(event: Event) -> datetime | None:
    """When it happened: for an imported event, when that was elsewhere; None where that cannot be read."""
    foreign = event.payload.get("foreign")
    told = foreign.get("at") if isinstance(foreign, dict) else None
    try:
        at = datetime.fromisoformat(told if isinstance(told, str) else event.at)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
