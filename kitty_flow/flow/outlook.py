"""How long a mission that goes on will still take, for a display that asks again and again."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from kitty_flow.flow.activity import Activity
from kitty_flow.flow.board import Board
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.standing import FINISHED

if TYPE_CHECKING:
    from kitty_flow.model.forecast import Durations

__all__ = ["Eta", "Outlook"]

_AGAIN_AFTER_S: Final = 60.0
_SHARE: Final = 100.0
"""An estimate that took a second is good for this many."""


class Eta(NamedTuple):
    """Seconds until everything is approved: the middle of the simulations, and what nine of ten stay below."""

    median: float
    p90: float


class Outlook:
    """The estimate, made anew when a work package was finished, and only as often as it is worth."""

    def __init__(self) -> None:
        self._finished: frozenset[str] | None = None
        self._durations: Durations | None = None
        self._made: Eta | None = None
        self._made_at = 0.0
        self._good_for_s = 0.0

    def eta(self, mission: OpenMission, board: Board, activity: Activity, agents: int, now: datetime) -> Eta | None:
        """The time that is left; None while nothing is known of how long a work package takes."""
        finished = frozenset(card.id for card in board.work_packages if card.state in FINISHED)
        age = time.monotonic() - self._made_at
        is_old = self._finished is None or (
            age > self._good_for_s and (finished != self._finished or age > _AGAIN_AFTER_S)
        )
        if is_old:
            began = time.thread_time()  # on a busy machine a look at the clock would count the others' work
            self._make(mission, board, activity, agents, now, learn_again=finished != self._finished)
            self._finished, self._made_at = finished, time.monotonic()
            self._good_for_s = _SHARE * (time.thread_time() - began)
            age = 0.0
        if self._made is None or len(finished) == len(board.work_packages):
            return None
        return Eta(max(0.0, self._made.median - age), max(0.0, self._made.p90 - age))

    def _make(
        self, mission: OpenMission, board: Board, activity: Activity, agents: int, now: datetime, *, learn_again: bool
    ) -> None:
        from random import Random

        from kitty_flow.flow.durations import learn, standing_of
        from kitty_flow.flow.planning import SEED
        from kitty_flow.graph.forecast import forecast

        if learn_again:
            self._durations = learn(mission.project, activity.times, mission.id)
        self._made = None
        if self._durations is None:
            return
        standing = standing_of({card.id: card.state for card in board.work_packages}, activity.times, now)
        draw = Random(SEED).random
        found = forecast(mission.plan, agents, standing=standing, durations=self._durations, draw=draw)
        if found.median is not None and found.p90 is not None:
            self._made = Eta(found.median, found.p90)
