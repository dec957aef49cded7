"""Waiting for a step: nothing is decided, asked or recorded until the ledger moves or something becomes due."""

from __future__ import annotations

from time import monotonic, sleep
from typing import Final

from kitty_flow.errors import ConflictError
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.next_step import next_step
from kitty_flow.flow.peek import NextStep, Role

__all__ = ["tip_mark", "wait_for_step"]

_FIRST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 0.5
_GROWTH: Final = 1.5
_PHASES_S: Final = 30.0
"""How often the phases of planning are looked at again: their gates look at files, which move no ledger."""

_SHARE: Final = 9.0
"""However busy the ledger is, deciding takes at most a tenth of the time."""


def wait_for_step(mission: OpenMission, agent: str, *, role: Role = "implement", seconds: float) -> NextStep:
    """The next step as soon as there is one; after `seconds`, or when waiting is of no use, the reasons why not.

    Raises:
        As `next_step`, but CLAIM_LOST only when the time is over.
    """
    deadline = monotonic() + seconds
    while True:
        mark = tip_mark(mission)  # before the look: what moves meanwhile is looked at again
        begun = monotonic()
        answer: NextStep | None = None
        try:
            answer = next_step(mission, agent, role=role)
        except ConflictError as error:
            if error.code != "CLAIM_LOST" or begun >= deadline:
                raise
        if answer is not None and (answer.kind != "wait" or begun >= deadline):
            return answer
        decided = monotonic()
        sleep(max(0.0, min(_SHARE * (decided - begun), deadline - decided)))
        if answer is not None:
            _pause(mission, mark, min(deadline, decided + _due_s(mission, answer)))


def tip_mark(mission: OpenMission) -> object:
    """What changes whenever the ledger moves; it is told by two files, without git."""
    refs, ref = mission.project.repository.refs, mission.ledger.ref
    packed = refs.packed_state()
    return (refs.unpacked(ref), packed) if packed is not None else refs.read(ref)


def _due_s(mission: OpenMission, answer: NextStep) -> float:
    if not mission.definition.work_packages:
        return _PHASES_S
    return float("inf") if answer.due_s is None else answer.due_s


def _pause(mission: OpenMission, mark: object, until: float) -> None:
    """Sleep until the ledger moves or the time has come; the looks become rarer, and each costs microseconds."""
    pause = _FIRST_PAUSE_S
    while (left := until - monotonic()) > 0 and tip_mark(mission) == mark:
        sleep(min(pause, left))
        pause = min(_LONGEST_PAUSE_S, pause * _GROWTH)
