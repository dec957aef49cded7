"""One run of one agent for a work package: its prompt, its process, and the files it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.environment import job_variables
from kitty_flow.agents.executor import Job
from kitty_flow.agents.process import ProcessOutcome
from kitty_flow.agents.prompt import (
    PromptContext,
    identity_mismatches,
    implement_prompt,
    prompt_identity,
    review_prompt,
)
from kitty_flow.errors import InterruptedRunError
from kitty_flow.flow.claim import Claim
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.run_context import RunContext
from kitty_flow.flow.workspace import Workspace, invocation_folder, workspace_of
from kitty_flow.ledger.ledger import new_ulid

__all__ = ["Action", "Invocation", "job_of", "launch", "prepare_invocation", "rebuild_invocation"]

Action = Literal["implement", "review"]


@dataclass(frozen=True)
class Invocation:
    """An invocation that is about to run: who, what, where, and where its files are.

    `claim` is the claim that an implementer holds; a reviewer has the one whose work it reviews.
    """

    id: str
    action: Action
    agent: AgentSpec
    claim: Claim
    workspace: Workspace
    base_commit: str
    folder: Path
    identity_matches: bool

    @property
    def work_package_id(self) -> str:
        """The work package."""
        return self.claim.work_package_id

    @property
    def epoch(self) -> int:
        """The epoch of the claim."""
        return self.claim.epoch

    @property
    def prompt_path(self) -> Path:
        """The prompt file."""
        return self.folder / "prompt.md"

    @property
    def result_path(self) -> Path:
        """Where the agent writes its result."""
        return self.folder / "result.json"

    @property
    def log_path(self) -> Path:
        """Everything the agent printed."""
        return self.folder / "output.log"

    def evidence(self) -> dict[str, Any]:
        """What the ledger keeps of it at its start."""
        return {
            "action": self.action,
            "agent": self.agent.name,
            "work_package_id": self.work_package_id,
            "claim_id": self.claim.id,
            "epoch": self.epoch,
            "prompt_path": str(self.prompt_path),
            "result_path": str(self.result_path),
            "log_path": str(self.log_path),
        }


def prepare_invocation(
    mission: OpenMission,
    action: Action,
    agent: AgentSpec,
    claim: Claim,
    workspace: Workspace,
    *,
    attempt: int,
    base_commit: str,
    head_commit: str | None = None,
    feedback: Mapping[str, Any] | None = None,
) -> Invocation:
    """Write the prompt file and read it back: its identity must be the one that was meant (seed 004, RPM-001, -002)."""
    invocation_id = new_ulid()
    work_package_id = claim.work_package_id
    folder = invocation_folder(mission, invocation_id)
    context = PromptContext(
        invocation_id=invocation_id,
        repo_root=str(mission.project.root),
        mission_id=mission.id,
        mission_slug=mission.slug,
        work_package_id=work_package_id,
        lane_worktree=str(workspace.checkout.path),
        mission_branch=mission.branch,
        lane_branch=workspace.branch,
        base_ref=base_commit,
        prompt_path=str(folder / "prompt.md"),
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        work_package=mission.definition.work_package(work_package_id),
        result_path=str(folder / "result.json"),
        attempt=attempt,
        head_commit=head_commit,
        feedback=feedback,
    )
    text = implement_prompt(context) if action == "implement" else review_prompt(context)
    path = folder / "prompt.md"
    path.write_text(text, encoding="utf-8", errors="surrogateescape", newline="\n")
    found = prompt_identity(path.read_text(encoding="utf-8", errors="surrogateescape"))
    matches = not identity_mismatches(context.identity(), found)
    claim = replace(claim, review=invocation_id) if action == "review" else claim
    return Invocation(invocation_id, action, agent, claim, workspace, base_commit, folder, matches)


def rebuild_invocation(
    mission: OpenMission, work_package_id: str, invocation_id: str, action: Action
) -> Invocation | None:
    """A recorded invocation as the ledger describes it; None when it or its worktree is gone."""
    known = mission.view().entity("invocation", invocation_id)
    workspace = workspace_of(mission, work_package_id)
    if known is None or workspace is None:
        return None
    agent = str(known.facts.get("agent", "unknown"))
    review = invocation_id if action == "review" else None
    claim = Claim(
        known.facts.get("claim_id"), work_package_id, agent, int(known.facts.get("epoch", 0)), "", review=review
    )
    return Invocation(
        invocation_id,
        action,
        AgentSpec(agent, ()),
        claim,
        workspace,
        str(mission.work_package(work_package_id).facts.get("base_commit", "")),
        Path(str(known.facts.get("prompt_path", ""))).parent,
        True,
    )


def job_of(mission: OpenMission, invocation: Invocation) -> Job:
    """The invocation as a job: data with which any machine that has the same files can run the agent."""
    agent = invocation.agent
    extra = dict(agent.env)
    if mission.project.repository.identity is None:
        for role in ("AUTHOR", "COMMITTER"):
            extra.setdefault(f"GIT_{role}_NAME", agent.name)
            extra.setdefault(f"GIT_{role}_EMAIL", f"{agent.name}@localhost")
    worktree = invocation.workspace.checkout.path
    variables = job_variables(
        mission=mission.slug,
        wp=invocation.work_package_id,
        action=invocation.action,
        invocation=invocation.id,
        epoch=invocation.epoch,
        prompt=invocation.prompt_path,
        result=invocation.result_path,
        worktree=worktree,
        base_commit=invocation.base_commit,
        extra=extra,
    )
    return Job(
        invocation.id,
        invocation.epoch,
        agent.argv,
        str(worktree),
        variables,
        str(invocation.log_path),
        agent.timeout_s,
        agent.stall_s,
    )


def launch(mission: OpenMission, invocation: Invocation, run: RunContext) -> ProcessOutcome:
    """Have the agent run to its end.

    Raises:
        InterruptedRunError: INTERRUPTED, the run is being stopped; the agent was not begun, or it was ended.
        ExternalToolError: AGENT_NOT_STARTED.
    """
    job = job_of(mission, invocation)
    with run.at_work(invocation.id, invocation.claim):
        run.executor.submit(job)
        result = run.executor.collect(job.invocation_id)
        assert result is not None
    if result.outcome.reason != "canceled":
        return result.outcome
    reason = run.ended_for(invocation.id)
    if reason is None:
        raise InterruptedRunError("INTERRUPTED", "the run was interrupted")
    return replace(result.outcome, ended_for=reason)
