"""Driving a mission: every work package through its machine, wave by wave, with real processes in real worktrees."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from kitty_flow.agents.executor import Executor
from kitty_flow.errors import ConflictError, InterruptedRunError
from kitty_flow.flow.budget_watch import watched_budget
from kitty_flow.flow.drive import Driver, Outcome
from kitty_flow.flow.life import accept_if_finished, begin
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.policy_reasons import mission_spent
from kitty_flow.flow.readiness import Readiness, is_finished, is_under_review, unfinished
from kitty_flow.flow.recovery import recover
from kitty_flow.flow.run_context import RunContext
from kitty_flow.flow.run_lock import RunIdentity, enrolled, run_lock
from kitty_flow.flow.run_loop import RunLoop, Say
from kitty_flow.flow.run_options import RunOptions
from kitty_flow.flow.steps import Schedule
from kitty_flow.flow.stopping import Stop, StopLevel, stopped_by_signals
from kitty_flow.flow.wave_gate import GateResult
from kitty_flow.ledger.ledger import new_ulid
from kitty_flow.ledger.view import LedgerView

__all__ = ["RunOptions", "RunReport", "Schedule", "run_lock", "run_mission"]


@dataclass
class RunReport:
    """What a run came to, work package by work package; `budget` tells which limit ended it, if one did."""

    run_id: str
    mission_state: str = ""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    recovered: tuple[str, ...] = ()
    mission_head: str | None = None
    joined: bool = False
    usage: dict[str, Any] = field(default_factory=dict)
    budget: str | None = None
    red_gate: GateResult | None = None

    @property
    def exit_status(self) -> int:
        """0: everything driven is approved or done; 7: an agent failed; 4: something was refused or is blocked."""
        if self.red_gate is not None:
            return 4
        open_ones = [o for o in self.outcomes.values() if o.code is not None]
        if not open_ones:
            return 0
        if self.budget is not None:
            return 4
        return 7 if any(o.by_agent for o in open_ones) else 4

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "run_id": self.run_id,
            "state": self.mission_state,
            "work_packages": {i: o.as_data() for i, o in self.outcomes.items()},
            "recovered": list(self.recovered),
            "mission_head": self.mission_head,
            "joined": self.joined,
            "usage": self.usage,
            "budget": self.budget,
            "wave_gate": self.red_gate.as_data() if self.red_gate is not None else None,
        }


def run_mission(
    mission: OpenMission,
    options: RunOptions,
    *,
    executor: Executor | None = None,
    say: Say = lambda level, busy: None,
) -> RunReport:
    """Drive the mission until nothing more can be done; started again, it resumes.

    Args:
        executor: where agents are executed; this machine by default. It is closed at the end.
        say: tells the person at the terminal what their Ctrl-C did, and which work packages are at work.

    Raises:
        ConflictError: RUN_ACTIVE, another run drives this mission; LOCK_TIMEOUT, a merge does something with it.
        RefusedError: the mission cannot be run in its state.
        InterruptedRunError: INTERRUPTED by a signal; held work packages were given back.
        LedgerError: a transition could not be recorded.
    """
    report, stop = RunReport(new_ulid()), Stop()
    with ExitStack() as held:
        try:
            held.enter_context(run_lock(mission, beside_joined=True))
        except ConflictError as error:
            if not options.join or error.code != "RUN_ACTIVE":
                raise
            report.joined = True
        identity = RunIdentity.ours(report.run_id, joined=report.joined)
        held.enter_context(enrolled(mission, identity))
        held.enter_context(stopped_by_signals(stop))
        begin(mission, run_id=report.run_id)

        def recover_dead() -> tuple[str, ...]:
            return recover(mission, options.rules, run_id=report.run_id)

        if not report.joined:
            report.recovered = recover_dead()
        executor = executor or _local_executor()
        held.callback(executor.close)
        run = RunContext(report.run_id, executor, stop)
        stop.listener = run.follow_stop
        loop = RunLoop(mission, run, Driver(run, options.rules), options, identity, say, recover_dead)
        with watched_budget(mission, options.rules, run):
            loop.run()
        report.outcomes.update(loop.outcomes())
        report.usage = mission_spent(mission.view()).as_data()
        report.budget = loop.assigner.spent_out.sentence() if loop.assigner.spent_out is not None else None
        report.red_gate = loop.red_gate
        report.outcomes.update(_left_over(mission, options, report))
        if stop.level > StopLevel.NONE:
            report.mission_state = mission.state()
            raise _interrupted(mission, report, is_drained=stop.level == StopLevel.DRAIN)
        may_accept = report.red_gate is None
        report.mission_state = accept_if_finished(mission, run_id=report.run_id) if may_accept else mission.state()
        report.mission_head = mission.project.repository.refs.commit(mission.branch)
        return report


def _local_executor() -> Executor:
    from kitty_flow.agents.local_executor import LocalExecutor

    return LocalExecutor()


def _interrupted(mission: OpenMission, report: RunReport, *, is_drained: bool) -> InterruptedRunError:
    told = "work in progress was given back and its unsaved changes kept"
    if is_drained:
        left = len(unfinished(mission, mission.view()))
        told = f"what was at work was finished, and {left} work package{' is' if left == 1 else 's are'} left"
    return InterruptedRunError(
        "INTERRUPTED",
        f"the run was stopped; {told}",
        hint=f"kitty-flow run {mission.slug}",
        details=report.as_data(),
    )


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
        code, message = reasons[0][1:3] if reasons else _behind_barrier(mission, view, options, work_package.id)
        if is_under_review(entity, view):
            message = f"{work_package.id} is being reviewed by {entity.facts.get('reviewer')}"
        elif entity.state in ("claimed", "in_progress"):
            message = f"{work_package.id} is held by {entity.facts.get('holder')}"
        attempts, rejections = entity.counts.get("start", 0), entity.counts.get("request_changes", 0)
        found[work_package.id] = Outcome(entity.state, attempts, rejections, code, message)
    return found


def _behind_barrier(mission: OpenMission, view: LedgerView, options: RunOptions, name: str) -> tuple[str, str]:
    """Why a work package that is ready was not begun: somebody else is at work in an earlier wave."""
    placements = mission.plan.placements
    for work_package in mission.definition.work_packages if options.schedule == "waves" else ():
        wave, entity = placements[work_package.id].wave, mission.work_package(work_package.id, view)
        if wave < placements[name].wave and entity.state in ("claimed", "in_progress", "in_review"):
            who = entity.facts.get("reviewer" if entity.state == "in_review" else "holder")
            return "WAVE_BARRIER", f"{name} waits for wave {wave}, where {work_package.id} is {entity.state} by {who}"
    return "NOT_DRIVEN", f"{name} became ready too late"
