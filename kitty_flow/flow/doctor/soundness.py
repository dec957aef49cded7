"""Is one ledger sound? Its ref, everything that is stored below it, its events, its index, and on demand its history.

The ledger is read as it is stored, without its index and without changing anything. `doctor ledger` and `ledger
verify` ask the same questions here; only the second one reads the whole history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from kitty_flow.errors import KittyFlowError
from kitty_flow.flow.doctor.events import check_chains, check_clocks, check_machines, check_origin
from kitty_flow.flow.doctor.finding import DoctorFinding, broken, fixable, problem, warning
from kitty_flow.flow.doctor.mend import (
    LogPlace,
    bring_back,
    is_contained,
    is_in_packed_refs,
    place_of,
    rebuild_index,
    restore_by_hand,
)
from kitty_flow.flow.ledgers import KnownLedger
from kitty_flow.git.integrity import commit_messages, missing_in, object_name
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.agreement import disagreements
from kitty_flow.ledger.fold import fold
from kitty_flow.ledger.index_rows import IndexDamagedError
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.ledger.sharing import MISSIONS
from kitty_flow.ledger.stored import Piece, StoredLog, pieces, read_log
from kitty_flow.ledger.tip import TipReader
from kitty_flow.ledger.view import LedgerView
from kitty_flow.machines import MachineDefinition, machine, machine_names
from kitty_flow.model.text import printable

__all__ = ["Soundness", "check_content", "check_history", "check_ref", "examine_ledger"]

_EVENT_TRAILER = "Kitty-Event: "


@dataclass
class Soundness:
    """What the examination of one ledger came to; `counts` is how much of everything it has, as far as it was read."""

    ledger: KnownLedger
    tip: str | None = None
    findings: list[DoctorFinding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def problems(self) -> list[DoctorFinding]:
        """What makes it unsound."""
        return [finding for finding in self.findings if finding.status == "problem"]

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        is_mission = self.ledger.ref.startswith(MISSIONS)
        return {
            "mission": {"id": self.ledger.mission_id, "slug": self.ledger.slug} if is_mission else None,
            "ledger": self.ledger.ref,
            "tip": self.tip,
            "sound": not self.problems,
            "counts": self.counts,
            "findings": [finding.as_data() for finding in self.findings],
        }


def examine_ledger(repository: Repository, known: KnownLedger, *, history: bool = False) -> Soundness:
    """Everything that can be said about one ledger without changing it.

    Args:
        history: also re-hash every object of the tip, prove that every object of the history is here, and look for
            every event that a commit of the history names.
    """
    sound = Soundness(known)
    with Ledger(repository, known.mission_id, known.slug, only_look=True) as ledger:
        place, index = place_of(ledger), ledger.index
        sound.findings += check_ref(place, sound, index.tip(), index.path, lambda: bring_back(repository, known))
        if sound.tip is None:
            return sound
        try:
            found = list(pieces(ledger.store.objects, sound.tip))
        except KittyFlowError as error:
            sound.findings.append(broken("ledger", known.slug, error, restore_by_hand(place)))
            return sound
        log = read_log(found)
        sound.findings += _stored(ledger, found, log)
        sound.findings += _events(known, log, {name: machine(name) for name in machine_names()})
        view = LedgerView.of(known.ref, known.slug, sound.tip, fold(e for e, _ in log.located), log.damage)
        sound.counts = {
            "events": view.event_count,
            "segments": len(log.segments),
            "writers": len({path.split("/")[1] for path in log.segments}),
            "conflicts": len(view.conflicts),
        }
        if history:
            sound.findings += check_content(repository, known, found)
            sound.findings += check_history(repository, sound, {e.event_id for e, _ in log.located})
        if not log.unreadable:  # else there is nothing to compare the index with, or to make it anew from
            sound.findings += _index(ledger, view, log)
    return sound


def check_ref(
    log: LogPlace, sound: Soundness, last: str | None, memory: Path, bring_it_back: Callable[[], str]
) -> Iterator[DoctorFinding]:
    """The ref leads to a commit that contains everything that was seen there before; sets the tip of `sound`.

    Args:
        last: the commit that was seen last, if that is known.
        memory: the file that remembers it.
        bring_it_back: what ``--fix`` does about a ref that lost it.
    """
    repository, known = log.repository, sound.ledger
    is_here = is_mendable = last is not None and repository.refs.commit(last) == last
    lost: str | None = None
    try:
        sound.tip = log.tip()
        if sound.tip is None:
            lost = f"{known.ref} is gone"
    except KittyFlowError as error:
        lost = error.message
        is_mendable = is_mendable and not is_in_packed_refs(log, error)
    if lost is None and (last is None or is_contained(repository, last, str(sound.tip))):
        return
    message = lost or f"{known.ref} was moved back or aside"
    if last is None or (is_here and not is_mendable):
        yield problem("ledger", known.slug, message, restore_by_hand(log))
    elif is_here:
        found = problem("ledger", known.slug, f"{message}; {last[:12]} was acknowledged, and is still here", "")
        yield fixable(found, bring_it_back)
    else:
        found = problem("ledger", known.slug, f"{message}; {last[:12]} was acknowledged, and is not here any more", "")
        forget = f"to go on without it: rm -- {quote(str(memory))}"
        yield problem("ledger", known.slug, found.message, f"{restore_by_hand(log)}; {forget}")


def _stored(ledger: Ledger, found: list[Piece], log: StoredLog) -> Iterator[DoctorFinding]:
    """Everything below the tip can be read."""
    subject, remedy = ledger.mission_slug, restore_by_hand(place_of(ledger))
    unreadable = {piece.path: piece.error for piece in (*found, *log.unreadable) if piece.error is not None}
    for error in unreadable.values():
        yield broken("ledger", subject, error, remedy)
    for line in log.damage:
        yield problem("ledger", subject, f"the line {line.where} is damaged: {line.why}", remedy)


def _events(known: KnownLedger, log: StoredLog, machines: Mapping[str, MachineDefinition]) -> Iterator[DoctorFinding]:
    """The events agree with each other and with the machines."""
    events = [located.event for located in log.located]
    yield from check_origin(known.slug, known.mission_id, events)
    yield from check_clocks(known.slug, log.segments.values())
    yield from check_machines(known.slug, events, machines)
    if log.is_whole:  # with a segment missing, every gap in a chain would be reported once more
        yield from check_chains(known.slug, events)


def check_content(repository: Repository, known: KnownLedger, found: Iterable[Piece]) -> Iterator[DoctorFinding]:
    """Every object below the tip is what its name says."""
    for piece in found:
        named = piece.entry.oid
        if piece.error is None and object_name(piece.entry.type, piece.content, repository.object_format) != named:
            what = piece.path or "the tree"
            message = f"{what} does not have the content that its name {named[:12]} stands for"
            yield problem("ledger", known.slug, message, f"git fsck {known.ref}")


def check_history(repository: Repository, sound: Soundness, known: set[str]) -> Iterator[DoctorFinding]:
    """Every object of the history is here, and every event that a commit names is in the tip."""
    slug, tip = sound.ledger.slug, str(sound.tip)
    missing = missing_in(repository.store_git, tip)
    if missing is not None:
        yield problem("ledger", slug, f"its history is not whole: {printable(missing)}", f"git fsck {sound.ledger.ref}")
        return
    commits = 0
    dropped: dict[str, str] = {}
    for commit, message in commit_messages(repository.store_git, tip):
        commits += 1
        trailers = message.rstrip().rpartition("\n\n")[2].splitlines()
        named = [line.removeprefix(_EVENT_TRAILER) for line in trailers if line.startswith(_EVENT_TRAILER)]
        dropped |= {event_id: commit for event_id in named if event_id not in known}
    sound.counts["commits"] = commits
    if dropped:
        event_id, commit = next(iter(dropped.items()))
        message = f"{len(dropped)} event(s) that were recorded are not in it any more; {commit[:12]} recorded "
        yield problem("ledger", slug, message + printable(event_id), f"git show {commit}")


def _index(ledger: Ledger, view: LedgerView, log: StoredLog) -> Iterator[DoctorFinding]:
    """The index is there, stands where the ref stands, and says what the log says.

    One that stands at a commit which the ref has lost is left alone: it is what remembers that commit.
    """
    known = KnownLedger(ledger.ref, ledger.mission_slug)
    complaint: DoctorFinding | None = None
    try:
        indexed = ledger.index.load()
        if indexed is None:
            complaint = warning("ledger", known.slug, "it has no index, so answers take longer", "")
        elif indexed.tip == view.tip:
            wrong = disagreements(ledger.index, view, log.located, log.paths)
            if wrong:
                message = f"its index disagrees with the log about {', '.join(wrong)}"
                complaint = problem("ledger", known.slug, message, "")
        elif is_contained(ledger.repository, str(indexed.tip), str(view.tip)):
            complaint = warning("ledger", known.slug, "its index is behind; the next command brings it forward", "")
    except IndexDamagedError as error:
        last = ledger.index.tip()
        if last is None or is_contained(ledger.repository, last, str(view.tip)):
            complaint = warning("ledger", known.slug, f"its index is damaged: {error}", "")
    # Somebody may have recorded while we were looking.
    if complaint is not None and TipReader(ledger.repository, ledger.store.objects, ledger.ref).read() == view.tip:
        yield fixable(complaint, lambda: rebuild_index(ledger.repository, known))
