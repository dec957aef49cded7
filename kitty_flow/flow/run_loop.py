"""The loop of a run: looks what can be done, has it done beside itself, and sleeps until something changes."""

from __future__ import annotations

import queue
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from typing import Any, Final

from kitty_flow.agents.command import AgentSpec
from kitty_flow.errors import InterruptedRunError, KittyFlowError
from kitty_flow.flow.assign import Assignment, assign
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.drive import Driver, Outcome
from kitty_flow.flow.lease import now
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.outcome import AttemptFailure
from kitty_flow.flow.policy.budget import BUDGET_EXHAUSTED, Overrun
from kitty_flow.flow.policy.retry import retry_wait
from kitty_flow.flow.readiness import unfinished
from kitty_flow.flow.renewal import renew_claims
from kitty_flow.flow.run_context import RunContext
from kitty_flow.flow.run_lock import RunIdentity, holding_run, living_runs
from kitty_flow.flow.run_options import RunOptions
from kitty_flow.flow.standing import ACTIVE
from kitty_flow.flow.steps import Step, possible_steps
from kitty_flow.flow.stopping import StopLevel
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import EntityState, LedgerView

__all__ = ["RunLoop", "Say"]

_LOOK_AGAIN: Final = (
    "ALREADY_CLAIMED",
    "ALREADY_UNDER_REVIEW",
    "DEPENDENCIES_NOT_SATISFIED",
    "ILLEGAL_TRANSITION",
    "LANE_BUSY",
    "OWNERSHIP_CONFLICT",
    "STATE_CHANGED",
    "WORK_PACKAGE_DROPPED",
)
"""Refusals of a step that was possible when it was chosen: somebody was faster, or the mission was amended."""

_LOOKS: Final = 20
"""So often one work package is looked at again; then the refusal stands."""

_FIRST_PAUSE_S: Final = 0.05
_LAST_PAUSE_S: Final = 1.0
"""How long is waited before the ledger's ref is looked at again: longer each time, until something happens."""

Say = Callable[[StopLevel, "tuple[str, ...]"], None]
"""Tells a person how far the run is being stopped, and which work packages are at work."""

_Ended = tuple[Step, "Future[AttemptFailure | None]"]


class RunLoop:
    """Schedules the steps of one run. Each step has a thread of its own while it lasts; agents are watched elsewhere.

    So a slow git, a held ledger and a long merge keep neither an agent from its limits nor another step from its end.
    """

    def __init__(
        self,
        mission: OpenMission,
        run: RunContext,
        driver: Driver,
        options: RunOptions,
        identity: RunIdentity,
        say: Say,
    ) -> None:
        self._mission = mission
        self._run = run
        self._driver = driver
        self._options = options
        self._identity = identity
        self._say = say
        self._said = StopLevel.NONE
        self._pool = ThreadPoolExecutor(options.jobs, thread_name_prefix="kitty-flow-step")
        self._ended: queue.SimpleQueue[_Ended | None] = queue.SimpleQueue()
        self._busy: dict[str, Step] = {}
        self._failures: dict[str, AttemptFailure | None] = {}
        self._agents: dict[str, AgentSpec] = {}
        self._held_up: dict[str, AttemptFailure] = {}
        self._due: float | None = None
        self._spent_out: Overrun | None = None
        self._closed: set[str] = set()
        self._looks: Counter[str] = Counter()
        self._is_announced = False
        self._pause_s = _FIRST_PAUSE_S
        self._renewal_s = mission.project.settings.run.lease_s / 3
        self._next_renewal = monotonic() + self._renewal_s

    def run(self) -> None:
        """Go on until nothing more can be done, or the run is stopped and its agents have ended.

        Raises:
            LedgerError: a transition could not be recorded.
        """
        self._run.stop.listener = self._follow_stop
        try:
            while True:
                seen = self._seen()
                self._tell_of_stop()
                view = self._mission.view()
                if self._run.stop.level == StopLevel.NONE:
                    self._begin_steps(view)
                if not self._busy and (self._run.stop.level > StopLevel.NONE or not (self._due or self._stays(view))):
                    break
                self._sleep(seen)
        except BaseException:
            self._run.stop.rise_to(StopLevel.END)
            raise
        finally:
            self._pool.shutdown(wait=True)
        self._record("run_ended", {"run_id": self._run.id, "outcome": self._run.stop.level.name.lower()})

    def outcomes(self) -> Mapping[str, Outcome]:
        """How every work package stands that this run did something for."""
        view = self._mission.view()
        found = {}
        for name in dict.fromkeys((*self._failures, *self._held_up)):
            entity = view.entity("work_package", name)
            if entity is not None:
                failure = self._held_up.get(name) or self._failures.get(name)
                found[name] = Outcome.of(entity, failure or self._hindrance(entity, view))
        return found

    @property
    def spent_out(self) -> Overrun | None:
        """The limit of the mission's budget for which this run began nothing more."""
        return self._spent_out

    def _hindrance(self, entity: EntityState, view: LedgerView) -> AttemptFailure | None:
        """Why this run did not take a work package further although nothing failed."""
        state = self._mission.state(view)
        if state != "running" and entity.state in ("planned", "for_review", "in_review"):
            return AttemptFailure("MISSION_NOT_RUNNING", f"the mission is {state}", False)
        if entity.state == "for_review" and self._options.reviewer is None:
            return AttemptFailure("REVIEWER_MISSING", "it waits for a review and this run has no reviewer", False)
        return None

    def _tell_of_stop(self) -> None:
        """Here and not in the signal's handler, which may come in the middle of anything."""
        level = self._run.stop.level
        if level > self._said:
            self._said = level
            self._say(level, tuple(self._busy))

    def _follow_stop(self, level: StopLevel) -> None:
        self._run.follow_stop(level)
        self._ended.put(None)  # wakes the loop

    def _begin_steps(self, view: LedgerView) -> None:
        self._due = None
        if len(self._busy) >= self._options.jobs:
            return
        self._mission = self._mission.at(view)
        options, placements = self._options, self._mission.plan.placements
        steps = possible_steps(
            self._mission,
            view,
            schedule=options.schedule,
            until=options.until,
            max_attempts=options.max_attempts,
            has_reviewer=options.reviewer is not None,
            busy=self._busy,
            closed=self._closed,
        )
        lanes: set[str] = set()
        self._held_up, waits = {}, self._retries(view)
        for step in steps:
            lane = placements[step.work_package_id].execution_lane
            if len(self._busy) < options.jobs and lane not in lanes:
                found = self._assigned(step, view)
                if found.agent is not None or found.why is None or found.ends_it:
                    lanes.add(lane)
                    self._begin(Step("give_up", step.work_package_id) if found.ends_it else step, found)
                waits += [found.wait_s] if found.wait_s is not None else []
        if waits and self._mission.state(view) == "running":
            self._due = monotonic() + min(waits)

    def _retries(self, view: LedgerView) -> list[float]:
        """Seconds until the work packages of this run may be tried again that failed before."""
        at, placements, until = now(), self._mission.plan.placements, self._options.until
        ids = [w.id for w in self._mission.definition.work_packages if w.id not in self._closed]
        ids = [i for i in ids if until is None or placements[i].wave <= until]
        return [wait for i in ids if (wait := retry_wait(self._mission.work_package(i, view), at)) > 0]

    def _assigned(self, step: Step, view: LedgerView) -> Assignment:
        """Who does a step; why nobody does is remembered for the end, and a budget that is used up is recorded."""
        if step.kind not in ("implement", "review"):
            return Assignment()
        name = step.work_package_id
        entity = self._mission.work_package(name, view)
        mission = view.entity("mission", self._mission.id)
        found = assign(self._options.rules, step.kind, entity, view, mission, now(), self._agents.values())
        if found.why is not None:
            self._held_up[name] = found.why
        if found.reached is not None and not found.ends_it and self._spent_out is None:
            self._spent_out = found.reached
            self._record(
                BUDGET_EXHAUSTED,
                {
                    "budget_key": found.reached.key,
                    "budget_limit": found.reached.limit,
                    "budget_used": found.reached.used,
                    "exhausted_in_run": mission.counts.get("run_started", 0) if mission is not None else 0,
                },
            )
        return found

    def _begin(self, step: Step, assigned: Assignment) -> None:
        name = step.work_package_id
        if assigned.agent is not None:
            self._agents[name] = assigned.agent
        if not self._is_announced:
            self._is_announced = True
            self._record("run_started", {"run_id": self._run.id, **self._identity.as_evidence()})
        self._busy[name] = step
        future = self._pool.submit(
            self._driver.perform, self._mission, step, assigned.agent, assigned.why or self._failures.get(name)
        )
        future.add_done_callback(lambda ended: self._ended.put((step, ended)))

    def _finish(self, step: Step, future: Future[AttemptFailure | None]) -> None:
        name = step.work_package_id
        del self._busy[name]
        self._agents.pop(name, None)
        try:
            self._failures[name] = future.result()
            self._looks[name] = 0
        except InterruptedRunError:
            pass  # by the stop of this run; what was held was given back
        except KittyFlowError as error:
            if error.exit_status not in (4, 5, 7, 2, 3):
                raise
            self._looks[name] += 1
            if error.code in _LOOK_AGAIN and self._looks[name] < _LOOKS:
                return
            self._closed.add(name)
            self._failures[name] = AttemptFailure(error.code, error.message, error.exit_status == 7)

    def _stays(self, view: LedgerView) -> bool:
        """Whether to wait for others, though nothing can be done now."""
        left = [self._mission.work_package(name, view) for name in unfinished(self._mission, view)]
        active = [entity for entity in left if entity.state in ACTIVE]
        if self._options.wait and active:
            return True
        others = {run.run_id: run for run in living_runs(self._mission) if run.run_id != self._run.id}
        if self._identity.joined and left and any(not run.joined for run in others.values()):
            return self._mission.state(view) == "running"
        return any(holding_run(entity, view) in others for entity in active)

    def _sleep(self, seen: object) -> None:
        """Until a step ends, the run is to be stopped, or the ledger moves and there is room for something."""
        while True:
            moment = monotonic()
            if moment >= self._next_renewal:
                self._renew()
            has_room = len(self._busy) < self._options.jobs
            until_renewal = max(0.0, self._next_renewal - moment)
            if has_room and self._due is not None:
                if moment >= self._due:
                    return
                until_renewal = min(until_renewal, self._due - moment)
            try:
                ended = self._ended.get(timeout=min(self._pause_s, until_renewal) if has_room else until_renewal)
            except queue.Empty:
                if has_room and self._seen() != seen:
                    self._pause_s = _FIRST_PAUSE_S
                    return
                self._pause_s = min(2 * self._pause_s, _LAST_PAUSE_S)
                continue
            while True:
                if ended is not None:
                    self._finish(*ended)
                try:
                    ended = self._ended.get_nowait()
                except queue.Empty:
                    break
            self._pause_s = _FIRST_PAUSE_S
            return

    def _seen(self) -> object:
        """Where the ledger's ref is, as its file tells; cheap, and different after every commit."""
        refs = self._mission.project.repository.refs
        return refs.unpacked(self._mission.ledger.ref), refs.packed_state()

    def _renew(self) -> None:
        """Renew the claims of the agents at work; one whose claim is lost works for nobody any more, and is ended."""
        self._next_renewal = monotonic() + self._renewal_s
        claims = self._run.claims()
        lost = renew_claims(self._mission, list(claims.values())) if claims else ()
        for invocation_id, held in claims.items():
            if held in lost:
                message = f"{held.work_package_id} was taken from {held.actor}: its claim does not count any more"
                self._run.end(invocation_id, "CLAIM_LOST", message)

    def _record(self, name: str, evidence: dict[str, Any]) -> None:
        if not self._is_announced:
            return

        def build(view: LedgerView) -> Batch:
            builder = BatchBuilder(view, actor=self._identity.actor, correlation_id=self._run.id)
            builder.annotate("mission", self._mission.id, name, evidence=evidence)
            return builder.build()

        self._mission.ledger.record(build)
