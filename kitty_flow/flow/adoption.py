"""Adopting a mission source: definition and plan become facts of the ledger, work packages become planned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from kitty_flow.errors import DefinitionError, KittyFlowError, RefusedError, UsageError
from kitty_flow.flow.actor import current_user
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.definition import read_definition
from kitty_flow.flow.project import Project
from kitty_flow.ledger.catalog import CatalogEntry, catalog, refuse_unreadable
from kitty_flow.ledger.ledger import Batch, Ledger, new_ulid
from kitty_flow.ledger.lock import exclusive
from kitty_flow.ledger.view import LedgerView
from kitty_flow.machines import Facts, dag_names
from kitty_flow.model.diagnostic import Diagnostic
from kitty_flow.model.mission import LoadedMission, MissionDefinition

__all__ = ["adopt", "define", "load_source", "refresh", "still_true"]

_LOCK_TIMEOUT_S: Final = 30.0
_ABOUT_FILES: Final = ("OWNED_FILES_ABSENT", "OWNED_FILES_MATCH_NOTHING")


def load_source(
    project: Project, path: Path, kind: str | None = None, *, is_begun: bool = False, may_be_empty: bool = False
) -> LoadedMission:
    """Read and validate a mission source; the path is noted relative to the repository where it is inside.

    `kind` names the reader, where the path alone should not decide. What the mission owns is compared with the files
    that there are, unless work `is_begun`: then files come and go. `may_be_empty`: a mission in its planning phases has
    no work packages yet.
    """
    from kitty_flow.missions.source import load_mission

    inside = path.resolve().is_relative_to(project.root.resolve())
    return load_mission(
        path,
        relative_to=project.root if inside else None,
        kind=kind,
        files=None if is_begun or project.repository.is_bare else project.files,
        may_be_empty=may_be_empty,
    )


def adopt(
    project: Project,
    path: Path,
    *,
    target_branch: str | None = None,
    must_be_new: bool = False,
    kind: str | None = None,
) -> CatalogEntry:
    """Create the mission at `path` in the ledger; if it is there already, just its entry.

    With work packages it is planned; without, it is a draft, and its template's phases lead to them.

    `kind` names the reader, as in `load_source`.

    Raises:
        RefusedError: MISSION_EXISTS, it is there already and `must_be_new`.
        DefinitionError: the source is invalid or its dependencies have a cycle; UNKNOWN_TEMPLATE, it has no work
            packages, and there are no such phases.
        UsageError: SLUG_TAKEN, another mission has this slug.
        LedgerError: LEDGER_UNREADABLE, it may be the mission whose ledger is damaged.
    """
    definition = load_source(project, path, kind, may_be_empty=True).definition
    if not definition.work_packages:
        _refuse_unknown_template(definition)
    lock = project.repository.state_dir / "locks" / "adopt.lock"
    with exclusive(lock, timeout_s=_LOCK_TIMEOUT_S, what="the adoption of missions"):
        entries = catalog(project.repository)
        if all(entry.mission_id != definition.id for entry in entries):
            refuse_unreadable(entries)  # one of them may be this mission
        for entry in entries:
            if entry.state == "aborted" and entry.mission_id != definition.id:
                continue  # it was given up: its name is free again
            if entry.mission_id == definition.id or (definition.id is None and entry.slug == definition.slug):
                if must_be_new:
                    raise RefusedError(
                        "MISSION_EXISTS",
                        f"{entry.slug} is in the ledger already, as {entry.mission_id} ({entry.state})",
                        hint=f"kitty-flow mission show {entry.slug}; an edited copy needs another slug and id",
                    )
                return entry
            if entry.slug.casefold() == definition.slug.casefold():
                raise UsageError(
                    "SLUG_TAKEN",
                    f"another mission, {entry.mission_id}, is called {entry.slug}",
                    hint="rename the mission, or kitty-flow mission list",
                )
        branch = target_branch or definition.target_branch or _current_branch(project)
        mission_id = definition.id or new_ulid()
        definition = replace(definition, id=mission_id, target_branch=branch)
        with Ledger(project.repository, mission_id, definition.slug) as ledger:
            receipt = ledger.record(lambda view: _creation(view, definition))
        state = "planned" if definition.work_packages else "draft"
        return CatalogEntry(mission_id, definition.slug, state, receipt.commit)


def _refuse_unknown_template(definition: MissionDefinition) -> None:
    known = dag_names("mission")
    if definition.template not in known:
        raise DefinitionError(
            "UNKNOWN_TEMPLATE",
            f"{definition.slug} has no work packages, and there is no template {definition.template!r:.80} for them",
            hint="kitty-flow dags list",
            details={"template": definition.template[:80], "known": list(known)},
        )


def _creation(view: LedgerView, definition: MissionDefinition) -> Batch:
    mission_id = definition.id or ""
    if view.entity("mission", mission_id):
        return Batch(())
    builder = BatchBuilder(view, actor=current_user())
    builder.transition(
        "mission",
        mission_id,
        "create",
        Facts(actor=current_user()),
        evidence={"source": definition.source._asdict(), "title": definition.title},
    )
    return define(builder, definition, "plan" if definition.work_packages else "define")


def define(
    builder: BatchBuilder, definition: MissionDefinition, trigger: str, target_branch: str | None = None
) -> Batch:
    """Collect the definition, its plan, and the planning of work packages that the ledger does not know yet.

    `trigger` is ``plan`` where the mission becomes planned by it, else the name of an annotation; `target_branch` is
    where it is to land, unless that is what the definition says.
    """
    from kitty_flow.graph import compute_plan

    plan = compute_plan(definition)
    digest = definition.digest
    evidence = {"definition_digest": digest, "target_branch": target_branch or definition.target_branch}
    facts = Facts(mission_valid=True)
    if trigger == "plan":
        builder.transition("mission", definition.id or "", "plan", facts, evidence=evidence)
    else:
        builder.annotate("mission", definition.id or "", trigger, evidence=evidence)
    for work_package in definition.work_packages:
        if builder.state("work_package", work_package.id) is None:
            builder.transition("work_package", work_package.id, "plan", facts, evidence={"definition_digest": digest})
    return builder.build(
        {
            f"definition/{digest}.json": definition.as_json(),
            f"plan/{digest}.json": plan.as_json(),
        }
    )


def refresh(project: Project, ledger: Ledger) -> tuple[Diagnostic, ...]:
    """Take over an edited source while nothing has been started or amended; afterwards only say that it differs.

    An amended mission goes on with what was amended: its source is only looked at to say that it was edited since.

    Raises:
        DefinitionError: the edited source is invalid.
    """
    view = ledger.view()
    recorded, _ = read_definition(ledger, view)
    path = project.root / recorded.source.path
    if not path.exists():
        return ()
    is_begun = not _follows_source(view, ledger.mission_id)
    try:
        kind, may_be_empty = recorded.source.kind, not recorded.work_packages
        loaded = load_source(project, path, kind, is_begun=is_begun, may_be_empty=may_be_empty)
    except DefinitionError:
        if not is_begun:
            raise
        return (_source_differs(ledger, "its source is not valid any more"),)
    except KittyFlowError:
        return ()
    target = loaded.definition.target_branch or recorded.target_branch
    edited = replace(loaded.definition, id=recorded.id, target_branch=target)
    mission = view.entity("mission", ledger.mission_id)
    amended_from = mission.facts.get("source_digest") if mission is not None else None
    if edited.digest == (amended_from or recorded.digest):
        return loaded.diagnostics
    if is_begun:
        when = "it was amended" if amended_from else "work had begun"
        return (*loaded.diagnostics, _source_differs(ledger, f"its source was edited after {when}"))
    held = _held_planning(view, recorded, edited)
    if held is not None:
        return (*loaded.diagnostics, held)
    ledger.record(lambda view: _redefinition(view, recorded, edited))
    return loaded.diagnostics


def still_true(told: Sequence[Diagnostic], view: LedgerView, mission_id: str) -> tuple[Diagnostic, ...]:
    """The remarks about a source that hold on `view`: once work has begun, files that were absent come and go."""
    if _follows_source(view, mission_id):
        return tuple(told)
    return tuple(remark for remark in told if remark.diagnostic_code not in _ABOUT_FILES)


def _redefinition(view: LedgerView, recorded: MissionDefinition, edited: MissionDefinition) -> Batch:
    if not _follows_source(view, edited.id or "") or _held_planning(view, recorded, edited):
        return Batch(())
    builder = BatchBuilder(view, actor=current_user())
    becomes_planned = builder.state("mission", edited.id or "") == "draft" and edited.work_packages
    mission = view.entity("mission", edited.id or "")
    target = edited.target_branch
    if mission is not None and target == recorded.target_branch:  # `run --target` may have named another one since
        target = mission.facts.get("target_branch") or target
    return define(builder, edited, "plan" if becomes_planned else "redefine", target)


def _held_planning(view: LedgerView, recorded: MissionDefinition, edited: MissionDefinition) -> Diagnostic | None:
    """Why work packages that have come into the source are not taken over yet: who plans may still be writing them."""
    mission = view.entity("mission", edited.id or "")
    if recorded.work_packages or not edited.work_packages or mission is None:
        return None
    from kitty_flow.flow.phase_records import held_phases

    for phase, holding in held_phases(mission).items():
        message = f"{recorded.slug} stays in its planning phases: {holding.holder} does {phase} and reports it"
        return Diagnostic(severity="warning", diagnostic_code="PHASE_HELD", message=message, phase="plan")
    return None


def _follows_source(view: LedgerView, mission_id: str) -> bool:
    """Whether an edit of the source still counts: nobody has claimed anything or amended the mission."""
    mission = view.entity("mission", mission_id)
    if mission is not None and mission.counts.get("amend"):
        return False
    return all(
        w.state in ("planned", "canceled") and not w.counts.get("claim") for w in view.of_type("work_package").values()
    )


def _source_differs(ledger: Ledger, why: str) -> Diagnostic:
    return Diagnostic(
        severity="warning",
        diagnostic_code="DEFINITION_DIFFERS",
        message=f"{ledger.mission_slug} goes on with the recorded definition: {why}; "
        f"kitty-flow mission amend {ledger.mission_slug} --reason TEXT changes what is recorded",
        phase="plan",
    )


def _current_branch(project: Project) -> str | None:
    done = project.repository.git.call("symbolic-ref", "--quiet", "--short", "HEAD", ok=(0, 1))
    return done.stdout.decode("utf-8", "replace").strip() or None
