"""One step of a run for one work package: an attempt, a review, an integration, or giving it up."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from kitty_flow.agents.command import AgentSpec
from kitty_flow.errors import ConflictError
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.give_back import block
from kitty_flow.flow.implement import implement
from kitty_flow.flow.integrate import integrate
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.outcome import AttemptFailure
from kitty_flow.flow.policies import Policies
from kitty_flow.flow.review import review
from kitty_flow.flow.run_context import RunContext
from kitty_flow.flow.standing import is_finished
from kitty_flow.flow.steps import Step, attempts_exhausted
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.machines import Facts

__all__ = ["Driver", "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """Where a work package stands after a run: state, attempts and rejections so far, and what stopped it."""

    state: str
    attempts: int
    rejections: int
    code: str | None = None
    message: str | None = None
    by_agent: bool = False

    @classmethod
    def of(cls, entity: EntityState, failure: AttemptFailure | None) -> Outcome:
        """How a work package stands; `failure` is what came of the last step, if that failed."""
        attempts, rejections = entity.counts.get("start", 0), entity.counts.get("request_changes", 0)
        if is_finished(entity):
            return cls(entity.state, attempts, rejections)
        if failure is not None:
            return cls(entity.state, attempts, rejections, failure.code, failure.message, failure.by_agent)
        message = f"it is {entity.state}: {entity.last_event.reason or 'held by somebody else'}"
        return cls(entity.state, attempts, rejections, "NOT_FINISHED", message)

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


class Driver:
    """Performs the steps of one run; several threads may do so at once.

    `policies` say what follows when an agent comes to nothing.
    """

    def __init__(self, run: RunContext, policies: Policies) -> None:
        self._run = run
        self._policies = policies

    def perform(
        self, mission: OpenMission, step: Step, agent: AgentSpec | None, failure: AttemptFailure | None
    ) -> AttemptFailure | None:
        """Do one step, by `agent` where it needs one; returns what it failed for, if it did.

        `failure` is why it is given up, or that of the step before it.

        Raises:
            RefusedError: a guard says no; DEPENDENCIES_NOT_SATISFIED and WORK_PACKAGE_DROPPED after an amendment.
            ConflictError: somebody else was faster.
            InterruptedRunError: INTERRUPTED, the run was stopped; what was held was given back.
        """
        mission = mission.at(mission.view())
        name = step.work_package_id
        if step.kind == "implement":
            assert agent is not None
            return implement(mission, name, agent, self._run, self._policies)
        if step.kind == "review":
            assert agent is not None
            return review(mission, name, agent, self._run, self._policies)
        if step.kind == "integrate":
            self._integrate(mission, name)
            return None
        entity = mission.work_package(name)
        failure = failure or AttemptFailure("ATTEMPTS_EXHAUSTED", _exhausted(entity), False)
        self._block(mission, name, failure)
        return failure

    def _integrate(self, mission: OpenMission, name: str) -> None:
        """Integrate approved work; what does not merge any more goes back to be done again on top of what is there."""
        try:
            with self._run.integrating:
                integrate(mission, name, run_id=self._run.id)
        except ConflictError as error:
            if error.code != "INTEGRATION_CONFLICT":
                raise
            reason = error.message
            feedback = {"summary": reason, "findings": []}

            def build(view: LedgerView) -> Batch:
                builder = self._builder(view)
                evidence = {"feedback": feedback, "continue_at": None}
                builder.transition(
                    "work_package", name, "reopen", Facts(reason=reason), reason=reason, evidence=evidence
                )
                return builder.build()

            mission.ledger.record(build)

    def _block(self, mission: OpenMission, name: str, failure: AttemptFailure) -> None:
        def build(view: LedgerView) -> Batch:
            builder = self._builder(view)
            block(builder, name, f"{failure.code}: {failure.message}")
            return builder.build()

        mission.ledger.record(build)

    def _builder(self, view: LedgerView) -> BatchBuilder:
        return BatchBuilder(view, actor=self._policies.implementers[0].name, correlation_id=self._run.id)


def _exhausted(entity: EntityState) -> str:
    feedback = entity.facts.get("feedback") or {}
    last = entity.last_event.reason or feedback.get("summary") or "no reason recorded"
    return attempts_exhausted(entity, last)
