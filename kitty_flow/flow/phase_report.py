"""Reporting a phase, and answering what a phase asks for: events of the mission, refused while a gate is closed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kitty_flow.errors import ConflictError, RefusedError, UsageError
from kitty_flow.flow.adoption import define
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.late_report import refuse_no_file, report_command
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.phase_gates import PhaseFacts
from kitty_flow.flow.phase_records import Finished, Holding, PhaseRecords, note_answer, note_finished, note_given_back
from kitty_flow.flow.phases import Phase, facts_of, phases_of, template_of
from kitty_flow.ledger.ledger import Batch, Receipt
from kitty_flow.ledger.view import LedgerView
from kitty_flow.machines import Dag, Facts
from kitty_flow.model.result import ImplementResult

__all__ = ["answer_input", "report_phase", "reported_phase"]

_WORDS: Final = ("success", "failed", "blocked")
_MAX_ANSWER: Final = 8000
_MAX_SUMMARY: Final = 2000


def report_phase(mission: OpenMission, agent: str, result: str) -> str:
    """Report how the phase ended that `agent` holds: a result file, or ``success``, ``failed``, ``blocked``.

    Returns the phase. The result file of a phase that was reported already is no news.

    Raises:
        UsageError: NOTHING_HELD.
        RefusedError: RESULT_MISSING, or the code of the first closed gate; the phase is still held and can be mended.
        ConflictError: PHASE_TAKEN, the lease ran out and somebody else began it.
    """
    template = _template(mission)
    repeated = reported_phase(mission, agent, result)
    if repeated is not None:
        return repeated
    records = PhaseRecords(mission, mission.view())
    names = [node.name for node in template.nodes]
    held = [(name, h) for name in names if (h := records.holding(name)) is not None and h.holder == agent]
    if not held:
        raise UsageError(
            "NOTHING_HELD",
            f"{agent} holds no phase of {mission.slug}",
            hint=f"kitty-flow next --agent {agent} -m {mission.slug}",
        )
    name, holding = held[0]
    path = holding.result_path
    refuse_no_file(result, _WORDS, f"write {path}, then: {report_command(mission, agent, path, name)}")
    told = _told(result)
    if told.outcome == "success":
        file = None if result == "success" else str(Path(result).absolute())
        mission.ledger.record(lambda view: _finish(mission, view, template, name, holding, told, file))
    else:
        reason = told.reason or told.summary or f"{agent} reports {told.outcome}"
        mission.ledger.record(lambda view: _give_back(mission, view, name, holding, reason))
    return name


def reported_phase(mission: OpenMission, agent: str, result: str) -> str | None:
    """The phase that the agent reported with this very result file; None when there is none."""
    template = template_of(mission)
    records, path = PhaseRecords(mission, mission.view()), str(Path(result).absolute())
    for node in template.nodes if template else ():
        done = records.finished(node.name)
        if done is not None and done.by == agent and done.result_path == path:
            return node.name
    return None


def answer_input(mission: OpenMission, name: str, text: str, *, actor: str) -> Receipt:
    """Record the answer for an input that a phase of the mission asks for; a later answer replaces it.

    Raises:
        UsageError: UNKNOWN_INPUT or INVALID_ANSWER.
        RefusedError: MISSION_PLANNED, its planning phases are over.
    """
    known = [each for node in _template(mission).nodes for each in node.requires_inputs]
    if name not in known:
        raise UsageError(
            "UNKNOWN_INPUT",
            f"no phase of {mission.slug} asks for {name!r:.80}; known are {', '.join(known) or 'none'}",
            hint=f"kitty-flow mission show {mission.slug}",
            details={"known": known},
        )
    if not text.strip() or len(text) > _MAX_ANSWER or any("\ud800" <= c <= "\udfff" or c == "\0" for c in text):
        raise UsageError(
            "INVALID_ANSWER",
            f"an answer is text of at most {_MAX_ANSWER} characters",
            hint="write more into a file of the mission's folder and name it in the answer",
        )

    def build(view: LedgerView) -> Batch:
        if mission.state(view) != "draft":
            raise RefusedError(
                "MISSION_PLANNED",
                f"{mission.slug} is {mission.state(view)}; nothing is asked for any more",
                hint=f"kitty-flow mission show {mission.slug}",
            )
        builder = BatchBuilder(view, actor=actor)
        note_answer(builder, mission.id, name, text.strip(), actor)
        return builder.build()

    return mission.ledger.record(build)


def _template(mission: OpenMission) -> Dag:
    template = template_of(mission)
    if template is None:
        raise UsageError(
            "UNKNOWN_TEMPLATE",
            f"{mission.slug} follows the template {mission.definition.template!r}, which does not ship",
            hint="kitty-flow dags list",
        )
    return template


def _told(result: str) -> ImplementResult:
    if result in _WORDS:
        return ImplementResult.model_validate({"outcome": result})
    from kitty_flow.agents.result import read_implement_result

    return read_implement_result(Path(result))


def _finish(
    mission: OpenMission,
    view: LedgerView,
    template: Dag,
    name: str,
    holding: Holding,
    told: ImplementResult,
    result_path: str | None,
) -> Batch:
    _refuse_lost(mission, view, name, holding)
    facts = facts_of(mission, view, actor=holding.holder)
    phases = phases_of(template, facts)
    phase = next(each for each in phases if each.node.name == name)
    _refuse_closed(mission, phase)
    builder = BatchBuilder(view, actor=holding.holder)
    digests = {each.path: each.digest for each in facts.artifacts(phase.node)[:100]}
    note_finished(
        builder, mission.id, name, Finished(holding.holder, digests, result_path, told.summary[:_MAX_SUMMARY])
    )
    if any(answer.result.gate == "work_packages_present" for answer in phase.gates):
        return define(builder, facts.planned(), "plan")
    if all(each.state == "finished" or each is phase for each in phases):
        _conclude(builder, mission, facts)
    return builder.build()


def _refuse_lost(mission: OpenMission, view: LedgerView, name: str, holding: Holding) -> None:
    now = PhaseRecords(mission, view).holding(name)
    if now is None or now.epoch != holding.epoch or mission.state(view) != "draft":
        raise ConflictError(
            "PHASE_TAKEN",
            f"{holding.holder} does not hold {name} any more",
            hint=f"kitty-flow mission show {mission.slug}",
        )


def _refuse_closed(mission: OpenMission, phase: Phase) -> None:
    if not phase.closed:
        return
    first = phase.closed[0]
    raise RefusedError(
        first.diagnostic_code,
        f"{phase.node.name} is not finished: {'; '.join(result.message for result in phase.closed)}",
        hint=first.remediation or f"kitty-flow mission show {mission.slug}",
        details={"phase": phase.node.name, "gates": [answer.as_data() for answer in phase.gates]},
    )


def _conclude(builder: BatchBuilder, mission: OpenMission, facts: PhaseFacts) -> None:
    """The last phase of a mission without work packages is finished: it is accepted, and nothing of it has to land."""
    entity = facts.view.entity("mission", mission.id)
    digest = entity.facts.get("definition_digest") if entity else None
    base = mission.project.repository.refs.commit(mission.target_ref)
    sure = Facts(mission_valid=True, unfinished_work_packages=())
    builder.transition("mission", mission.id, "plan", sure, evidence={"definition_digest": digest})
    builder.transition("mission", mission.id, "start", sure, evidence={"base_commit": base})
    builder.transition("mission", mission.id, "accept", sure, evidence={"mission_head": None})


def _give_back(mission: OpenMission, view: LedgerView, name: str, holding: Holding, reason: str) -> Batch:
    _refuse_lost(mission, view, name, holding)
    builder = BatchBuilder(view, actor=holding.holder)
    note_given_back(builder, mission.id, name, reason[:_MAX_SUMMARY])
    return builder.build()
