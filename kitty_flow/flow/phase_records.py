"""What the ledger knows about the phases of a mission: annotations of the mission, read back from its facts.

Each phase and each answer has a fact of its own, so that two clones that record different ones do not meet.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.mission import OpenMission
from kitty_flow.ledger.view import EntityState, LedgerView

__all__ = [
    "Finished",
    "Holding",
    "PhaseRecords",
    "held_phases",
    "note_answer",
    "note_begun",
    "note_finished",
    "note_given_back",
]

_DONE: Final = "phase:"
_HELD: Final = "phase_held:"
_ANSWER: Final = "input:"


class Finished(NamedTuple):
    """A phase that somebody reported as finished, with the digests of its artifacts by path."""

    by: str
    artifacts: Mapping[str, str]
    result_path: str | None
    summary: str


class Holding(NamedTuple):
    """Who works on a phase; `epoch` is one higher each time that somebody begins one."""

    holder: str
    epoch: int
    lease_expires_at: str
    prompt_path: str
    result_path: str

    def has_run_out(self) -> bool:
        """Whether somebody else may begin the phase anew."""
        return datetime.fromisoformat(self.lease_expires_at) <= datetime.now(UTC)


class PhaseRecords:
    """The records of one mission in one view of its ledger."""

    def __init__(self, mission: OpenMission, view: LedgerView) -> None:
        entity = view.entity("mission", mission.id)
        self._facts: Mapping[str, Any] = entity.facts if entity else {}
        self.begun = entity.counts.get("begin_phase", 0) if entity else 0

    def finished(self, phase: str) -> Finished | None:
        """The report that the phase is finished."""
        found = self._facts.get(f"{_DONE}{phase}")
        return Finished(*(found[name] for name in Finished._fields)) if found else None

    def holding(self, phase: str) -> Holding | None:
        """Who has begun the phase and neither finished it nor given it back."""
        found = self._facts.get(f"{_HELD}{phase}")
        return Holding(*(found[name] for name in Holding._fields)) if found else None

    def answer(self, name: str) -> str | None:
        """The text that was given for an input."""
        found = self._facts.get(f"{_ANSWER}{name}")
        return str(found["text"]) if found else None


def held_phases(mission: EntityState) -> dict[str, Holding]:
    """The phases that somebody has begun and still may finish, with who does."""
    found = {
        name.removeprefix(_HELD): Holding(*(value[field] for field in Holding._fields))
        for name, value in mission.facts.items()
        if name.startswith(_HELD) and value
    }
    return {name: holding for name, holding in found.items() if not holding.has_run_out()}


def note_begun(builder: BatchBuilder, mission_id: str, phase: str, holding: Holding) -> None:
    """Collect that somebody begins a phase."""
    builder.annotate("mission", mission_id, "begin_phase", evidence={f"{_HELD}{phase}": holding._asdict()})


def note_finished(builder: BatchBuilder, mission_id: str, phase: str, finished: Finished) -> None:
    """Collect that a phase is finished; nobody holds it any more."""
    evidence = {f"{_DONE}{phase}": {**finished._asdict(), "artifacts": dict(finished.artifacts)}}
    builder.annotate("mission", mission_id, "finish_phase", evidence={**evidence, f"{_HELD}{phase}": None})


def note_given_back(builder: BatchBuilder, mission_id: str, phase: str, reason: str) -> None:
    """Collect that a phase was given back unfinished."""
    builder.annotate("mission", mission_id, "give_back_phase", evidence={f"{_HELD}{phase}": None}, reason=reason)


def note_answer(builder: BatchBuilder, mission_id: str, name: str, text: str, by: str) -> None:
    """Collect the answer for an input."""
    builder.annotate("mission", mission_id, "answer", evidence={f"{_ANSWER}{name}": {"text": text, "by": by}})
