"""The report of a mission: what happened to each work package and wave, what it took, and what to do now.

Everything comes from the ledger, so a run that was killed has its report too, and any clone can make it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from kitty_flow.flow.activity import Activity, ActivityReader, Rejection, Usage, Work
from kitty_flow.flow.board import Board, WorkPackageStatus, make_board, next_commands
from kitty_flow.flow.mission import OpenMission
from kitty_flow.ledger.view import EntityState

__all__ = ["Failure", "MissionReport", "PackageReport", "WaveReport", "make_report"]


class Failure(NamedTuple):
    """Why an invocation of a work package came to nothing, and where all that it printed is.

    `is_overcome`: a later invocation came to something.
    """

    action: str
    agent: str
    code: str
    message: str
    log_path: str | None
    is_overcome: bool


class PackageReport(NamedTuple):
    """What happened to one work package. `worked_s` is the time that implementers and reviewers took, in seconds.

    `failure` is the last one, `failures` counts all, `sent_back` are the rejections; `reason`: why it is where it is.
    """

    id: str
    title: str
    state: str
    wave: int
    attempts: int
    reviews: int
    rejections: int
    failures: int
    implementers: tuple[str, ...]
    reviewers: tuple[str, ...]
    worked_s: float
    usage: Usage
    force_count: int
    reason: str | None
    failure: Failure | None
    sent_back: tuple[Rejection, ...]

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        failure = self.failure._asdict() if self.failure else None
        sent_back = [each._asdict() for each in self.sent_back]
        return {**self._asdict(), "usage": self.usage.as_data(), "failure": failure, "sent_back": sent_back}


class WaveReport(NamedTuple):
    """One wave: its work packages, and how many of them are finished."""

    number: int
    work_packages: tuple[str, ...]
    finished: int


@dataclass(frozen=True)
class MissionReport:
    """All of it. `began_at` and `last_at` are the first claim and the last step, by the recording clocks.

    `worked_s` is the time of all work packages together, in seconds; `remarks` are the board's warnings.
    """

    mission: dict[str, Any]
    work_packages: tuple[PackageReport, ...]
    waves: tuple[WaveReport, ...]
    usage: Usage
    worked_s: float
    began_at: datetime | None
    last_at: datetime | None
    runs: tuple[dict[str, Any], ...]
    remarks: tuple[str, ...]
    next_commands: tuple[str, ...]
    made_at: datetime

    @property
    def elapsed_s(self) -> float:
        """Seconds between the first claim and the last step; 0 where the clocks contradict each other."""
        if self.began_at is None or self.last_at is None:
            return 0.0
        return max(0.0, (self.last_at - self.began_at).total_seconds())

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "mission": self.mission,
            "work_packages": {each.id: each.as_data() for each in self.work_packages},
            "waves": [wave._asdict() for wave in self.waves],
            "usage": self.usage.as_data(),
            "worked_s": round(self.worked_s, 1),
            "elapsed_s": round(self.elapsed_s, 1),
            "runs": list(self.runs),
            "remarks": list(self.remarks),
            "next_commands": list(self.next_commands),
        }


def make_report(mission: OpenMission) -> MissionReport:
    """The report as the ledger has it now.

    Raises:
        LedgerError: the log cannot be read.
    """
    board = make_board(mission)
    view = mission.view()
    reader = ActivityReader(mission.ledger)
    reader.read(view)
    activity = reader.activity
    now = datetime.now(UTC)
    by_package: dict[str | None, list[Work]] = {}
    for work in activity.works.values():
        by_package.setdefault(work.work_package_id, []).append(work)
    packages = tuple(
        _package(card, mission.work_package(card.id, view), by_package.get(card.id, []), activity, now)
        for card in board.work_packages
    )
    return MissionReport(
        board.mission,
        packages,
        _waves(board),
        activity.usage(),
        sum(each.worked_s for each in packages),
        activity.began_at,
        activity.last_at,
        tuple(_run(run.id, run.host, run.started_at, run.ended_at, run.outcome) for run in activity.runs.values()),
        tuple(warning for warning in board.warnings),
        next_commands(board),
        now,
    )


def _package(
    card: WorkPackageStatus, entity: EntityState, works: list[Work], activity: Activity, now: datetime
) -> PackageReport:
    time_in = activity.times.get(card.id)
    failed = [work for work in works if work.state == "failed"]
    closed = [work for work in works if work.state != "started"]
    failure = None
    if failed:
        last, reason = failed[-1], failed[-1].reason or "no reason told"
        is_overcome = any(work.state == "done" for work in closed[closed.index(last) + 1 :])
        failure = Failure(last.action, last.agent, last.code or "FAILED", reason, last.log_path, is_overcome)
    usage = Usage()
    for work in closed:
        usage = usage.plus(work.usage)
    return PackageReport(
        card.id,
        card.title,
        card.state,
        card.wave,
        entity.counts.get("start", 0),
        sum(work.action == "review" for work in works),
        entity.counts.get("request_changes", 0),
        len(failed),
        _names(works, "implement"),
        _names(works, "review"),
        round(time_in.until(now), 1) if time_in else 0.0,
        usage,
        card.force_count,
        card.reason,
        failure,
        tuple(activity.rejections.get(card.id, ())),
    )


def _names(works: list[Work], action: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(work.agent for work in works if work.action == action))


def _waves(board: Board) -> tuple[WaveReport, ...]:
    members: dict[int, list[WorkPackageStatus]] = {}
    for card in board.work_packages:
        members.setdefault(card.wave, []).append(card)
    return tuple(
        WaveReport(
            number,
            tuple(card.id for card in cards),
            sum(card.state in ("approved", "done", "canceled") for card in cards),
        )
        for number, cards in members.items()
    )


def _run(run_id: str, host: str, began: datetime | None, ended: datetime | None, outcome: str | None) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "host": host,
        "started_at": began.isoformat(timespec="seconds") if began else None,
        "ended_at": ended.isoformat(timespec="seconds") if ended else None,
        "outcome": outcome,
    }
