"""The agents' loop of a mission without work packages: its phases are begun, done and reported one by one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from kitty_flow.errors import ConflictError
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.phase_gates import PhaseFacts
from kitty_flow.flow.phase_prompt import phase_prompt
from kitty_flow.flow.phase_records import Holding, PhaseRecords, note_begun
from kitty_flow.flow.phases import Phase, facts_of, phases_of, template_of
from kitty_flow.flow.readiness import Reason
from kitty_flow.ledger.ledger import Batch, new_ulid
from kitty_flow.ledger.view import LedgerView
from kitty_flow.model.text import is_same_actor

if TYPE_CHECKING:
    from kitty_flow.flow.peek import Kind, NextStep, Role

__all__ = ["next_phase", "peek_phase"]

_TRIES: Final = 20


def peek_phase(mission: OpenMission, agent: str, role: Role) -> NextStep:
    """What `next_phase` would answer, without recording anything."""
    found = _look(mission, agent, role, mission.view())
    return _step(mission, *found) if isinstance(found, tuple) else found


def next_phase(mission: OpenMission, agent: str, role: Role) -> NextStep:
    """The phase that `agent` is to do now, begun for it; the one that it holds; or why there is none.

    Raises:
        ConflictError: CLAIM_LOST, others were faster again and again.
    """
    for _ in range(_TRIES):
        found = _look(mission, agent, role, mission.view())
        if not isinstance(found, tuple):
            return found
        phase, holding = found
        if holding is not None:
            return _step(mission, phase, holding)
        begun = _begin(mission, agent, phase)
        if begun is not None:
            return _step(mission, phase, begun)
    raise ConflictError(
        "CLAIM_LOST", "other agents were faster each time", hint=f"kitty-flow next --agent {agent} -m {mission.slug}"
    )


def _look(mission: OpenMission, agent: str, role: Role, view: LedgerView) -> NextStep | tuple[Phase, Holding | None]:
    """The phase for the agent, with its holding if it has begun it; or the answer that there is none."""
    from kitty_flow.flow.peek import NextStep  # late: it imports this module

    if mission.state(view) != "draft":
        return _over(mission, view)
    template = template_of(mission)
    if template is None:
        message = f"{mission.slug} follows the template {mission.definition.template!r}, which does not ship"
        return NextStep("blocked", reasons=(Reason(mission.slug, "UNKNOWN_TEMPLATE", message, "kitty-flow dags list"),))
    facts = facts_of(mission, view)
    phases = phases_of(template, facts)
    for phase in phases:
        holding = facts.records.holding(phase.node.name)
        if phase.state == "active" and holding is not None and holding.holder == agent:
            return phase, holding
    reasons: dict[Kind, list[Reason]] = {"decision_required": [], "wait": [], "blocked": []}
    for phase in phases:
        found = list(_hindrances(mission, phase, phases, agent, role, facts))
        if phase.state == "ready" and not found:
            return phase, None
        for kind, reason in found:
            reasons[kind].append(reason)
    kind = next((kind for kind, found in reasons.items() if found), "blocked")
    return NextStep(kind, reasons=tuple(reason for found in reasons.values() for reason in found))


def _over(mission: OpenMission, view: LedgerView) -> NextStep:
    from kitty_flow.flow.peek import NextStep

    state, hint = mission.state(view), f"kitty-flow mission show {mission.slug}"
    if state in ("paused", "aborted"):
        reason = Reason(mission.slug, "MISSION_NOT_RUNNING", f"{mission.slug} is {state}", hint)
        return NextStep("blocked", reasons=(reason,))
    reason = Reason(mission.slug, "NOTHING_LEFT", f"every phase of {mission.slug} is finished", hint)
    return NextStep("terminal", reasons=(reason,))


def _hindrances(
    mission: OpenMission, phase: Phase, phases: tuple[Phase, ...], agent: str, role: Role, facts: PhaseFacts
) -> Iterator[tuple[Kind, Reason]]:
    """Why the agent cannot do a phase that is not finished; nothing for one that only waits for others."""
    name, slug = phase.node.name, mission.slug

    def reason(code: str, message: str, hint: str) -> Reason:
        return Reason(slug, code, message, hint)

    if phase.state == "closed":
        for before in phases:
            for answer in before.gates:
                if answer.after == name and answer.result.outcome != "pass":
                    found = answer.result
                    yield "blocked", reason(found.diagnostic_code, f"{name}: {found.message}", found.remediation)
    if phase.state == "active":
        holding = facts.records.holding(name)
        if holding is not None:
            message = f"{holding.holder} does {name}, with a lease until {holding.lease_expires_at}"
            yield "wait", reason("PHASE_HELD", message, f"kitty-flow mission show {slug}")
    if phase.state != "ready":
        return
    for missing in phase.missing:
        message = f"{name} needs the input {missing!r}: {phase.node.description}"
        yield (
            "decision_required",
            reason("INPUT_REQUIRED", message, f"kitty-flow mission answer {missing} TEXT -m {slug}"),
        )
    if role != "any" and phase.is_review != (role == "review"):
        message = f"{name} is ready {'to be reviewed' if phase.is_review else 'to be done'}, which was not asked for"
        yield "wait", reason("OTHER_ROLE", message, f"kitty-flow next --agent NAME --role any -m {slug}")
    elif phase.is_review and any(is_same_actor(agent, author) for author in _authors(phase, facts)):
        message = f"{name} is for somebody else: {agent} did the work that is to be challenged"
        yield "wait", reason("REVIEWER_IS_AUTHOR", message, f"kitty-flow next --agent OTHER --role any -m {slug}")


def _authors(phase: Phase, facts: PhaseFacts) -> frozenset[str]:
    done = (facts.records.finished(name) for name in phase.node.depends_on)
    return frozenset(each.by for each in done if each is not None)


def _begin(mission: OpenMission, agent: str, phase: Phase) -> Holding | None:
    """Record that the agent begins the phase, its prompt written first; None when somebody else was faster."""
    from kitty_flow.flow.workspace import invocation_folder

    name = phase.node.name
    folder = invocation_folder(mission, new_ulid())
    prompt, result = folder / "prompt.md", folder / "result.json"
    text = phase_prompt(mission, phase, facts_of(mission, mission.view()), agent, str(result))
    prompt.write_text(text, encoding="utf-8", errors="surrogateescape", newline="\n")
    expires = datetime.now(UTC) + timedelta(seconds=mission.project.settings.run.hand_lease_s)
    begun: list[Holding] = []

    def build(view: LedgerView) -> Batch:
        begun.clear()
        records = PhaseRecords(mission, view)
        other = records.holding(name)
        if mission.state(view) != "draft" or records.finished(name) or (other is not None and not other.has_run_out()):
            return Batch(())
        lease = expires.isoformat(timespec="milliseconds")
        begun.append(Holding(agent, records.begun + 1, lease, str(prompt), str(result)))
        builder = BatchBuilder(view, actor=agent)
        note_begun(builder, mission.id, name, begun[0])
        return builder.build()

    mission.ledger.record(build)
    return begun[0] if begun else None


def _step(mission: OpenMission, phase: Phase, holding: Holding | None) -> NextStep:
    from kitty_flow.flow.peek import NextStep

    facts = facts_of(mission, mission.view())
    artifact = str(facts.folder / phase.node.artifact) if phase.node.artifact else None
    return NextStep(
        "step",
        {
            "action": phase.node.name,
            "mission": mission.slug,
            "wp_id": None,
            "invocation_id": None,
            "epoch": holding.epoch if holding else facts.records.begun + 1,
            "lease_expires_at": holding.lease_expires_at if holding else None,
            "worktree": str(mission.project.root),
            "branch": mission.target_branch,
            "base_commit": mission.project.repository.refs.commit(mission.target_ref),
            "prompt_path": holding.prompt_path if holding else None,
            "result_path": holding.result_path if holding else None,
            "artifact": artifact,
        },
    )
