"""The agents' loop: report the last step, claim the next one, or learn exactly why there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kitty_flow.agents.result import read_implement_result, read_review_result
from kitty_flow.errors import ConflictError, KittyFlowError, RefusedError, UsageError
from kitty_flow.flow.by_hand import agent_by_hand
from kitty_flow.flow.claim import Claim, claim
from kitty_flow.flow.ending import only_spent
from kitty_flow.flow.expire import expire, expire_due
from kitty_flow.flow.give_back import give_back
from kitty_flow.flow.integrate import integrate
from kitty_flow.flow.invocation import Action, Invocation
from kitty_flow.flow.late_report import refuse_another_step, refuse_late, refuse_no_file, report_command
from kitty_flow.flow.lease import lease_of, renew
from kitty_flow.flow.life import accept_if_finished, begin
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.peek import NextStep, Role, choose, claimed, held, nothing, step_of
from kitty_flow.flow.policy_reasons import BudgetGate
from kitty_flow.flow.prompt_check import refuse_other_prompt
from kitty_flow.flow.readiness import Readiness, is_noted_integrated
from kitty_flow.flow.review import apply_verdict, refuse_tampered, take_review
from kitty_flow.flow.standing import LOOK_AGAIN
from kitty_flow.flow.start import start
from kitty_flow.flow.steps import attempts_exhausted, attempts_left
from kitty_flow.flow.submission import submit
from kitty_flow.flow.sync.claims import refuse_superseded
from kitty_flow.ledger.ledger import new_ulid
from kitty_flow.ledger.view import EntityState
from kitty_flow.model.result import ImplementResult

__all__ = ["next_step", "report", "take"]

_TRIES: Final = 20
_WORDS: Final = ("success", "failed", "blocked")


def next_step(mission: OpenMission, agent: str, *, role: Role = "implement") -> NextStep:
    """What `agent` is to do now: the step it holds already, else the most urgent one, claimed for it.

    Before it chooses, it takes back what others hold longer than their leases allow. Who asks for the step that it
    holds is alive, so that its lease is renewed once half of it is over.

    Raises:
        UsageError: TARGET_BRANCH_MISSING.
        RefusedError: MISSION_NOT_RUNNABLE, or WORKTREE_MISSING for a held step.
        ConflictError: CLAIM_LOST, others were faster again and again.
    """
    if not mission.definition.work_packages:
        mission = mission.at(mission.view())  # the phase that was reported just now may have brought them
    if not mission.definition.work_packages:
        from kitty_flow.flow.phase_step import next_phase

        return next_phase(mission, agent, role)
    view = mission.view()
    mission = mission.at(view)
    holding = held(mission, agent, view)
    if holding is not None:
        return _again(mission, holding)
    begun = claimed(mission, agent, view)
    if begun is not None:
        begin(mission, run_id=new_ulid())
        return step_of(mission, _start(mission, Claim.on(begun)))
    if mission.state(view) in ("running", "paused"):
        expire_due(mission)
    for _ in range(_TRIES):
        view = mission.view()
        mission = mission.at(view)
        found = choose(mission, agent, role, view)
        if found is None:
            return nothing(mission, view)
        try:
            return step_of(mission, _take(mission, agent, *found))
        except (RefusedError, ConflictError) as error:
            if error.code not in LOOK_AGAIN:
                raise
    raise ConflictError(
        "CLAIM_LOST", "other agents were faster each time", hint=f"kitty-flow next --agent {agent} -m {mission.slug}"
    )


def take(mission: OpenMission, agent: str, work_package_id: str) -> NextStep:
    """Claim and start exactly this work package for `agent`; one that it holds already is handed out again.

    Raises:
        RefusedError: the code of the first reason why it is not ready, with all reasons in the details; STEP_HELD, the
            agent holds another one.
        UsageError: WRONG_ROLE.
        Otherwise as `next_step`.
    """
    view = mission.view()
    mission = mission.at(view)
    entity = mission.work_package(work_package_id, view)
    holding = held(mission, agent, view)
    if holding is not None and holding.work_package_id != work_package_id:
        raise RefusedError(
            "STEP_HELD",
            f"{agent} holds {holding.work_package_id}, which it has to report first",
            hint=f"kitty-flow next --agent {agent}{mission.option}",
        )
    if holding is not None:
        return _again(mission, holding)
    if entity.state == "claimed" and claimed(mission, agent, view) == entity:
        begin(mission, run_id=new_ulid())
        return step_of(mission, _start(mission, Claim.on(entity)))
    if expire(mission, work_package_id):
        view = mission.view()
    agent_by_hand(mission.project, agent, "implementer")
    # Who names the work package wants it now: the delay of a retry is for those who take what comes.
    reasons = [r for r in Readiness(mission, view).hindrances(work_package_id) if r.code != "RETRY_LATER"]
    spent_out = BudgetGate(mission, view).reason(work_package_id)
    if spent_out is not None:
        reasons.append(spent_out)
    if reasons:
        told = {"reasons": [reason.as_data() for reason in reasons]}
        message = "; ".join(reason.message for reason in reasons)
        raise RefusedError(reasons[0].code, message, hint=reasons[0].hint, details=told)
    return step_of(mission, _take(mission, agent, "implement", work_package_id))


def _again(mission: OpenMission, holding: Invocation) -> NextStep:
    """The step that is held already, with its lease renewed once half of it is over."""
    if holding.action == "review":
        refuse_tampered(mission, holding)
    else:
        refuse_other_prompt(mission, holding)
    lease = lease_of(mission.work_package(holding.work_package_id))
    if lease is not None and lease.remaining_s() < lease.lease_s / 2:
        renew(mission, [holding.claim])
    return step_of(mission, holding)


def _take(mission: OpenMission, agent: str, action: Action, work_package_id: str) -> Invocation:
    """Claim and start a step; a claim that cannot be started is given back at once."""
    lease_s = mission.project.settings.run.hand_lease_s
    if action == "review":
        return take_review(mission, work_package_id, agent_by_hand(mission.project, agent), lease_s=lease_s)
    begin(mission, run_id=new_ulid())
    return _start(mission, claim(mission, work_package_id, actor=agent, lease_s=lease_s))


def _start(mission: OpenMission, held: Claim) -> Invocation:
    mission = mission.at(mission.view())
    try:
        invocation = start(mission, held, agent_by_hand(mission.project, held.actor))
        refuse_other_prompt(mission, invocation)
        return invocation
    except KittyFlowError as error:
        give_back(mission, held, None, "RELEASED", error.message)
        raise


def report(
    mission: OpenMission, agent: str, result: str, *, epoch: int | None = None, work_package_id: str | None = None
) -> str:
    """Report how the held step ended: a result file, or ``success``, ``failed``, ``blocked``; returns the WP's id.

    `epoch` and `work_package_id` say which step is meant, and so does the folder of the invocation's own result file:
    a report that means another one than the one that is held is not taken for it.

    In a mission without work packages yet it is a phase that is reported, and the phase's name that is returned.

    The result file of a step that was reported already is no news: the command was killed, and is typed again.

    Raises:
        UsageError: NOTHING_HELD, or RESULT_FILE_NEEDED for a review.
        ConflictError: CLAIM_EXPIRED, its lease ran out, and what was done is kept; CLAIM_SUPERSEDED, another clone's
            claim counts.
        RefusedError: STALE_EPOCH, another step is meant than the one that is held; RESULT_MISSING, there is no such
            file; or the submission or the verdict was refused, the step is still held and can be mended.
    """
    if not mission.definition.work_packages:
        from kitty_flow.flow.phase_report import report_phase

        return report_phase(mission, agent, result)
    repeated = _reported(mission, agent, result)
    if repeated is not None:
        if repeated.state == "approved" and not is_noted_integrated(repeated):
            integrate(mission, repeated.entity_id)
        accept_if_finished(mission, run_id=None)
        return repeated.entity_id
    if result not in _WORDS:
        from kitty_flow.flow.phase_report import reported_phase

        # The last phase made the work packages: typed again, it must not be taken for the result of one of them.
        phase = reported_phase(mission, agent, result)
        if phase is not None:
            return phase
    view = mission.view()
    mission = mission.at(view)
    invocation = held(mission, agent, view)
    refuse_another_step(mission, agent, invocation, result, epoch=epoch, work_package_id=work_package_id)
    if invocation is None:
        refuse_superseded(mission, agent)
        refuse_late(mission, agent)
        raise UsageError(
            "NOTHING_HELD", f"{agent} holds no work package of {mission.slug}", hint=f"kitty-flow next --agent {agent}"
        )
    _refuse_no_result(mission, invocation, result)
    if invocation.action == "review":
        apply_verdict(mission, invocation, read_review_result(Path(result)))
    else:
        _report_work(mission, invocation, result)
    accept_if_finished(mission, run_id=None)
    return invocation.work_package_id


def _refuse_no_result(mission: OpenMission, invocation: Invocation, result: str) -> None:
    """Refuse what is neither a word that the step can be reported with nor a file, and say where the file belongs."""
    path, is_review = str(invocation.result_path), invocation.action == "review"
    hint = f"write {path}, then: {report_command(mission, invocation.agent.name, path, invocation.action)}"
    if is_review and result in _WORDS:
        raise UsageError("RESULT_FILE_NEEDED", "a review is reported with a verdict file", hint=hint)
    refuse_no_file(result, () if is_review else _WORDS, hint)


def _reported(mission: OpenMission, agent: str, result: str) -> EntityState | None:
    """The work package whose step was reported with this very result file; its folder is named like the invocation."""
    path = Path(result).absolute()
    known = mission.view().entity("invocation", path.parent.name)
    if known is None or known.state not in ("done", "failed"):
        return None
    if (known.facts.get("agent"), known.facts.get("result_path")) != (agent, str(path)):
        return None
    return mission.work_package(str(known.facts["work_package_id"]))


def _report_work(mission: OpenMission, invocation: Invocation, result: str) -> None:
    if result in _WORDS:
        told = ImplementResult.model_validate({"outcome": result})
    else:
        told = read_implement_result(Path(result))
    if told.outcome == "success":
        submit(mission, invocation, told)
        return
    reason = told.reason or told.summary or f"{invocation.agent.name} reports {told.outcome}"
    code = "AGENT_BLOCKED" if told.outcome == "blocked" else "AGENT_REPORTED_FAILURE"
    entity = mission.work_package(invocation.work_package_id)  # held, so that nobody else begins an attempt meanwhile
    is_last = told.outcome == "failed" and not attempts_left(entity, mission.project.settings.run.max_attempts)
    give_back(
        mission,
        invocation.claim,
        invocation.id,
        code,
        reason,
        then="block" if told.outcome == "blocked" or is_last else None,
        why=f"ATTEMPTS_EXHAUSTED: {attempts_exhausted(entity, reason)}" if is_last else None,
        follow=only_spent(invocation, told),
    )
