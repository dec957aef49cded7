"""What a picture of a mission can tell beyond its plan: how every state came about, and what is waited for now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from kitty_flow.flow.mission import OpenMission, open_mission
from kitty_flow.flow.project import Project
from kitty_flow.flow.readiness import Readiness
from kitty_flow.ledger.query import EventFilter, find_events

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = ["MissionRecord", "Moment", "mission_record", "record_of"]


class Moment(NamedTuple):
    """One change of state of one work package. `at` is the recording clone's clock, for display only."""

    at: str
    work_package_id: str
    from_state: str | None
    to_state: str
    trigger: str
    actor: str
    reason: str
    forced: bool


@dataclass(frozen=True)
class MissionRecord:
    """States now, every change that led to them in the ledger's order, and what each unstarted work package waits for.

    Events that lost a conflict are left out, so that the last change of a work package leads to its state. What is
    under way has gone on until `drawn_at`, when this was read, by this machine's clock.
    """

    states: Mapping[str, str]
    moments: tuple[Moment, ...]
    waits_for: Mapping[str, tuple[str, ...]]
    drawn_at: str = ""


def mission_record(mission: str | None) -> MissionRecord:
    """The record of a mission by name.

    Raises:
        UsageError: there is no such mission.
    """
    with open_mission(Project.discover(), mission) as opened:
        return record_of(opened)


def record_of(mission: OpenMission) -> MissionRecord:
    """The record of a mission that is open."""
    view = mission.view()
    readiness = Readiness(mission, view)
    superseded = view.superseded
    states = {w.id: mission.work_package(w.id, view).state for w in mission.definition.work_packages}
    moments = [
        _moment(event)
        for event in find_events(mission.ledger, EventFilter())
        if event.entity_type == "work_package"
        and event.kind == "transition"
        and event.entity_id in states
        and event.event_id not in superseded
    ]
    waits_for = {
        name: tuple(reason.message for reason in readiness.hindrances(name))
        for name, state in states.items()
        if state in ("planned", "blocked")
    }
    return MissionRecord(states, tuple(moments), waits_for, datetime.now(UTC).isoformat(timespec="seconds"))


def _moment(event: Event) -> Moment:
    return Moment(
        event.at,
        event.entity_id,
        event.from_state,
        event.to_state,
        event.trigger,
        event.actor,
        event.reason or "",
        event.force,
    )
