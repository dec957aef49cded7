"""Merging a mission: the steps of `dags/pipelines/merge.toml` in order, each behind its gates, each resumable.

There is one commit point, the compare-and-swap of the target. The ledger knows the candidate before it and the landing
after it; a merge that was killed looks at the target first and goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from kitty_flow.errors import ConflictError, KittyFlowError, RefusedError
from kitty_flow.flow.life import accept_if_finished, refuse_without_work_packages
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.run import run_lock
from kitty_flow.git.refs import RefMovedError
from kitty_flow.machines import Facts, step_order
from kitty_flow.release.candidate import build_candidate, check_test_command, run_tests
from kitty_flow.release.checkouts import bring_along, catch_up, check_checkouts
from kitty_flow.release.eject import eject, ejected
from kitty_flow.release.evidence.recording import run_environment
from kitty_flow.release.gates import check_gates
from kitty_flow.release.landing import Landing, MergeOptions, heads, record_step, refuse
from kitty_flow.release.override import refuse_overrides
from kitty_flow.release.pipeline import project_pipeline
from kitty_flow.release.proof import already_landed, prove
from kitty_flow.release.recorded import take_up
from kitty_flow.release.report import MergeReport, report_of
from kitty_flow.release.tidy import tidy

__all__ = ["MergeReport", "merge_mission"]

_DONE_BY: Final[Mapping[str | None, tuple[str, ...]]] = {
    "prepared": ("preflight", "candidate"),
    "tested": ("preflight", "candidate", "test"),
    "landed": ("preflight", "candidate", "test", "land"),
}


def merge_mission(
    mission: OpenMission, options: MergeOptions, say: Callable[[str], None] = lambda line: None
) -> MergeReport:
    """Land an accepted mission on its target, or finish a landing that was interrupted; repeating it is harmless.

    A work package that makes the tests fail goes back to work with everything that builds on it, unless the options
    say otherwise; the rest is tested anew and lands. `say` is told what is being tested.

    Raises:
        UsageError: GATE_NOT_OVERRIDABLE or REASON_MISSING.
        DefinitionError: INVALID_DAG, the project's own pipeline is not valid.
        RefusedError: NO_WORK_PACKAGES; a gate is closed, and the target did not move; LANDING_NOT_PROVED, the mission
            has landed and the target does not contain it any more.
        ConflictError: LOCK_TIMEOUT, or TARGET_MOVED at the last moment.
        ExternalToolError: the test command cannot be found.
    """
    refuse_without_work_packages(mission)
    refuse_overrides(options)
    with run_lock(mission):
        landed = already_landed(mission, options)
        if landed is not None:
            catch_up(landed)
            tidy(landed)
            return report_of(landed, resumed=False)
        accept_if_finished(mission, run_id=None)
        remarks: list[str] = []
        while True:
            landing = take_up(mission, options)
            landing.say = say
            landing.remarks[:0] = remarks
            resumed = landing.state is not None
            try:
                _go(landing)
            except RefusedError as error:
                _send_back(landing, error)
                remarks = landing.remarks
            else:
                break
        tidy(landing)
        return report_of(landing, resumed=resumed)


def _send_back(landing: Landing, error: RefusedError) -> None:
    """Send back the work package that `error` is about, if it is about one and something else is left to land.

    Raises:
        RefusedError: `error`, when nothing is sent back; TESTS_FAILED, everything was.
    """
    red, mission = landing.red, landing.mission
    if red is None or red.culprit is None or not landing.options.eject or landing.is_landed():
        raise error
    names = eject(landing, red)
    landing.say(f"sent back to work: {', '.join(names)}")
    if not heads(mission, mission.view(), "approved"):
        raise RefusedError(
            error.code,
            f"{error.message}; {', '.join(names)} went back to work, and nothing is left that could land",
            hint=f"kitty-flow run {mission.slug}",
            details={**error.details, "ejected": list(ejected(mission, mission.view()))},
        ) from error


def _go(landing: Landing) -> None:
    """Take every step that is left, each behind its gates."""
    done = _DONE_BY.get(landing.state, ())
    pipeline = project_pipeline(landing.mission.project.root, "merge")
    landing.commands = pipeline.commands
    for step in step_order(pipeline):
        if step in done:
            continue
        try:
            check_gates(landing, pipeline.gates_before(step))
            _STEPS[step](landing)
        except KittyFlowError as error:
            _close(landing, error)
            raise


def _preflight(landing: Landing) -> None:
    check_test_command(landing)


def _candidate(landing: Landing) -> None:
    build_candidate(landing)
    if landing.conflicts:
        return  # the gate before the next step says so, with the paths
    check_checkouts(landing)
    evidence = {
        "target_ref": landing.mission.target_ref,
        "target_commit_before": landing.target_commit,
        "mission_head": landing.mission_head,
        "heads": dict(landing.heads),
        "candidate_commit": landing.candidate_commit,
        "candidate_tree": landing.candidate_tree,
        "strategy": landing.strategy,
    }
    record_step(landing, "prepare", evidence=evidence, facts=Facts(failed_gates=()))


def _test(landing: Landing) -> None:
    run = run_tests(landing)
    landing.test_run = run
    if not run.passed:
        return  # the gate before the landing says so
    evidence = {
        "tested_tree": landing.candidate_tree,
        "test_command": list(run.command),
        "test_exit_status": run.exit_status,
        "test_duration_ms": round(run.duration_s * 1000),
        "test_log": run.log_path,
        "test_log_sha256": run.log_digest,
        "environment": run_environment(landing.mission.project.repository.git),
    }
    facts = Facts(failed_gates=(), candidate_tree=landing.candidate_tree, tested_tree=landing.candidate_tree)
    record_step(landing, "test", evidence=evidence, facts=facts)


def _land(landing: Landing) -> None:
    """The commit point. Before the swap nothing has moved; after it, everything else can be derived again."""
    mission = landing.mission
    before, new = str(landing.target_commit), landing.candidate_commit
    if not landing.is_landed():
        check_checkouts(landing)
        try:
            mission.project.repository.refs.swap(mission.target_ref, new, before, is_ours=True)
        except RefMovedError as error:
            raise ConflictError(
                "TARGET_MOVED",
                f"{mission.target_ref} moved while the tests ran; nothing landed",
                hint=f"kitty-flow merge {mission.slug}",
                details=error.details,
            ) from error
    bring_along(landing)
    tree = mission.project.history.tree(new)
    evidence = {"target_ref": mission.target_ref, "target_commit": new, "landed_tree": tree}
    facts = Facts(failed_gates=(), tested_tree=landing.candidate_tree, landed_tree=tree)
    record_step(landing, "land", evidence=evidence, facts=facts)


_STEPS: Final[Mapping[str, Callable[[Landing], None]]] = {
    "preflight": _preflight,
    "candidate": _candidate,
    "test": _test,
    "land": _land,
    "prove": prove,
}


def _close(landing: Landing, error: KittyFlowError) -> None:
    """Close a landing that got as far as the ledger and may not go on; a landed one stays open to be finished."""
    is_no = isinstance(error, RefusedError | ConflictError)
    if is_no and landing.state in ("prepared", "tested") and not landing.is_landed():
        refuse(landing, error.message)
    if landing.test_run is not None and not landing.test_run.passed:
        error.details["test_log"] = landing.test_run.log_path
        error.details["test_output"] = landing.test_run.tail
