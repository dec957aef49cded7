"""The mission's own life: begun with a branch and a base, accepted when nothing is left to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from kitty_flow.errors import RefusedError, UsageError
from kitty_flow.flow.actor import current_user
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.integrate import refuse_checked_out_branch
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.readiness import unfinished
from kitty_flow.git.config_state import config_state
from kitty_flow.git.refs import ABSENT, RefMovedError
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import LedgerView
from kitty_flow.machines import Facts

__all__ = [
    "LifeTrigger",
    "accept_if_finished",
    "begin",
    "change_life",
    "config_fact",
    "refuse_without_work_packages",
    "retarget",
]

LifeTrigger = Literal["pause", "resume", "abort", "accept"]


def begin(mission: OpenMission, *, run_id: str) -> None:
    """Make sure that the mission is running and has its branch: event first, then the ref, both repeatable.

    Raises:
        UsageError: TARGET_BRANCH_MISSING.
        RefusedError: NO_WORK_PACKAGES; MISSION_NOT_RUNNABLE, it is paused, merged, shipped or aborted; BRANCH_TAKEN;
            MISSION_BRANCH_CHECKED_OUT.
    """
    refuse_without_work_packages(mission)
    state = mission.state()
    if state == "planned" and mission.project.settings.sync.confirm_claims:
        from kitty_flow.flow.sync.claims import look_elsewhere

        look_elsewhere(mission)
        state = mission.state()
    if state == "planned" or (state == "running" and _base(mission) is None):
        _start(mission, run_id)
        state = mission.state()
    if state == "accepted" and unfinished(mission, mission.view()):
        _transition(mission, "reopen", run_id, reason="a work package is open again")
    if state == "running":
        _note_config(mission, run_id)
    if state not in ("running", "accepted"):
        raise RefusedError(
            "MISSION_NOT_RUNNABLE",
            f"{mission.slug} is {state}",
            hint=f"kitty-flow mission resume {mission.slug}"
            if state == "paused"
            else f"kitty-flow status {mission.slug}",
        )
    _ensure_branch(mission)
    refuse_checked_out_branch(mission)


def refuse_without_work_packages(mission: OpenMission) -> None:
    """What is about work packages cannot be done with a mission that has none, or none yet.

    Raises:
        RefusedError: NO_WORK_PACKAGES.
    """
    if mission.definition.work_packages:
        return
    is_draft = mission.state() == "draft"
    raise RefusedError(
        "NO_WORK_PACKAGES",
        f"{mission.slug} has no work packages{' yet: it is in its planning phases' if is_draft else ''}",
        hint=f"kitty-flow next --agent NAME -m {mission.slug}"
        if is_draft
        else f"kitty-flow mission show {mission.slug}",
    )


def _start(mission: OpenMission, run_id: str) -> None:
    refs = mission.project.repository.refs
    base = refs.commit(mission.target_ref)
    if base is None:
        target = mission.target_ref.removeprefix("refs/heads/")
        raise UsageError(
            "TARGET_BRANCH_MISSING",
            f"the target branch {target!r} of {mission.slug} does not exist here, or has no commit yet",
            hint="make a first commit"
            if refs.commit("HEAD") is None
            else f"kitty-flow run {mission.slug} --target BRANCH, or git branch {target}",
            details={"target_branch": target},
        )
    begun = _superseded_base(mission) if refs.read(mission.branch) is not None and _base(mission) is None else base
    if begun is None:
        raise RefusedError(
            "BRANCH_TAKEN",
            f"{mission.branch} exists already, and this mission did not make it",
            hint=f"rename it: git branch -m {mission.branch.removeprefix('refs/heads/')} NEW-NAME",
        )
    evidence = {
        "base_commit": begun,
        "mission_branch": mission.branch,
        "target_ref": mission.target_ref,
        config_fact(mission): config_state(mission.project.repository),
    }
    if mission.state() == "planned":
        # Two agents may ask for the first step at the same time: the second finds the mission running.
        _transition(mission, "start", run_id, evidence=evidence, only_from="planned")
    else:
        _take_over(mission, run_id, evidence)


def config_fact(mission: OpenMission) -> str:
    """The name of the fact that holds this clone's configuration at the time when it began the mission."""
    return f"config_of_{mission.ledger.store.writer}"


def _note_config(mission: OpenMission, run_id: str) -> None:
    """Keep the configuration that this clone begins with, where the mission was begun by another one."""
    name = config_fact(mission)

    def build(view: LedgerView) -> Batch:
        entity = view.entity("mission", mission.id)
        if entity is None or name in entity.facts:
            return Batch(())
        builder = BatchBuilder(view, actor=current_user(), correlation_id=run_id)
        builder.annotate(
            "mission", mission.id, "note_config", evidence={name: config_state(mission.project.repository)}
        )
        return builder.build()

    entity = mission.view().entity("mission", mission.id)
    if entity is not None and name not in entity.facts:
        mission.ledger.record(build)


def _take_over(mission: OpenMission, run_id: str, evidence: Mapping[str, object]) -> None:
    """Work that was begun elsewhere, and came here with its history, goes on from the target as it is now."""

    def build(view: LedgerView) -> Batch:
        if _base(mission, view) is not None:
            return Batch(())
        builder = BatchBuilder(view, actor=current_user(), correlation_id=run_id)
        builder.annotate("mission", mission.id, "take_over", evidence=evidence)
        return builder.build()

    mission.ledger.record(build)


def _base(mission: OpenMission, view: LedgerView | None = None) -> str | None:
    """The commit that the mission branch began at; None before the first run here."""
    entity = (view or mission.view()).entity("mission", mission.id)
    return entity.facts.get("base_commit") if entity else None


def _superseded_base(mission: OpenMission) -> str | None:
    """The base of a start that another clone's decision superseded: the branch that is there was begun from it."""
    for event in reversed(tuple(mission.ledger.events())):
        if event.trigger == "start" and event.evidence.get("mission_branch") == mission.branch:
            return str(event.evidence["base_commit"])
    return None


def _ensure_branch(mission: OpenMission) -> None:
    """Make the mission branch, or bring it back where the ledger last saw it."""
    refs = mission.project.repository.refs
    if refs.read(mission.branch) is not None:
        return
    entity = mission.view().entity("mission", mission.id)
    integrated = [e.evidence["integrated_commit"] for e in mission.ledger.events() if "integrated_commit" in e.evidence]
    commit = integrated[-1] if integrated else (entity.facts.get("base_commit") if entity else None)
    try:
        refs.swap(mission.branch, str(commit), ABSENT)
    except RefMovedError:
        if refs.read(mission.branch) is None:  # otherwise somebody else was as quick
            raise


def retarget(mission: OpenMission, branch: str) -> None:
    """Set another target branch before the first run.

    Raises:
        UsageError: TARGET_BRANCH_MISSING.
        RefusedError: MISSION_STARTED, it has been started with another target.
    """
    if mission.target_ref == f"refs/heads/{branch}":
        return
    if mission.project.repository.refs.commit(f"refs/heads/{branch}") is None:
        raise UsageError("TARGET_BRANCH_MISSING", f"there is no branch {branch!r}", hint="git branch --list")
    if mission.state() != "planned":
        raise RefusedError(
            "MISSION_STARTED",
            f"{mission.slug} was started for {mission.target_ref}; its target cannot change any more",
            hint=f"kitty-flow status {mission.slug}",
        )

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=current_user())
        builder.annotate("mission", mission.id, "retarget", evidence={"target_branch": branch})
        return builder.build()

    mission.ledger.record(build)


def accept_if_finished(mission: OpenMission, *, run_id: str | None) -> str:
    """Accept a running mission when nothing is left to do; returns the mission's state."""
    view = mission.view()
    if mission.state(view) == "running" and not unfinished(mission, view):
        head = mission.project.repository.refs.commit(mission.branch)
        _transition(mission, "accept", run_id, evidence={"mission_head": head}, only_from="running")
    return mission.state()


def change_life(mission: OpenMission, trigger: LifeTrigger, *, reason: str | None = None) -> str:
    """Pause, resume, abort or accept a mission on a person's word; returns its new state.

    A paused or aborted mission starts nothing new; what runs is finished and recorded.

    Raises:
        RefusedError: ILLEGAL_TRANSITION, REASON_MISSING or WORK_PACKAGES_OPEN.
    """
    entity = mission.view().entity("mission", mission.id)
    evidence: dict[str, object] = {}
    if trigger == "pause":
        evidence = {"state_before_pause": mission.state()}
    elif trigger == "accept":
        evidence = {"mission_head": mission.project.repository.refs.commit(mission.branch)}
    before = entity.facts.get("state_before_pause") if entity else None
    _transition(mission, trigger, None, reason=reason, evidence=evidence, state_before_pause=before)
    return mission.state()


def _transition(
    mission: OpenMission,
    trigger: str,
    run_id: str | None,
    *,
    reason: str | None = None,
    evidence: Mapping[str, object] | None = None,
    state_before_pause: str | None = None,
    only_from: str | None = None,
) -> None:
    def build(view: LedgerView) -> Batch:
        if only_from not in (None, mission.state(view)):
            return Batch(())
        builder = BatchBuilder(view, actor=current_user(), correlation_id=run_id)
        facts = Facts(
            actor=current_user(),
            mission_valid=True,
            reason=reason,
            state_before_pause=state_before_pause,
            unfinished_work_packages=unfinished(mission, view),
        )
        builder.transition("mission", mission.id, trigger, facts, reason=reason, evidence=evidence)
        return builder.build()

    mission.ledger.record(build)
