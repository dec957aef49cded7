"""Driving one work package: attempts and reviews until it is approved, blocked, or nothing more can be done now."""

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
from kitty_flow.flow.readiness import is_noted_integrated
from kitty_flow.flow.review import review
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

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


class Driver:
    """Drives work packages of one run."""

    def __init__(
        self,
        mission: OpenMission,
        implementer: AgentSpec,
        reviewer: AgentSpec | None,
        max_attempts: int,
        run_id: str,
    ) -> None:
        self._mission = mission
        self._implementer = implementer
        self._reviewer = reviewer
        self._max_attempts = max_attempts
        self._run_id = run_id

    async def drive(self, work_package_id: str) -> Outcome:
        """Take the work package as far as it goes.

        Raises:
            RefusedError: DEPENDENCIES_NOT_SATISFIED or WORK_PACKAGE_DROPPED, an amendment came before its claim.
        """
        failure: AttemptFailure | None = None
        review_failures = 0
        while True:
            view = self._mission.view()
            self._mission = self._mission.at(view)
            entity = self._mission.work_package(work_package_id, view)
            if self._mission.state(view) != "running" and entity.state in ("planned", "for_review", "in_review"):
                message = f"the mission is {self._mission.state(view)}"
                return self._outcome(work_package_id, AttemptFailure("MISSION_NOT_RUNNING", message, False))
            if entity.state == "planned" and attempts_left(entity, self._max_attempts):
                failure = await implement(self._mission, work_package_id, self._implementer, run_id=self._run_id)
            elif entity.state == "planned":
                failure = failure or AttemptFailure("ATTEMPTS_EXHAUSTED", _exhausted(entity), False)
                self._block(work_package_id, failure)
            elif entity.state in ("for_review", "in_review") and self._reviewer is not None:
                if review_failures >= self._max_attempts and failure is not None:
                    self._block(work_package_id, failure)
                    continue
                failure = await review(self._mission, work_package_id, self._reviewer, run_id=self._run_id)
                review_failures += failure is not None
            elif entity.state == "approved" and not is_noted_integrated(entity):
                self._integrate(work_package_id)
            else:
                return self._outcome(work_package_id, failure)

    def _integrate(self, work_package_id: str) -> None:
        """Integrate approved work; what does not merge any more goes back to be done again on top of what is there."""
        try:
            integrate(self._mission, work_package_id, run_id=self._run_id)
        except ConflictError as error:
            if error.code != "INTEGRATION_CONFLICT":
                raise
            feedback = {"summary": error.message, "findings": []}
            reason = error.message

            def build(view: LedgerView) -> Batch:
                builder = BatchBuilder(view, actor=self._implementer.name, correlation_id=self._run_id)
                evidence = {"feedback": feedback, "continue_at": None}
                facts = Facts(reason=reason)
                builder.transition("work_package", work_package_id, "reopen", facts, reason=reason, evidence=evidence)
                return builder.build()

            self._mission.ledger.record(build)

    def _block(self, work_package_id: str, failure: AttemptFailure) -> None:
        def build(view: LedgerView) -> Batch:
            builder = BatchBuilder(view, actor=self._implementer.name, correlation_id=self._run_id)
            block(builder, work_package_id, f"{failure.code}: {failure.message}")
            return builder.build()

        self._mission.ledger.record(build)

    def _outcome(self, work_package_id: str, failure: AttemptFailure | None) -> Outcome:
        entity = self._mission.work_package(work_package_id)
        attempts, rejections = entity.counts.get("start", 0), entity.counts.get("request_changes", 0)
        if entity.state in ("approved", "done", "canceled"):
            return Outcome(entity.state, attempts, rejections)
        if entity.state == "for_review" and self._reviewer is None:
            message = "it waits for a review and this run has no reviewer"
            return Outcome(entity.state, attempts, rejections, "REVIEWER_MISSING", message)
        code, message = "NOT_FINISHED", f"it is {entity.state}: {entity.last_event.reason or 'held by somebody else'}"
        by_agent = failure is not None and failure.by_agent
        if failure is not None:
            code, message = failure.code, failure.message
        return Outcome(entity.state, attempts, rejections, code, message, by_agent)


def attempts_left(entity: EntityState, max_attempts: int) -> bool:
    """Whether another attempt is allowed; a person's unblock starts the count again."""
    return entity.counts.get("start", 0) - int(entity.facts.get("attempts_before", 0)) < max_attempts


def _exhausted(entity: EntityState) -> str:
    feedback = entity.facts.get("feedback") or {}
    last = entity.last_event.reason or feedback.get("summary") or "no reason recorded"
    return f"{entity.counts.get('start', 0)} attempts came to nothing; the last: {last}"
