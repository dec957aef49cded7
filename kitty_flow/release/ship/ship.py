"""Shipping a mission: the steps of `dags/pipelines/ship.toml` in order, each behind its gates, each resumable.

Up to the tag nothing but files of ours is made. From the first publish step on the only way is forward: the same
command, typed again, asks every probe what is there and does what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from kitty_flow.errors import RefusedError
from kitty_flow.flow.actor import current_user
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.run import run_lock
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import LedgerView
from kitty_flow.machines import Facts, step_order
from kitty_flow.model.gate import GateResult
from kitty_flow.release.gate_answers import closed_gate, open_gate
from kitty_flow.release.ship.artifact_checks import check_artifacts
from kitty_flow.release.ship.artifacts import build, keep
from kitty_flow.release.ship.commands import scratch
from kitty_flow.release.ship.gates import check_gates
from kitty_flow.release.ship.override import check_overrides, overridden
from kitty_flow.release.ship.publish import publish, steps
from kitty_flow.release.ship.recorded import proved_release, take_up
from kitty_flow.release.ship.report import ShipReport, report_of
from kitty_flow.release.ship.sheet import Release, ShipOptions, record_step
from kitty_flow.release.ship.tag import is_signed, make_tag, push_tag

__all__ = ["ship_mission"]

_STATE_AFTER: Final[Mapping[str, str]] = {
    "plan": "planned",
    "check": "checked",
    "build": "built",
    "verify": "verified",
    "tag": "tagged",
    "publish": "published",
    "push": "pushed",
}


def ship_mission(mission: OpenMission, version: str | None, options: ShipOptions) -> ShipReport:
    """Release a merged mission, or finish a release that was interrupted; repeating it is harmless.

    Without leave to push, it stops before the last step and says so.

    Raises:
        UsageError: VERSION_MISSING, TARGET_BRANCH_MISSING, GATE_NOT_OVERRIDABLE or REASON_MISSING.
        RefusedError: a gate is closed; ALREADY_SHIPPED with another version; RELEASE_IN_PROGRESS; and what `publish`
            and `push_tag` say.
        ConflictError: LOCK_TIMEOUT.
        ExternalToolError: a command of the settings is missing, a probe or the remote does not answer.
    """
    with run_lock(mission):
        shipped = _already_shipped(mission, version)
        if shipped is not None:
            return report_of(shipped, resumed=False)
        release = take_up(mission, version, options)
        check_overrides(release)
        resumed = release.state is not None
        _go(release)
        return report_of(release, resumed=resumed)


def _already_shipped(mission: OpenMission, version: str | None) -> Release | None:
    release = proved_release(mission) if mission.state() == "shipped" else None
    if release is None:
        return None
    if version not in (None, release.version):
        raise RefusedError(
            "ALREADY_SHIPPED",
            f"{mission.slug} was shipped in {release.version}",
            hint=f"kitty-flow verify {mission.slug}",
        )
    check_gates(release, ("tag_at_release_commit",))
    release.remarks.append("already shipped; nothing was left to do")
    return release


def _go(release: Release) -> None:
    """Take every step that is left, each behind its gates, until one cannot be taken yet."""
    order = step_order(release.pipeline)
    states = [_STATE_AFTER.get(step) for step in order]
    done = order[: states.index(release.state) + 1] if release.state in states and release.state else ()
    for step in order:
        if step in done:
            continue
        check_gates(release, release.pipeline.gates_before(step))
        if not _STEPS[step](release):
            return


def _preflight(release: Release) -> bool:
    return True


def _plan(release: Release) -> bool:
    options = release.options
    evidence = {
        "version": release.version,
        "tag": release.tag,
        "release_commit": release.commit,
        "release_tree": release.mission.project.history.tree(release.commit),
        "gates": {gate.gate: gate.outcome for gate in release.gates},
        "options": {"push": options.push, "overrides": list(options.overrides), "reason": options.reason},
    }
    facts = Facts(version=release.version, release_commit=release.commit, failed_gates=())
    record_step(release, "plan", evidence=evidence, facts=facts)
    return True


def _check(release: Release) -> bool:
    """Run every release gate, so that one look shows everything; the gate before the build says so if one is closed."""
    ran: list[dict[str, object]] = []
    results: list[GateResult] = []
    if release.settings.gate:
        with scratch(release) as workplace:
            for gate in release.settings.gate:
                run = workplace.run(f"gate-{gate.name}", gate.command, gate.timeout_s)
                ran.append({"name": gate.name, "command": list(gate.command), **run.as_data()})
                told = f"{' '.join(gate.command)} ended with {run.how} in {run.outcome.duration_s:.1f} s"
                log = run.outcome.log_path
                results.append(
                    open_gate(gate.name, told)
                    if run.passed
                    else closed_gate(
                        gate.name,
                        "RELEASE_GATE_FAILED",
                        f"{gate.name}: {told}",
                        subject=gate.name,
                        invariant="every release gate passes on the commit that is shipped",
                        remediation=f"look at {log}; then {release.command}",
                    ).model_copy(update={"details": {"output": run.outcome.tail}})
                )
    release.release_gates = overridden(release, results)
    if all(result.is_open for result in release.release_gates):
        record_step(release, "check", evidence={"release_gates": ran}, facts=Facts(failed_gates=()))
    return True


def _build(release: Release) -> bool:
    settings = release.settings.build
    evidence: dict[str, object] = {"artifacts": {}}
    release.artifacts = {}
    if settings is not None:
        with scratch(release) as workplace:
            ran, made = build(workplace, settings, "build")
            release.artifacts = keep(release, made)
        evidence = {"artifacts": release.artifacts, "build": {"command": list(settings.command), **ran.as_data()}}
    facts = Facts(artifact_digests=tuple(release.artifacts.values()))
    record_step(release, "build", evidence=evidence, facts=facts)
    return True


def _verify(release: Release) -> bool:
    release.checks = overridden(release, check_artifacts(release))
    if all(result.is_open for result in release.checks):
        told = {result.gate: result.message for result in release.checks}
        record_step(release, "verify", evidence={"artifact_checks": told}, facts=Facts(artifacts_verified=True))
    return True


def _tag(release: Release) -> bool:
    make_tag(release)
    evidence = {"tag": release.tag, "tag_object": release.tag_object, "signed": is_signed(release)}
    tagged = release.mission.project.repository.refs.commit(release.tag_ref)
    facts = Facts(tag_commit=tagged, release_commit=release.commit, failed_gates=())
    record_step(release, "tag", evidence=evidence, facts=facts)
    return True


def _publish(release: Release) -> bool:
    names: list[str] = []
    if steps(release):
        with scratch(release) as workplace:
            names = publish(workplace)
    record_step(release, "publish", evidence={"published": names}, facts=Facts(index_matches=True))
    return True


def _push(release: Release) -> bool:
    if not push_tag(release):
        return False
    evidence = {"remote": release.remote_name or "", "tag_object": release.tag_object}
    record_step(release, "push", evidence=evidence, facts=Facts(remote_matches=True))
    return True


def _prove(release: Release) -> bool:
    """Release and mission in one batch: a mission is shipped if and only if its release is proved."""
    mission = release.mission
    there = release.remote is None or release.remote_tag() == release.tag_object
    facts = Facts(actor=current_user(), release_proved=there)
    evidence = {
        "version": release.version,
        "tag": release.tag,
        "tag_object": release.tag_object,
        "release_commit": release.commit,
    }

    def record(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=current_user(), correlation_id=release.id)
        builder.transition("release", release.id, "prove", facts, evidence=evidence)
        builder.transition("mission", mission.id, "ship", facts, evidence={**evidence, "release_id": release.id})
        return builder.build()

    mission.ledger.record(record)
    release.state = "proved"
    return True


_STEPS: Final[Mapping[str, Callable[[Release], bool]]] = {
    "preflight": _preflight,
    "plan": _plan,
    "check": _check,
    "build": _build,
    "verify": _verify,
    "tag": _tag,
    "publish": _publish,
    "push": _push,
    "prove": _prove,
}
