"""What a live board shows: the mission at one moment, who works for how long, what was used, and the time that is left.

The ledger is looked at by its tip; while that stays, a look costs the sizes of the logs of those who work.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from kitty_flow.flow.activity import ActivityReader, ParkedPool, Retry, Usage, Work
from kitty_flow.flow.board import Board, WorkPackageStatus, make_board
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.outlook import Eta, Outlook
from kitty_flow.ledger.ledger import Ledger
from kitty_flow.ledger.view import LedgerView

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = ["LiveMission", "Output", "Row", "Snapshot"]

_OPEN: Final = ("draft", "planned", "running", "paused")


class Output(NamedTuple):
    """What a working agent has printed so far: bytes, and seconds since the last of them."""

    size: int
    age_s: float


class Row(NamedTuple):
    """One work package: its card, since when somebody is at it or how long it took, and what it waits for."""

    card: WorkPackageStatus
    is_ready: bool
    work: Work | None
    worked_s: float
    output: Output | None
    retry: Retry | None


@dataclass(frozen=True)
class Snapshot:
    """Everything a frame is drawn from. `now` is this machine's clock; `events` are the last ones, oldest first."""

    board: Board
    rows: tuple[Row, ...]
    usage: Usage
    pools: tuple[ParkedPool, ...]
    budget: str | None
    began_at: datetime | None
    events: tuple[Event, ...]
    eta: Eta | None
    now: datetime

    @property
    def is_moving(self) -> bool:
        """Whether something changes with time alone: an agent at work, or a wait that ends."""
        return bool(self.pools) or any(row.work or row.retry for row in self.rows)


class LiveMission:
    """Looks at a mission again and again, through a ledger of its own, so that it may do so in a thread of its own.

    Args:
        agents: how many work at once, for the estimate.
    """

    def __init__(self, mission: OpenMission, *, agents: int) -> None:
        ledger = Ledger(mission.project.repository, mission.id, mission.slug, only_look=True)
        self._mission = replace(mission, ledger=ledger)
        self._agents = agents
        self._reader = ActivityReader(ledger)
        self._view: LedgerView | None = None
        self._board: Board | None = None
        self._outlook = Outlook()
        self.added: tuple[Event, ...] = ()

    def look(self) -> bool:
        """Read what was recorded since the last look into `added`; returns whether the ledger moved.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        view = self._mission.view()
        if self._view is not None and view.tip == self._view.tip:
            self.added = ()
            return False
        added = self._reader.read(view)
        self.added = added if self._view is not None else ()
        self._view, self._board = view, None
        self._mission = self._mission.at(view)
        return True

    @property
    def state(self) -> str:
        """The mission's state at the last look."""
        return self._mission.state(self._view)

    @property
    def is_over(self) -> bool:
        """Whether the mission is accepted, merged, shipped or aborted, so that no run changes anything any more."""
        return self.state not in _OPEN

    def snapshot(self) -> Snapshot:
        """The mission as of the last look, and what can be seen of those who work on it now."""
        if self._board is None:
            self._board = make_board(self._mission)
        board, activity, now = self._board, self._reader.activity, datetime.now(UTC)
        working = {work.work_package_id: work for work in activity.running()}
        ready = set(board.ready)
        return Snapshot(
            board,
            tuple(self._row(card, working.get(card.id), card.id in ready, now) for card in board.work_packages),
            activity.usage(),
            tuple(pool for pool in activity.pools.values() if pool.until is None or pool.until > now),
            activity.budget,
            activity.began_at,
            tuple(activity.last),
            self._outlook.eta(self._mission, board, self._reader.activity, self._agents, now),
            now,
        )

    def _row(self, card: WorkPackageStatus, work: Work | None, is_ready: bool, now: datetime) -> Row:
        activity = self._reader.activity
        time_in = activity.times.get(card.id)
        worked = time_in.until(now) if time_in else 0.0
        if work is not None and work.started_at is not None:
            worked = max(0.0, (now - work.started_at).total_seconds())
        retry = activity.retries.get(card.id) if card.state == "planned" else None
        return Row(card, is_ready, work, worked, _output(work), retry)

    def close(self) -> None:
        """Close the ledger; in the thread that looked."""
        self._mission.ledger.close()


def _output(work: Work | None) -> Output | None:
    """Size and age of an agent's log; None where there is none, as on another machine."""
    if work is None or work.log_path is None:
        return None
    try:
        found = Path(work.log_path).stat()
    except (OSError, ValueError):
        return None
    return Output(found.st_size, max(0.0, time.time() - found.st_mtime))
