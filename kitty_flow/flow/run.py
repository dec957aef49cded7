"""Driving a mission: every work package through its machine, wave by wave, with real processes in real worktrees."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from kitty_flow.agents.command import AgentSpec
from kitty_flow.errors import InterruptedRunError, KittyFlowError, LedgerError
from kitty_flow.flow.board import order_of_work
from kitty_flow.flow.drive import Driver, Outcome
from kitty_flow.flow.life import accept_if_finished, begin
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.readiness import Readiness, is_finished, is_under_review
from kitty_flow.flow.recovery import recover
from kitty_flow.ledger.ledger import new_ulid
from kitty_flow.ledger.lock import exclusive

__all__ = ["RunOptions", "RunReport", "Schedule", "run_lock", "run_mission"]

Schedule = Literal["waves", "eager"]

_AMENDED: Final = ("DEPENDENCIES_NOT_SATISFIED", "WORK_PACKAGE_DROPPED")
"""Refusals of a claim that was ready when it was chosen: the mission was amended in between, so look again."""

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class RunOptions:
    """Who works, how many at once, and how far.

    `until` is the last wave to be driven; `max_attempts` how often a work package is tried before a person has to look.
    """

    implementer: AgentSpec
    reviewer: AgentSpec | None
    jobs: int = 2
    schedule: Schedule = "waves"
    until: int | None = None
    max_attempts: int = 3


@dataclass
class RunReport:
    """What a run came to, work package by work package."""

    run_id: str
    mission_state: str = ""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    recovered: tuple[str, ...] = ()
    mission_head: str | None = None

    @property
    def exit_status(self) -> int:
        """0: everything driven is approved or done; 7: an agent failed; 4: something was refused or is blocked."""
        open_ones = [o for o in self.outcomes.values() if o.code is not None]
        if not open_ones:
            return 0
        return 7 if any(o.by_agent for o in open_ones) else 4

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "run_id": self.run_id,
            "state": self.mission_state,
            "work_packages": {i: o.as_data() for i, o in self.outcomes.items()},
            "recovered": list(self.recovered),
            "mission_head": self.mission_head,
        }


def run_lock(mission: OpenMission) -> Any:
    """The lock that makes a run the only one of its mission in this clone; freed by the kernel when the run dies."""
    path = mission.project.repository.state_dir / "locks" / f"{mission.id}.run.lock"
    return exclusive(path, timeout_s=0.0, what=f"the run of {mission.slug}")


def run_mission(mission: OpenMission, options: RunOptions) -> RunReport:
    """Drive the mission until nothing more can be done; started again, it resumes.

    Raises:
        ConflictError: LOCK_TIMEOUT, another run drives this mission.
        RefusedError: the mission cannot be run in its state.
        InterruptedRunError: INTERRUPTED by a signal; held work packages were given back.
        LedgerError: a transition could not be recorded.
    """
    with run_lock(mission):
        report = RunReport(new_ulid())
        begin(mission, run_id=report.run_id)
        report.recovered = recover(mission, run_id=report.run_id)
        runner = _Runner(mission, options, report)
        asyncio.run(runner.run())
        report.outcomes.update(_left_over(mission, options, report))
        report.mission_state = accept_if_finished(mission, run_id=report.run_id)
        report.mission_head = mission.project.repository.refs.commit(mission.branch)
        return report


def _left_over(mission: OpenMission, options: RunOptions, report: RunReport) -> dict[str, Outcome]:
    """What this run was to drive and could not even start: blocked, held by others, or waiting for such a one."""
    view = mission.view()
    mission = mission.at(view)
    readiness = Readiness(mission, view)
    found = {}
    for work_package in mission.definition.work_packages:
        entity = mission.work_package(work_package.id, view)
        beyond = options.until is not None and mission.plan.placements[work_package.id].wave > options.until
        if work_package.id in report.outcomes or is_finished(entity) or beyond:
            continue
        reasons = readiness.hindrances(work_package.id)
        code, message = reasons[0][1:3] if reasons else ("NOT_DRIVEN", f"{work_package.id} became ready too late")
        attempts, rejections = entity.counts.get("start", 0), entity.counts.get("request_changes", 0)
        found[work_package.id] = Outcome(entity.state, attempts, rejections, code, message)
    return found


class _Runner:
    """The scheduler: asks what can be started, starts it, waits for the first to end; it does nothing in between."""

    def __init__(self, mission: OpenMission, options: RunOptions, report: RunReport) -> None:
        self._mission = mission
        self._options = options
        self._report = report
        self._driver = Driver(mission, options.implementer, options.reviewer, options.max_attempts, report.run_id)
        self._running: dict[asyncio.Task[Outcome], str] = {}
        self._driven: set[str] = set()
        self._stopped = False

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            with suppress(NotImplementedError):  # not available on Windows, where KeyboardInterrupt does the same
                loop.add_signal_handler(number, self._stop)
        try:
            await self._loop()
        finally:
            await self._cancel()
        if self._stopped:
            raise InterruptedRunError(
                "INTERRUPTED",
                "the run was stopped; work in progress was given back and its unsaved changes kept",
                hint=f"kitty-flow run {self._mission.slug}",
                details=self._report.as_data(),
            )

    async def _loop(self) -> None:
        while not self._stopped:
            self._launch()
            if not self._running:
                return
            done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                self._finish(task)

    def _launch(self) -> None:
        candidates = self._candidates()
        if self._options.schedule == "waves":
            candidates = self._first_wave(candidates)
        placements = self._mission.plan.placements
        busy = {placements[i].execution_lane for i in self._running.values() if i in placements}
        for work_package_id in candidates:
            lane = placements[work_package_id].execution_lane
            if len(self._running) >= self._options.jobs or lane in busy:
                continue  # a lane has one worktree: what waits for it is a candidate again when the lane is free
            busy.add(lane)
            self._driven.add(work_package_id)
            task = asyncio.create_task(self._driver.drive(work_package_id), name=work_package_id)
            self._running[task] = work_package_id

    def _candidates(self) -> list[str]:
        """What can be worked on now, most urgent first."""
        view = self._mission.view()
        self._mission = self._mission.at(view)
        if self._mission.state(view) != "running":
            return []
        readiness = Readiness(self._mission, view)
        found = []
        for work_package in self._mission.definition.work_packages:
            wave = self._mission.plan.placements[work_package.id].wave
            if work_package.id in self._driven or (self._options.until and wave > self._options.until):
                continue
            entity = self._mission.work_package(work_package.id, view)
            if is_under_review(entity, view) or readiness.lane_users(work_package.id):
                continue  # by an agent that took it through `next`; or one of our own uses the lane's worktree
            if entity.state in ("for_review", "in_review", "approved") or readiness.is_ready(work_package.id):
                found.append(work_package.id)
        return sorted(found, key=lambda i: order_of_work(self._mission, i))

    def _first_wave(self, candidates: list[str]) -> list[str]:
        """Waves are barriers: only candidates of the earliest wave that anybody works on or could work on."""
        placements = self._mission.plan.placements
        waves = [placements[i].wave for i in (*candidates, *self._running.values()) if i in placements]
        return [i for i in candidates if placements[i].wave == min(waves)]

    def _finish(self, task: asyncio.Task[Outcome]) -> None:
        work_package_id = self._running.pop(task)
        if task.cancelled():
            return  # by `_stop`; the work package was given back before the task ended
        try:
            self._report.outcomes[work_package_id] = task.result()
        except LedgerError:
            raise
        except KittyFlowError as error:
            if error.code in _AMENDED:
                self._driven.discard(work_package_id)
                return
            entity = self._mission.view().entity("work_package", work_package_id)
            state = entity.state if entity is not None else "planned"
            by_agent = error.exit_status == 7
            self._report.outcomes[work_package_id] = Outcome(state, 0, 0, error.code, error.message, by_agent)

    def _stop(self) -> None:
        self._stopped = True
        for task in self._running:
            task.cancel()

    async def _cancel(self) -> None:
        """Stop what still runs; each task gives its work package back before it ends."""
        tasks = list(self._running)
        for task in tasks:
            if not self._stopped:  # a second cancellation would take the agents' time to end in order
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
