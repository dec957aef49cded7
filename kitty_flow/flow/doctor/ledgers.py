"""Can the ledger of every mission be read, and does it agree with itself? One broken ledger hides no other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from kitty_flow.errors import KittyFlowError, LedgerError
from kitty_flow.flow.definition import read_definition
from kitty_flow.flow.doctor.finding import DoctorFinding, broken, ok, warning
from kitty_flow.flow.doctor.mend import place_of, restore_by_hand
from kitty_flow.flow.doctor.scratch import examine_scratch
from kitty_flow.flow.doctor.soundness import examine_ledger
from kitty_flow.flow.ledgers import KnownLedger, known_refs
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.project import Project
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.ledger.sharing import MISSIONS
from kitty_flow.ledger.view import LedgerView
from kitty_flow.model.ids import is_ulid

__all__ = ["Ledgers", "examine_ledgers", "read_ledgers"]


@dataclass
class Ledgers:
    """All ledgers of a repository: the missions that can be opened, and why the others cannot."""

    project: Project
    missions: list[OpenMission] = field(default_factory=list)
    unreadable: dict[str, KittyFlowError] = field(default_factory=dict)

    @property
    def slugs(self) -> dict[str, str]:
        """The slugs of the readable missions, by id."""
        return {mission.id: mission.slug for mission in self.missions}


def read_ledgers(project: Project, stack: ExitStack) -> Ledgers:
    """Open every ledger that can be opened; `stack` closes them."""
    ledgers = Ledgers(project)
    for ref in known_refs(project.repository):
        mission_id = ref.removeprefix(MISSIONS)
        ledger = stack.enter_context(Ledger(project.repository, mission_id, "", only_look=True))
        try:
            ledgers.missions.append(_open(project, ledger))
        except KittyFlowError as error:
            ledgers.unreadable[ref] = error
    return ledgers


def _open(project: Project, ledger: Ledger) -> OpenMission:
    if not is_ulid(ledger.mission_id):
        raise LedgerError("LEDGER_NAME_INVALID", f"{ledger.ref} is not named by a ULID")
    entity = ledger.view().entity("mission", ledger.mission_id)
    if entity is None:
        raise LedgerError("LEDGER_EMPTY", f"{ledger.ref} says nothing about its mission, or cannot be resolved")
    ledger.mission_slug = entity.last_event.mission_slug
    definition, plan = read_definition(ledger)
    mission = OpenMission(project, ledger, definition, plan)
    view = mission.view()
    for work_package in definition.work_packages:
        mission.work_package(work_package.id, view)
    return mission


def examine_ledgers(ledgers: Ledgers) -> Iterator[DoctorFinding]:
    """Every ledger: its objects, its events, and its definition."""
    repository = ledgers.project.repository
    slugs = {mission.ledger.ref: mission.slug for mission in ledgers.missions}
    for ref in sorted({*slugs, *ledgers.unreadable}):
        subject = slugs.get(ref, ref.removeprefix(MISSIONS))
        sound = examine_ledger(repository, KnownLedger(ref, subject))
        error = ledgers.unreadable.get(ref)
        if error is not None and not sound.problems:
            sound.findings.append(broken("ledger", subject, error, _restore(repository, ref)))
        yield from sound.findings
    yield from examine_scratch(repository, now=time.time())
    for mission in ledgers.missions:
        view = mission.view()
        yield ok("ledger", mission.slug, f"{mission.state(view)}, {view.event_count} events can be read and folded")
        yield from _forced(mission.slug, view)
    if not slugs and not ledgers.unreadable:
        yield ok("ledger", "ledger", "no mission has a ledger yet", "kitty-flow mission create SLUG")


def _forced(subject: str, view: LedgerView) -> Iterator[DoctorFinding]:
    forced = [entity.entity_id for entity in view.entities.values() if entity.forced]
    if forced:
        message = f"forced past the machine: {', '.join(forced)}"
        yield warning("ledger", subject, message, f"kitty-flow log {subject}")


def _restore(repository: Repository, ref: str) -> str:
    with Ledger(repository, ref.removeprefix(MISSIONS), "", only_look=True) as ledger:
        return restore_by_hand(place_of(ledger))
