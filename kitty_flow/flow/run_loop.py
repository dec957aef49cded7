"""The loop of a run: looks what can be done, has it done beside itself, and sleeps until something changes."""

from __future__ import annotations

import queue
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from typing import Any, Final

from kitty_flow.errors import InterruptedRunError, KittyFlowError
from kitty_flow.flow.assign import Assigner, Assignment, exhaustion
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.claim import Claim
from kitty_flow.flow.drive import Driver, Outcome
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.outcome import AttemptFailure
from kitty_flow.flow.policy.budget import BUDGET_EXHAUSTED
from kitty_flow.flow.readiness import unfinished
from kitty_flow.flow.renewal import renew_claims, take_back
from kitty_flow.flow.run_context import RunContext
from kitty_flow.flow.run_lock import RunIdentity, holding_run, living_runs
from kitty_flow.flow.run_options import RunOptions
from kitty_flow.flow.standing import ACTIVE, LOOK_AGAIN
from kitty_flow.flow.steps import Step, possible_steps
from kitty_flow.flow.stopping import StopLevel
from kitty_flow.flow.wave_gate import GateResult, is_green, pass_gate, wave_gate_of, wave_to_pass
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import EntityState, LedgerView

__all__ = ["RunLoop", "Say"]

_LOOKS: Final = 20
"""So often one work package is looked at again; then the refusal stands."""

_FIRST_PAUSE_S: Final = 0.05
_LAST_PAUSE_S: Final = 1.0
"""How long is waited before the ledger's ref is looked at again: longer each time, until something happens."""

Say = Callable[[StopLevel, "tuple[str, ...]"], None]
"""Tells a person how far the run is being stopped, and which work packages are at work."""

_Ended = tuple[Step, "Future[Any]"]


class RunLoop:
    """Schedules the steps of one run. Each step has a thread of its own while it lasts; agents are watched elsewhere.

    So a slow git, a held ledger and a long merge keep neither an agent from its limits nor another step from its end.

    Args:
        recover: takes back what a run that has died held; a run that joined another leaves that to the one it joined.
    """

    def __init__(
        self,
        mission: OpenMission,
        run: RunContext,
        driver: Driver,
        options: RunOptions,
        identity: RunIdentity,
        say: Say,
        recover: Callable[[], object],
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
        self.assigner = Assigner(options.rules)
        self._due: float | None = None
        self._closed: set[str] = set()
        self._looks: Counter[str] = Counter()
        self._is_announced = False
        self._gate = wave_gate_of(mission) if options.schedule == "waves" else None
        self.red_gate: GateResult | None = None
        self._pause_s = _FIRST_PAUSE_S
        self._renewal_s = mission.project.settings.run.lease_s / 3
        self._next_renewal = monotonic() + self._renewal_s
        self._next_expiry: float | None = None
        self._others: frozenset[str] = frozenset()
        self._recover = recover

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
                claims = self._run.claims()  # before the view, which then has every one of them
                view = self._mission.view()
                self._end_lost(claims, [held for held in claims.values() if not self._counts(held, view)])
                if self._run.stop.level == StopLevel.NONE:
                    view = self._take_back(view)
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
        for name in dict.fromkeys((*self._failures, *self.assigner.held_up)):
            entity = view.entity("work_package", name)
            if entity is not None:
                failure = self.assigner.held_up.get(name) or self._failures.get(name)
                found[name] = Outcome.of(entity, failure or self._hindrance(entity, view))
        return found

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

    def _take_back(self, view: LedgerView) -> LedgerView:
        """What the lease of somebody who has gone kept from being done can be done now."""
        left = take_back(self._mission, view)
        self._next_expiry = None if left is None else monotonic() + max(left, _FIRST_PAUSE_S)
        return self._mission.view()

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
        if self._is_held_by_gate(view, steps):
            return
        lanes: set[str] = set()
        self.assigner.look_again()
        for step in steps:
            lane = placements[step.work_package_id].execution_lane
            if len(self._busy) < options.jobs and lane not in lanes:
                found = self._assigned(step, view)
                if found.agent is not None or found.why is None or found.ends_it:
                    lanes.add(lane)
                    self._begin(Step("give_up", step.work_package_id) if found.ends_it else step, found)
        wait_s = self.assigner.wait_s(self._mission, view, self._closed, options.until)
        self._due = None if wait_s is None else monotonic() + wait_s

    def _assigned(self, step: Step, view: LedgerView) -> Assignment:
        """Who does a step; a budget that turns out to be used up goes on record."""
        known = self.assigner.spent_out
        found = self.assigner.assign(step, self._mission, view)
        if (spent_out := self.assigner.spent_out) is not None and known is None:
            self._record(BUDGET_EXHAUSTED, exhaustion(spent_out, view.entity("mission", self._mission.id)))
        return found

    def _begin(self, step: Step, assigned: Assignment) -> None:
        name, last = step.work_package_id, self._failures.get(step.work_package_id)
        self.assigner.begun(name, assigned.agent)
        self._submit(step, self._driver.perform, self._mission, step, assigned.agent, assigned.why or last)

    def _is_held_by_gate(self, view: LedgerView, steps: Sequence[Step]) -> bool:
        """Whether the gate behind a wave has to pass before anything else is begun; it is asked if it was not yet."""
        if self._gate is None or self._busy or self.red_gate is not None:
            return self.red_gate is not None or "" in self._busy
        wave = wave_to_pass(self._mission, view, steps, self._options.until)
        if wave is None or is_green(self._mission, view):
            return False
        if not self._identity.joined:  # the run that was joined asks
            gate = Step("gate", "")
            self._submit(gate, pass_gate, self._mission, self._gate, self._run, wave, self._identity.actor)
        return True

    def _submit(self, step: Step, work: Callable[..., object], *arguments: object) -> None:
        if not self._is_announced:
            self._is_announced = True
            self._record("run_started", {"run_id": self._run.id, **self._identity.as_evidence()})
        self._busy[step.work_package_id] = step
        future = self._pool.submit(work, *arguments)
        future.add_done_callback(lambda ended: self._ended.put((step, ended)))

    def _finish(self, step: Step, future: Future[Any]) -> None:
        name = step.work_package_id
        del self._busy[name]
        self.assigner.ended(name)
        try:
            if step.kind == "gate":
                result: GateResult = future.result()
                self.red_gate = result if result.problem is not None else None
                return
            self._failures[name] = future.result()
            self._looks[name] = 0
        except InterruptedRunError:
            pass  # by the stop of this run; what was held was given back
        except KittyFlowError as error:
            if error.exit_status not in (4, 5, 7, 2, 3):
                raise
            self._looks[name] += 1
            if error.code in LOOK_AGAIN and self._looks[name] < _LOOKS:
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
        self._others = frozenset(others)
        if self._identity.joined and left and any(not run.joined for run in others.values()):
            return self._mission.state(view) == "running"
        return any(holding_run(entity, view) in others for entity in active)

    def _sleep(self, seen: object) -> None:
        """Until a step ends, the run is to be stopped, or the ledger moves: there is more to do, or a claim less."""
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
                ended = self._ended.get(timeout=min(self._pause_s, until_renewal))
            except queue.Empty:
                is_due = self._next_expiry is not None and monotonic() >= self._next_expiry
                if self._seen() != seen or (has_room and (is_due or self._has_another_died())):
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

    def _has_another_died(self) -> bool:
        """Whether a run beside which this one waits is alive no more; what it held is taken back."""
        if not self._others or self._others <= {run.run_id for run in living_runs(self._mission)}:
            return False
        if not self._identity.joined:
            self._recover()
        return True

    def _seen(self) -> object:
        """Where the ledger's ref is, as its file tells; cheap, and different after every commit."""
        refs = self._mission.project.repository.refs
        return refs.unpacked(self._mission.ledger.ref), refs.packed_state()

    def _renew(self) -> None:
        """Renew the claims of the agents at work; one whose claim is lost works for nobody any more, and is ended."""
        self._next_renewal = monotonic() + self._renewal_s
        claims = self._run.claims()
        self._end_lost(claims, renew_claims(self._mission, list(claims.values()), self._run.id) if claims else ())

    def _counts(self, held: Claim, view: LedgerView) -> bool:
        return held.counts(self._mission.recorded_work_package(held.work_package_id, view), view)

    def _end_lost(self, claims: Mapping[str, Claim], lost: Collection[Claim]) -> None:
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
