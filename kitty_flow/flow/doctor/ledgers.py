"""Can the ledger of every mission be read, and does it agree with itself? One broken ledger hides no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from kitty_flow.errors import KittyFlowError, LedgerError
from kitty_flow.flow.definition import read_definition
from kitty_flow.flow.doctor.events import check_chains, check_clocks, check_machines, check_origin
from kitty_flow.flow.doctor.finding import DoctorFinding, broken, ok, problem, warning
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.project import Project
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.ledger import Ledger, mission_ref
from kitty_flow.ledger.segment import decode_lines
from kitty_flow.ledger.store import SegmentStore
from kitty_flow.ledger.view import LedgerView
from kitty_flow.machines import MachineDefinition, machine, machine_names
from kitty_flow.model.event import Event
from kitty_flow.model.ids import is_ulid

__all__ = ["Ledgers", "examine_ledgers", "read_ledgers"]

_PREFIX: Final = mission_ref("")
_BROKEN_REF: Final = re.compile(rf"broken ref ({re.escape(_PREFIX)}\S+)")


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
    for ref in _mission_refs(project.repository):
        ledger = stack.enter_context(Ledger(project.repository, ref.removeprefix(_PREFIX), ""))
        try:
            ledgers.missions.append(_open(project, ledger))
        except KittyFlowError as error:
            ledgers.unreadable[ref] = error
    return ledgers


def _mission_refs(repository: Repository) -> tuple[str, ...]:
    """The refs of all ledgers. git only warns of a ref whose own file is damaged; it is listed all the same."""
    done = repository.git.call("for-each-ref", "--format=%(refname)", "--", _PREFIX)
    listed = done.stdout.decode("utf-8", "replace").splitlines()
    damaged = _BROKEN_REF.findall(done.stderr.decode("utf-8", "replace"))
    return tuple(sorted({*listed, *damaged}))


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
    machines = {name: machine(name) for name in machine_names()}
    slugs = {mission.ledger.ref: mission.slug for mission in ledgers.missions}
    for ref in sorted({*slugs, *ledgers.unreadable}):
        subject = slugs.get(ref, ref.removeprefix(_PREFIX))
        with repository.objects() as objects:
            found = list(_check(subject, ref, SegmentStore(objects, repository.state_dir), repository, machines))
        error = ledgers.unreadable.get(ref)
        if error is not None and not any(finding.status == "problem" for finding in found):
            found.append(broken("ledger", subject, error, _restore(ref)))
        yield from found
    for mission in ledgers.missions:
        view = mission.view()
        yield ok("ledger", mission.slug, f"{mission.state(view)}, {view.event_count} events can be read and folded")
        yield from _forced(mission.slug, view)
    if not slugs and not ledgers.unreadable:
        yield ok("ledger", "ledger", "no mission has a ledger yet", "kitty-flow mission create SLUG")


def _check(
    subject: str, ref: str, store: SegmentStore, repository: Repository, machines: dict[str, MachineDefinition]
) -> Iterator[DoctorFinding]:
    """Read every segment for itself, so that each damaged one is named."""
    tip = repository.refs.commit(ref)
    if tip is None:
        yield problem("ledger", subject, f"{ref} does not point to a commit that is here", _restore(ref))
        return
    segments: list[tuple[Event, ...]] = []
    whole = True
    try:
        paths = repository.git.output("ls-tree", "-r", "-z", "--name-only", tip, "--", "log/")
    except KittyFlowError as error:
        yield broken("ledger", subject, error, _restore(ref))
        return
    for path in filter(None, paths.decode("utf-8", "replace").split("\0")):
        try:
            found, damage = decode_lines(store.attachment(tip, path), path)
        except KittyFlowError as error:
            whole = False
            yield broken("ledger", subject, error, _restore(ref))
            continue
        segments.append(tuple(found))
        for line in damage:
            whole = False
            yield problem("ledger", subject, f"the line {line.where} is damaged: {line.why}", _restore(ref))
    events = [event for segment in segments for event in segment]
    yield from check_origin(subject, ref.removeprefix(_PREFIX), events)
    yield from check_clocks(subject, segments)
    yield from check_machines(subject, events, machines)
    if whole:  # with a segment missing, every gap in a chain would be reported once more
        yield from check_chains(subject, events)


def _forced(subject: str, view: LedgerView) -> Iterator[DoctorFinding]:
    forced = [entity.entity_id for entity in view.entities.values() if entity.forced]
    if forced:
        message = f"forced past the machine: {', '.join(forced)}"
        yield warning("ledger", subject, message, f"kitty-flow log {subject}")


def _restore(ref: str) -> str:
    return f"git fetch CLONE '+{ref}:{ref}', where CLONE is a clone or a backup that still has it"
