"""The gate between two waves: a command that must pass on the tip of the mission branch before the next wave begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from kitty_flow.agents.command import AgentSpec, check_executable
from kitty_flow.agents.executor import Job
from kitty_flow.errors import ExternalToolError
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.readiness import unfinished
from kitty_flow.flow.run_context import RunContext
from kitty_flow.flow.steps import Step
from kitty_flow.ledger.ledger import Batch, new_ulid
from kitty_flow.ledger.view import LedgerView
from kitty_flow.model.text import clean

__all__ = ["GateResult", "is_green", "pass_gate", "wave_gate_of", "wave_to_pass"]

_TAIL: Final = 2000


@dataclass(frozen=True)
class GateResult:
    """What a gate said: about which wave, commit and tree; `problem` None for green."""

    wave: int
    commit: str
    tree: str
    log_path: str
    problem: str | None
    tail: str

    def as_data(self) -> dict[str, Any]:
        """JSON-ready, and what the ledger keeps."""
        return {
            "wave": self.wave,
            "commit": self.commit,
            "tree": self.tree,
            "passed": self.problem is None,
            "problem": self.problem,
            "log_path": self.log_path,
        }


def wave_gate_of(mission: OpenMission) -> AgentSpec | None:
    """The configured gate, found on this machine; None where waves have none.

    Raises:
        ExternalToolError: AGENT_NOT_FOUND, the command cannot be executed.
    """
    settings = mission.project.settings.run
    if settings.wave_gate is None:
        return None
    spec = AgentSpec("wave-gate", settings.wave_gate, settings.wave_gate_timeout_s, 0.0)
    return check_executable(spec, mission.project.root)


def is_green(mission: OpenMission, view: LedgerView) -> bool:
    """Whether the gate has passed on the tree that the mission branch has now. A red one is asked again."""
    entity = view.entity("mission", mission.id)
    last = entity.facts.get("wave_gate") if entity is not None else None
    return isinstance(last, dict) and last.get("passed") is True and last.get("tree") == _tree(mission)


def wave_to_pass(mission: OpenMission, view: LedgerView, steps: Sequence[Step], until: int | None) -> int | None:
    """The wave that is over when these steps are all that can be begun; None in the middle of one.

    A wave is over when the next one would be begun with its very first work package, or when it was the last.
    """
    placements = mission.plan.placements
    if not steps:
        last = until or len(mission.plan.waves)
        left = any(placements[name].wave <= last for name in unfinished(mission, view))
        return None if left or mission.state(view) != "running" else last
    wave = min(placements[step.work_package_id].wave for step in steps)
    members = [name for name, placement in placements.items() if placement.wave == wave]
    is_new = all(not mission.work_package(name, view).counts.get("claim") for name in members)
    return wave - 1 if is_new and wave > 1 else None


def _tree(mission: OpenMission) -> str:
    return mission.project.repository.git.text("rev-parse", "--verify", f"{mission.branch}^{{tree}}")


def pass_gate(mission: OpenMission, spec: AgentSpec, run: RunContext, wave: int, actor: str) -> GateResult:
    """Run the gate in a clean worktree at the tip of the mission branch, and record what it said.

    Raises:
        InterruptedRunError: INTERRUPTED, the run was stopped; nothing is recorded.
    """
    commit, tree = str(mission.project.repository.refs.commit(mission.branch)), _tree(mission)
    job_id = new_ulid()
    worktrees = mission.project.worktrees
    path = mission.project.workspace_root / "gates" / mission.id
    log = path.with_name(f"{mission.id}-{job_id}.log")
    try:
        left_over = worktrees.at(path)
        if left_over is not None:
            worktrees.remove(left_over, disposable=True)
        checkout = worktrees.add(path, commit)
    except (ExternalToolError, OSError) as error:  # a gate that cannot be asked is not green
        return GateResult(wave, commit, tree, str(log), f"could not be asked: {error}", "")
    variables = {"PWD": str(path), "GIT_CEILING_DIRECTORIES": str(path.parent), "KITTY_FLOW_INVOCATION": job_id}
    try:
        problem, tail = _execute(Job(job_id, 0, spec.argv, str(path), variables, str(log), spec.timeout_s), run)
    finally:
        worktrees.remove(checkout, disposable=True)
    result = GateResult(wave, commit, tree, str(log), problem, tail)

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=actor, correlation_id=run.id)
        builder.annotate("mission", mission.id, "wave_gate", evidence={"wave_gate": result.as_data()})
        return builder.build()

    mission.ledger.record(build)
    return result


def _execute(job: Job, run: RunContext) -> tuple[str | None, str]:
    """What is wrong, None for nothing, and the end of the output. Everything but exit status 0 is wrong."""
    try:
        outcome = run.execute(job)
    except ExternalToolError as error:
        return error.message, ""
    tail = clean(outcome.tail[-_TAIL:])
    if outcome.reason == "exited" and outcome.exit_code == 0:
        return None, tail
    words = {
        "timeout": f"took longer than {job.timeout_s:.0f} s",
        "not_found": "could not be started",
        "exited": f"ended with status {outcome.exit_code}",
    }
    return words.get(outcome.reason, f"was {outcome.reason}"), tail
