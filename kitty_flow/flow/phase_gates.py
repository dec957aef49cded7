"""The gates between the phases of a mission by name: each looks at one thing and answers pass, fail or error.

The facts are the mission's ledger and the files in its folder; an error closes the edge like a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from kitty_flow.errors import KittyFlowError
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.phase_records import PhaseRecords
from kitty_flow.flow.standing import is_finished
from kitty_flow.ledger.view import LedgerView
from kitty_flow.machines import DagNode
from kitty_flow.missions.artifacts import Artifact, artifacts, listed_entries, open_questions, substance
from kitty_flow.missions.source import NATIVE_FOLDER
from kitty_flow.model.gate import GateResult
from kitty_flow.model.mission import LoadedMission, MissionDefinition
from kitty_flow.model.text import is_same_actor

__all__ = ["PHASE_GATES", "PhaseFacts", "ask_gate", "mission_folder"]

_SOURCES: Final = 3
_SUBMITTED: Final = ("for_review", "in_review", "approved", "done", "canceled")


@dataclass(frozen=True)
class PhaseFacts:
    """What the gates of one mission look at. `actor` is who reports a phase as finished, None when nobody does.

    Files and the source are read once, when the first gate asks for them.
    """

    mission: OpenMission
    view: LedgerView
    records: PhaseRecords
    actor: str | None = None

    @cached_property
    def folder(self) -> Path:
        """Where the artifacts are."""
        return mission_folder(self.mission)

    @cached_property
    def source(self) -> LoadedMission:
        """The source as it is now.

        Raises:
            UsageError: MISSION_NOT_FOUND, there is none any more.
            DefinitionError: it is invalid.
        """
        from kitty_flow.flow.adoption import load_source

        project = self.mission.project
        return load_source(project, project.root / self.mission.definition.source.path, may_be_empty=True)

    def planned(self) -> MissionDefinition:
        """The source as the definition of this very mission, in the ledger's name."""
        mission, definition = self.mission, self.source.definition
        target = definition.target_branch or mission.target_branch
        return replace(definition, id=mission.id, slug=mission.slug, target_branch=target)

    def artifacts(self, phase: DagNode) -> tuple[Artifact, ...]:
        """The artifacts of a phase as they are now.

        Raises:
            DefinitionError: one cannot be read.
        """
        return artifacts(self.folder, phase.artifact) if phase.artifact else ()


def mission_folder(mission: OpenMission) -> Path:
    """The folder with the artifacts: the mission's Spec Kitty folder, else the one beside native mission files."""
    root, source = mission.project.root, mission.definition.source
    if source.kind == "spec-kitty" and not Path(source.path).is_absolute():
        return root / source.path
    return root / NATIVE_FOLDER / mission.slug


PhaseGate = Callable[[PhaseFacts, DagNode], "GateResult"]


def ask_gate(name: str, facts: PhaseFacts, phase: DagNode) -> GateResult:
    """What the gate says on an edge that leads out of `phase`. An unknown gate, and one that cannot look, is closed."""
    gate = PHASE_GATES.get(name)
    if gate is None:
        return _closed(name, "GATE_UNKNOWN", f"there is no gate {name!r}", "kitty-flow dags list", outcome="error")
    try:
        return gate(facts, phase)
    except Exception as error:
        code = error.code if isinstance(error, KittyFlowError) else "GATE_ERROR"
        message = f"{name} cannot be checked: {getattr(error, 'message', error)}"
        return _closed(name, code, message, f"kitty-flow mission show {facts.mission.slug}", outcome="error")


def _open(gate: str, message: str) -> GateResult:
    return GateResult(gate=gate, outcome="pass", message=message)


def _closed(gate: str, code: str, message: str, command: str, *, outcome: str = "fail") -> GateResult:
    return GateResult.model_validate(
        {"gate": gate, "outcome": outcome, "message": message, "diagnostic_code": code, "remediation": command}
    )


def _artifact_present(facts: PhaseFacts, phase: DagNode) -> GateResult:
    gate, place = "artifact_present", f"{_shown(facts)}/{phase.artifact}"
    found = facts.artifacts(phase)
    if not found:
        return _closed(gate, "ARTIFACT_MISSING", f"{place} is missing", f"write {place}")
    for each in found:
        if not substance(each.text):
            message = f"{_shown(facts)}/{each.path} holds nothing but headings and stand-ins"
            return _closed(gate, "ARTIFACT_EMPTY", message, f"write {_shown(facts)}/{each.path}")
        questions = open_questions(each.text)
        if questions:
            message = f"{_shown(facts)}/{each.path} still has {questions} open question(s): [NEEDS CLARIFICATION …]"
            return _closed(gate, "ARTIFACT_UNFINISHED", message, "have them answered and take the marks out")
    return _open(gate, f"{place} is there")


def _sources_listed(facts: PhaseFacts, phase: DagNode) -> GateResult:
    listed = frozenset(entry for each in facts.artifacts(phase) for entry in listed_entries(each.text))
    place = f"{_shown(facts)}/{phase.artifact}"
    if len(listed) >= _SOURCES:
        return _open("sources_listed", f"{place} lists {len(listed)} sources")
    message = f"{place} lists {len(listed)} source(s); an answer rests on at least {_SOURCES}"
    return _closed("sources_listed", "TOO_FEW_SOURCES", message, f"add list items or table rows to {place}")


def _publication_approved(facts: PhaseFacts, phase: DagNode) -> GateResult:
    answer = facts.records.answer("publication_approved")
    if (answer or "").strip().casefold() == "yes":
        return _open("publication_approved", "publication was approved")
    said = "nobody has said" if answer is None else f"the answer was {answer!r:.80}, not yes,"
    command = f"kitty-flow mission answer publication_approved yes -m {facts.mission.slug}"
    message = f"{said} whether it may be published"
    return _closed("publication_approved", "PUBLICATION_NOT_APPROVED", message, command)


def _reviewed_by_another(facts: PhaseFacts, phase: DagNode) -> GateResult:
    gate = "reviewed_by_another"
    done = facts.records.finished(phase.name)
    reviewer = done.by if done else facts.actor
    authors = {each.by for name in phase.depends_on if (each := facts.records.finished(name)) is not None}
    if reviewer is None or not authors:
        message = f"{phase.name} has not been done by anybody yet"
        return _closed(
            gate, "NOT_REVIEWED", message, f"kitty-flow next --agent NAME --role any -m {facts.mission.slug}"
        )
    if any(is_same_actor(reviewer, author) for author in authors):
        message = f"{reviewer} did the work that is to be challenged"
        return _closed(
            gate, "REVIEWER_IS_AUTHOR", message, f"kitty-flow next --agent OTHER --role any -m {facts.mission.slug}"
        )
    return _open(gate, f"{reviewer} did not do the work that was challenged")


def _work_packages_present(facts: PhaseFacts, phase: DagNode) -> GateResult:
    from kitty_flow.graph import compute_plan

    gate, definition = "work_packages_present", facts.mission.definition
    if not definition.work_packages:
        definition = facts.source.definition
        if not definition.work_packages:
            place = definition.source.path
            return _closed(gate, "NO_WORK_PACKAGES", f"{place} has no work packages", f"write them into {place}")
        compute_plan(definition)  # a cycle is no plan
    return _open(gate, f"there are {len(definition.work_packages)} work packages")


def _work_packages_submitted(facts: PhaseFacts, phase: DagNode) -> GateResult:
    left = {i: s for i, s in _states(facts).items() if s not in _SUBMITTED}
    return _all_of("work_packages_submitted", "WORK_PACKAGES_OPEN", facts, left)


def _work_packages_approved(facts: PhaseFacts, phase: DagNode) -> GateResult:
    mission = facts.mission
    left = {i: s for i, s in _states(facts).items() if not is_finished(mission.work_package(i, facts.view))}
    return _all_of("work_packages_approved", "WORK_PACKAGES_NOT_APPROVED", facts, left)


def _all_of(gate: str, code: str, facts: PhaseFacts, left: Mapping[str, str]) -> GateResult:
    slug = facts.mission.slug
    if not facts.mission.definition.work_packages:
        return _closed(gate, "NO_WORK_PACKAGES", f"{slug} has no work packages yet", f"kitty-flow mission show {slug}")
    if not left:
        return _open(gate, "all work packages have come that far")
    shown = ", ".join(f"{name} is {state}" for name, state in [*left.items()][:5])
    more = f" and {len(left) - 5} more" if len(left) > 5 else ""
    return _closed(gate, code, f"{shown}{more}", f"kitty-flow why {next(iter(left))} -m {slug}")


def _states(facts: PhaseFacts) -> dict[str, str]:
    mission = facts.mission
    return {w.id: mission.work_package(w.id, facts.view).state for w in mission.definition.work_packages}


def _mission_accepted(facts: PhaseFacts, phase: DagNode) -> GateResult:
    return _mission_is(facts, "mission_accepted", ("accepted", "merged", "shipped"), "accept")


def _mission_merged(facts: PhaseFacts, phase: DagNode) -> GateResult:
    return _mission_is(facts, "mission_merged", ("merged", "shipped"), "merge")


def _mission_is(facts: PhaseFacts, gate: str, states: tuple[str, ...], word: str) -> GateResult:
    state, slug = facts.mission.state(facts.view), facts.mission.slug
    if state in states:
        return _open(gate, f"the mission is {state}")
    command = f"kitty-flow merge {slug}" if word == "merge" else f"kitty-flow mission accept {slug}"
    return _closed(gate, f"MISSION_NOT_{states[0].upper()}", f"the mission is {state}", command)


def _shown(facts: PhaseFacts) -> str:
    """The mission's folder as people type it."""
    return facts.folder.relative_to(facts.mission.project.root).as_posix()


PHASE_GATES: Final[Mapping[str, PhaseGate]] = {
    "artifact_present": _artifact_present,
    "mission_accepted": _mission_accepted,
    "mission_merged": _mission_merged,
    "publication_approved": _publication_approved,
    "reviewed_by_another": _reviewed_by_another,
    "sources_listed": _sources_listed,
    "work_packages_approved": _work_packages_approved,
    "work_packages_present": _work_packages_present,
    "work_packages_submitted": _work_packages_submitted,
}
