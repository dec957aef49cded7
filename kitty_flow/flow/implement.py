"""One attempt at a work package by an agent process, judged by its result file and its commits."""

from __future__ import annotations

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.process import ProcessOutcome
from kitty_flow.agents.result import read_implement_result
from kitty_flow.errors import ExternalToolError, KittyFlowError, LedgerError, RefusedError
from kitty_flow.flow.claim import claim
from kitty_flow.flow.ending import came_to_nothing, timed
from kitty_flow.flow.give_back import give_back
from kitty_flow.flow.invocation import Invocation, launch
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.outcome import AttemptFailure, process_failure, reported_failure
from kitty_flow.flow.policies import Policies
from kitty_flow.flow.run_context import RunContext
from kitty_flow.flow.start import start
from kitty_flow.flow.submission import submit
from kitty_flow.model.result import ImplementResult

__all__ = ["conclude", "implement"]


def implement(
    mission: OpenMission, work_package_id: str, agent: AgentSpec, run: RunContext, policies: Policies
) -> AttemptFailure | None:
    """Make one attempt. Afterwards the work package is for_review (None is returned), or planned again.

    Raises:
        RefusedError: it could not be claimed.
        InterruptedRunError: INTERRUPTED, the run was stopped; the work package was given back.
    """
    run.refuse_if_stopped()
    lease_s = mission.project.settings.run.lease_s
    held = claim(mission, work_package_id, actor=agent.name, lease_s=lease_s, run_id=run.id)
    mission = mission.at(mission.view())
    try:
        invocation = start(mission, held, agent, run)
    except KittyFlowError as error:
        give_back(mission, held, None, error.code, error.message, run_id=run.id)
        raise
    try:
        outcome = launch(mission, invocation, run)
    except BaseException as error:
        reason = error.message if isinstance(error, KittyFlowError) else "the run was interrupted"
        code = error.code if isinstance(error, RefusedError) else "INTERRUPTED"
        stopped = AttemptFailure(code, reason, False)
        follow = came_to_nothing(mission, policies, invocation, None, None, stopped)[1]
        give_back(mission, held, invocation.id, stopped.code, stopped.message, run_id=run.id, follow=follow)
        raise
    return conclude(mission, invocation, outcome, policies, run_id=run.id)


def conclude(
    mission: OpenMission, invocation: Invocation, outcome: ProcessOutcome | None, policies: Policies, *, run_id: str
) -> AttemptFailure | None:
    """Judge a finished attempt by its result file and its commits, never by its exit status alone.

    `outcome` is None when the process ended while no runner was watching.
    """
    invocation = timed(invocation, outcome)
    failure = process_failure(invocation, outcome)
    result: ImplementResult | None = None
    if failure is None:
        try:
            result = read_implement_result(invocation.result_path)
            failure = reported_failure(result)
        except KittyFlowError as error:
            failure = AttemptFailure(error.code, error.message, True)
    if failure is None and result is not None:
        try:
            submit(mission, invocation, result, run_id=run_id)
            return None
        except LedgerError:
            raise
        except KittyFlowError as error:
            failure = AttemptFailure(error.code, error.message, isinstance(error, ExternalToolError))
    assert failure is not None
    entity = mission.recorded_work_package(invocation.work_package_id)
    if invocation.claim.current_epoch(entity) != invocation.epoch:
        message = f"the claim of {invocation.agent.name} was taken back while it worked; what it left is kept"
        failure = AttemptFailure("CLAIM_LOST", message, False)
    failure, follow = came_to_nothing(mission, policies, invocation, outcome, result, failure)
    give_back(
        mission,
        invocation.claim,
        invocation.id,
        failure.code,
        failure.message,
        run_id=run_id,
        then="block" if result is not None and result.outcome == "blocked" else None,
        follow=follow,
    )
    return failure
