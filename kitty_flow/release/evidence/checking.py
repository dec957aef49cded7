"""Checking a bundle, offline: against itself, against the objects of this clone, against the ledger if it is here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitty_flow.errors import LedgerError, UsageError
from kitty_flow.git.repository import Repository
from kitty_flow.ledger.segment import decode_event, encode_event
from kitty_flow.release.evidence.canonical import MAX_BYTES, damaged, parse
from kitty_flow.release.evidence.finding import Finding, failed, passed
from kitty_flow.release.evidence.git_checks import check_landing
from kitty_flow.release.evidence.ledger_checks import check_ledger
from kitty_flow.release.evidence.release_checks import check_release
from kitty_flow.release.evidence.statement import statement_of

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = ["CheckedBundle", "check_bundle", "read_bundle"]


@dataclass(frozen=True)
class CheckedBundle:
    """A bundle and what was found out about it."""

    statement: dict[str, Any]
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing contradicts it; what could not be looked at here is among the findings."""
        return all(finding.outcome != "fail" for finding in self.findings)

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        predicate = self.statement["predicate"]
        return {
            "mission": predicate.get("mission"),
            "subject": self.statement.get("subject"),
            "content_sha256": predicate.get("content_sha256"),
            "holds": self.holds,
            "findings": [finding._asdict() for finding in self.findings],
        }


def read_bundle(path: Path) -> bytes:
    """The bytes of a bundle, no more than a bundle can have.

    Raises:
        UsageError: BUNDLE_UNREADABLE.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            "BUNDLE_UNREADABLE",
            f"{path} cannot be read: {error.strerror}",
            hint="kitty-flow verify MISSION --bundle-out FILE writes one",
        ) from error


def check_bundle(repository: Repository, content: bytes) -> CheckedBundle:
    """What a bundle says, compared with everything that is here to compare it with. Changes nothing.

    Raises:
        DefinitionError: BUNDLE_DAMAGED, it is not as it was written.
        LedgerError: this clone's own objects or ledger cannot be read.
    """
    statement = parse(content)
    events = _events(statement)
    findings = [passed("form", "the file is as it was written, to the last byte"), *_derived(statement, events)]
    if all(finding.outcome == "pass" for finding in findings):
        for landing in statement["predicate"]["landings"]:
            findings += check_landing(repository, landing)
        for release in statement["predicate"]["releases"]:
            if release["state"] == "proved":
                findings += check_release(repository, release, statement["predicate"]["landings"])
        findings += check_ledger(repository, statement, events)
    return CheckedBundle(statement, tuple(findings))


def _events(statement: dict[str, Any]) -> tuple[Event, ...]:
    """The events of a bundle, each as strictly as a ledger reads its own."""
    rows = statement["predicate"].get("events")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise damaged("it has no list of events")
    found = []
    for number, row in enumerate(rows, 1):
        try:
            line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()
            event = decode_event(line, f"event {number}")
            encode_event(event)
        except (ValueError, RecursionError, LedgerError) as error:
            raise damaged(f"event {number} cannot be read: {str(error).splitlines()[0][:200]}") from error
        found.append(event)
    return tuple(found)


def _derived(statement: dict[str, Any], events: Sequence[Event]) -> list[Finding]:
    """Everything else in the bundle follows from its events, and they follow from each other."""
    ledger = statement["predicate"].get("ledger")
    place = ledger if isinstance(ledger, dict) else {}
    again = statement_of(events, str(place.get("ref")), str(place.get("commit")))
    if again != statement:
        differing = sorted(
            key
            for key in {*again["predicate"], *statement["predicate"]}
            if again["predicate"].get(key) != statement["predicate"].get(key)
        )
        return [failed("statement", f"it does not follow from the bundle's own events: {', '.join(differing)}")]
    wrong = _inconsistent(events, again)
    if wrong:
        return [failed("statement", wrong)]
    count = f"{len(events)} events"
    return [passed("statement", f"all that it says follows from its {count}, and they follow from each other")]


def _inconsistent(events: Sequence[Event], statement: dict[str, Any]) -> str | None:
    """What is wrong with the events by themselves, in words."""
    predicate = statement["predicate"]
    mission = predicate["mission"].get("id")
    if not predicate["landings"]:
        return "it is about no landing"
    orders = [event.order for event in events]
    if orders != sorted(set(orders)) or len({event.event_id for event in events}) < len(events):
        return "its events are not in the order of a ledger, or one is there twice"
    if any(event.mission_id != mission for event in events):
        return "it mixes the events of several missions"
    if predicate["ledger"]["ref"] != f"refs/kitty/m/{mission}":
        return "the ledger that it names is not that of its mission"
    for found in (*predicate["landings"], *predicate["releases"]):
        states = [(e.from_state, e.to_state) for e in events if e.entity_id == found["id"] and e.kind == "transition"]
        if [before for before, _ in states] != [None, *(after for _, after in states[:-1])]:
            return f"the steps of {found['id']} do not follow from each other"
    for landing in predicate["landings"]:
        name, tree = landing["id"], landing["tree"]
        steps = [e for e in events if e.entity_id == name and e.kind == "transition"]
        trees = {tree, landing["tests"]["tree"], *(e.evidence.get("candidate_tree", tree) for e in steps)}
        if len(trees) > 1 or tree is None:
            return f"the tree that landed with {name} is not the tree that was tested"
        if landing["tests"]["exit_status"] != 0:
            return f"the tests of the landing {name} did not pass"
    return None
