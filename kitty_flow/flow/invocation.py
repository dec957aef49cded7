"""One run of one agent for a work package: its prompt, its process, and the files it leaves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from kitty_flow.agents.command import AgentSpec
from kitty_flow.agents.environment import job_variables
from kitty_flow.agents.executor import Job
from kitty_flow.agents.process import ProcessOutcome
from kitty_flow.agents.prompt import (
    Delta,
    PromptContext,
    identity_mismatches,
    implement_prompt,
    prompt_identity,
    review_prompt,
)
from kitty_flow.agents.prompt_template import load_template
from kitty_flow.agents.settings_prompts import template_place
from kitty_flow.errors import ConflictError, InterruptedRunError, RefusedError
from kitty_flow.flow.approval import last_review
from kitty_flow.flow.claim import Claim
from kitty_flow.flow.cycles import cycles_left
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.policy.budget import Interval
from kitty_flow.flow.prompt_check import refuse_other_prompt
from kitty_flow.flow.run_context import RunContext
from kitty_flow.flow.workspace import Workspace, invocation_folder, workspace_of
from kitty_flow.ledger.ledger import new_ulid
from kitty_flow.ledger.view import EntityState

__all__ = ["Action", "Invocation", "Seal", "job_of", "launch", "prepare_invocation", "rebuild_invocation"]

Action = Literal["implement", "review"]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


class Seal(NamedTuple):
    """What the ledger keeps of a prompt when it is written, so that it can be known again before it is used.

    `matches` says whether what was read back has the identity that was meant; `digest` is of the whole file.
    """

    created_at: str
    digest: str
    matches: bool


@dataclass(frozen=True)
class Invocation:
    """An invocation that is about to run: who, what, where, and where its files are.

    `claim` is the claim that an implementer holds; a reviewer has the one whose work it reviews. One that is taken from
    the ledger has no `seal`: the ledger has it. `worked` is when its process ran, once it has ended and somebody
    watched it.
    """

    id: str
    action: Action
    agent: AgentSpec
    claim: Claim
    workspace: Workspace
    base_commit: str
    folder: Path
    seal: Seal | None = None
    worked: Interval | None = None

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

    @contextmanager
    def unless_refused(self) -> Iterator[None]:
        """Take its folder away again when its start is refused inside the block: then the ledger never names it."""
        try:
            yield
        except (RefusedError, ConflictError):
            with suppress(OSError):
                self.prompt_path.unlink()
                self.folder.rmdir()
            raise

    def evidence(self) -> dict[str, Any]:
        """What the ledger keeps of it at its start."""
        return {
            "action": self.action,
            "agent": self.agent.name,
            "work_package_id": self.work_package_id,
            "claim_id": self.claim.id,
            "epoch": self.epoch,
            "command_digest": _digest("\0".join(self.agent.argv)) if self.agent.argv else None,
            **({"created_at": self.seal.created_at, "prompt_digest": self.seal.digest} if self.seal else {}),
            "prompt_path": str(self.prompt_path),
            "result_path": str(self.result_path),
            "log_path": str(self.log_path),
            "preset": self.agent.preset,
            "pool": self.agent.pool or self.agent.name,
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
    """Write the prompt file and read it back: its identity must be the one that was meant (seed 004, RPM-001, -002).

    Raises:
        DefinitionError: INVALID_PROMPT_TEMPLATE.
        RefusedError: PROMPT_REF_NOT_CANONICAL.
    """
    invocation_id, work_package_id = new_ulid(), claim.work_package_id
    settings = mission.project.settings
    place, is_named = template_place(mission.project.root, action, getattr(settings.prompts, action))
    template = load_template(action, place, is_named=is_named)
    folder = invocation_folder(mission, invocation_id, work_package_id)
    entity = mission.work_package(work_package_id)
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
        cycles_left=cycles_left(entity, settings.review),
        head_commit=head_commit,
        feedback=feedback,
        salvage_ref=_salvaged(mission, entity) if action == "implement" else None,
        earlier=_earlier(mission, entity, action),
        place=workspace.place,
        summary=entity.facts.get("summary"),
    )
    make = implement_prompt if action == "implement" else review_prompt
    data = make(context, template).encode("utf-8", errors="surrogateescape")
    path = folder / "prompt.md"
    path.write_bytes(data)
    found = prompt_identity(path.read_text(encoding="utf-8", errors="surrogateescape"))
    claim = replace(claim, review=invocation_id) if action == "review" else claim
    seal = Seal(
        context.created_at, hashlib.sha256(data).hexdigest(), not identity_mismatches(context.identity(), found)
    )
    return Invocation(invocation_id, action, agent, claim, workspace, base_commit, folder, seal)


def _salvaged(mission: OpenMission, entity: EntityState) -> str | None:
    """Where the unsaved work of the last attempt is kept; None when that attempt was handed in."""
    ref = entity.facts.get("salvage_ref")
    last = mission.view().entity("invocation", str(entity.facts.get("invocation_id")))
    return None if ref is None or (last is not None and last.state == "done") else str(ref)


def _earlier(mission: OpenMission, entity: EntityState, action: Action) -> Delta | None:
    """What the last review has seen: for a review of another head; or, if approved, for an attempt without it."""
    seen = last_review(mission, entity)
    if seen is None or (action == "review" and seen.head == entity.facts.get("head_commit")):
        return None
    if action == "implement" and (seen.verdict != "approved" or entity.facts.get("continue_at")):
        return None
    known = mission.project.repository.git.status("cat-file", "-e", f"{seen.head}^{{commit}}", ok=(0, 1, 128)) == 0
    return Delta(seen.base, seen.head, seen.verdict) if known else None


def rebuild_invocation(
    mission: OpenMission, work_package_id: str, invocation_id: str, action: Action, gone: Workspace | None = None
) -> Invocation | None:
    """A recorded invocation as the ledger describes it; in `gone` when its worktree is, or None without that."""
    known = mission.view().entity("invocation", invocation_id)
    workspace = workspace_of(mission, work_package_id) or gone
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
        AgentSpec(agent, (), pool=str(known.facts.get("pool") or agent), preset=known.facts.get("preset")),
        claim,
        workspace,
        str(mission.work_package(work_package_id).facts.get("base_commit", "")),
        Path(str(known.facts.get("prompt_path", ""))).parent,
    )


def job_of(mission: OpenMission, invocation: Invocation) -> Job:
    """The invocation as a job: data with which any machine that has the same files can run the agent."""
    agent = invocation.agent
    extra = {**invocation.workspace.env, **agent.env}
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
    prompt = invocation.prompt_path
    argv = agent.argv_for(prompt_path=prompt, result_path=invocation.result_path, worktree=worktree)
    stdin = agent.stdin_for(prompt)
    return Job(
        invocation.id,
        invocation.epoch,
        argv,
        str(worktree),
        variables,
        str(invocation.log_path),
        agent.timeout_s,
        agent.stall_s,
        stdin_path=None if stdin is None else str(stdin),
    )


def launch(mission: OpenMission, invocation: Invocation, run: RunContext) -> ProcessOutcome:
    """Have the agent run to its end.

    Raises:
        RefusedError: the prompt is not the one that was written for it; nothing was started (RPM-002).
        InterruptedRunError: INTERRUPTED, the run is being stopped; the agent was not begun, or it was ended.
        ExternalToolError: AGENT_NOT_STARTED.
    """
    refuse_other_prompt(mission, invocation)
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
