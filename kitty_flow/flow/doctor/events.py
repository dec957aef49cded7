"""Do the recorded events agree with each other and with the machines? Pure: only events go in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from kitty_flow.flow.doctor.finding import DoctorFinding, problem, warning
from kitty_flow.machines import MachineDefinition
from kitty_flow.model.event import Event

__all__ = ["check_chains", "check_clocks", "check_machines", "check_origin"]


def check_origin(subject: str, mission_id: str, events: Iterable[Event]) -> Iterator[DoctorFinding]:
    """Every event belongs to this mission, and no event id stands for two different events."""
    events = tuple(events)
    foreign = [e for e in events if e.mission_id != mission_id]
    if foreign:
        yield _several(subject, foreign, "of another mission")
    first = {e.event_id: e for e in reversed(events)}
    twins = [e for e in events if e != first[e.event_id]]
    if twins:
        yield _several(subject, twins, "with the id of a different event")


def check_clocks(subject: str, segments: Iterable[Sequence[Event]]) -> Iterator[DoctorFinding]:
    """The Lamport clock of every writer never goes back within a segment, and no value of it is given out twice.

    The second is only a warning: a clone that was copied, or restored from a backup, does so, and the order of the log
    is the same for everybody all the same.
    """
    written: dict[str, list[Sequence[Event]]] = {}
    for segment in segments:
        if segment:
            written.setdefault(segment[0].writer, []).append(segment)
    for writer, own in written.items():
        # Names of segments follow a wall clock that may go backwards, so the clock itself gives their order.
        own.sort(key=lambda segment: segment[0].lamport)
        back = [b for segment in own for a, b in pairwise(segment) if b.lamport < a.lamport]
        foreign = [event for segment in own for event in segment if event.writer != writer]
        if back or foreign:
            found = [*back, *foreign]
            yield _several(subject, found, f"whose clock does not follow the event before it (writer {writer})")
            continue
        again = [b for a, b in pairwise(event for segment in own for event in segment) if b.lamport <= a.lamport]
        if again:
            message = f"{_count(again)} of {writer} have a clock that it had given out before; the first is "
            why = ": this clone was copied, or put back to an earlier state, and recorded again"
            yield warning("ledger", subject, message + _name(again[0]) + why, f"kitty-flow log {subject}")


def check_chains(subject: str, events: Iterable[Event]) -> Iterator[DoctorFinding]:
    """Every event starts where its parent left its entity, and the parent is there. Events that share a parent were
    recorded without knowing of each other: a conflict, and no fault of the ledger."""
    known = {event.event_id: event for event in events}
    ordered = sorted(known.values(), key=lambda event: event.order)
    orphans = [e for e in ordered if e.parent is not None and e.parent not in known]
    strays = [e for e in ordered if e.parent in known and not _follows(known[str(e.parent)], e)]
    jumps = [e for e in ordered if _jumps(e, known)]
    if orphans:
        yield _several(subject, orphans, "whose parent is not in the ledger")
    if strays:
        yield _several(subject, strays, "whose parent is a later event or one of another entity")
    if jumps:
        yield _several(subject, jumps, "that do not start from the state that their parent left")


def check_machines(
    subject: str, events: Iterable[Event], machines: Mapping[str, MachineDefinition]
) -> Iterator[DoctorFinding]:
    """Every transition is one that the machine of today allows, or was forced; every machine version is today's."""
    events = tuple(events)
    unknown = Counter(e.machine for e in events if e.machine not in machines)
    for name, count in unknown.items():
        message = f"{count} event(s) of a machine {name!r} that this kitty-flow does not have"
        yield warning("ledger", subject, message, "kitty-flow machines list")
    known = [e for e in events if e.machine in machines]
    aged = Counter((e.machine, e.machine_digest) for e in known if e.machine_digest != machines[e.machine].digest)
    for (name, digest), count in aged.items():
        message = f"{count} event(s) were decided by another version of the {name} machine ({digest[:12]})"
        yield warning("ledger", subject, message, f"kitty-flow machines show {name}")
    illegal = [e for e in known if e.kind == "transition" and not e.force and not _legal(e, machines[e.machine])]
    if illegal:
        message = f"{_count(illegal)} not allowed by today's machine and not forced; the first is {_name(illegal[0])}"
        yield warning("ledger", subject, message, f"kitty-flow machines show {illegal[0].machine}")


def _legal(event: Event, machine: MachineDefinition) -> bool:
    edge = machine.transition(event.from_state, event.trigger)
    return edge is not None and event.to_state in edge.to_states


def _follows(parent: Event, event: Event) -> bool:
    same = (parent.entity_type, parent.entity_id) == (event.entity_type, event.entity_id)
    return same and parent.order < event.order


def _jumps(event: Event, known: Mapping[str, Event]) -> bool:
    """Whether the event leaves another state than its parent entered; an annotation must leave the state as it is."""
    if event.kind == "annotation" and event.to_state != (event.from_state or ""):
        return True
    if event.parent is None:
        return bool(event.from_state)
    parent = known.get(event.parent)
    return parent is not None and parent.to_state != (event.from_state or "")


def _several(subject: str, events: Sequence[Event], what: str) -> DoctorFinding:
    message = f"{_count(events)} {what}; the first is {_name(events[0])}"
    return problem("ledger", subject, message, f"git log -p refs/kitty/m/{events[0].mission_id}")


def _count(events: Sequence[Event]) -> str:
    return f"{len(events)} event(s)"


def _name(event: Event) -> str:
    return f"{event.entity_id} {event.trigger} ({event.event_id})"
