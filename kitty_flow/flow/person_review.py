"""A person's review: it looks at the commits, takes no worktree, and its verdict is bound to the head shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from kitty_flow.agents.command import AgentSpec
from kitty_flow.errors import ConflictError, RefusedError, UsageError
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.claim import Claim, refuse_unless_open
from kitty_flow.flow.integrate import integrate, refuse_without_head
from kitty_flow.flow.invocation import Invocation
from kitty_flow.flow.life import accept_if_finished
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.outcome import AttemptFailure
from kitty_flow.flow.readiness import is_noted_integrated, is_under_review
from kitty_flow.flow.review import apply_verdict, review_invocation
from kitty_flow.flow.verdict import collect_begin, record_verdict, refuse_other_state, refuse_taken
from kitty_flow.flow.workspace import describe, workspace_of
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import EntityState, LedgerView
from kitty_flow.model.result import Finding, ReviewResult
from kitty_flow.model.text import is_same_actor

__all__ = ["Shown", "judge", "parse_finding", "show_for_review"]

_COMMIT: Final = re.compile(r"[0-9a-f]{7,64}")
_FINDING: Final = re.compile(r"(?P<path>[^:\n]+):(?P<line>[1-9][0-9]{0,8}):(?P<text>.*\S.*)", re.DOTALL)


class Shown(NamedTuple):
    """What a person is to look at: full commit ids, the prompt with the task, and what the last review has seen."""

    work_package_id: str
    invocation_id: str
    base: str
    head: str
    prompt_path: Path
    seen: str | None

    def commands(self) -> tuple[str, ...]:
        """What shows it by hand; all names are full commit ids (RPM-003)."""
        span = f"{self.base}..{self.head}"
        delta = (f"git diff {self.seen} {self.head}",) if self.seen else ()
        return (f"git log --oneline {span}", f"git diff {self.base}...{self.head}", *delta)


def show_for_review(mission: OpenMission, work_package_id: str, *, actor: str) -> Shown:
    """Begin a review for a person, or show again what it has begun.

    Raises:
        RefusedError: NOTHING_TO_REVIEW, it is not handed in; SELF_REVIEW, HEAD_UNKNOWN or MISSION_NOT_RUNNING.
        ConflictError: ALREADY_UNDER_REVIEW by somebody else; STATE_CHANGED.
    """
    view = mission.view()
    entity = mission.work_package(work_package_id, view)
    invocation = _own(mission, entity, view, actor)
    if invocation is None:
        _refuse_not_handed_in(mission, entity)
        invocation = _begun(mission, entity, actor)
    last = entity.facts.get("last_review") or {}
    head = str(entity.facts["head_commit"])
    seen = last.get("head") if last.get("head") != head else None
    base = str(entity.facts["base_commit"])
    return Shown(work_package_id, invocation.id, base, head, invocation.prompt_path, seen)


def _refuse_not_handed_in(mission: OpenMission, entity: EntityState) -> None:
    if entity.state not in ("for_review", "in_review"):
        name, option = entity.entity_id, mission.option
        is_approved = entity.state == "approved"
        raise RefusedError(
            "NOTHING_TO_REVIEW",
            f"{name} is {entity.state}: nothing is handed in for review",
            hint=f"kitty-flow wp reopen {name} --reason TEXT{option}"
            if is_approved
            else f"kitty-flow why {name}{option}",
        )


def _begun(mission: OpenMission, entity: EntityState, actor: str) -> Invocation:
    invocation = review_invocation(mission, entity, AgentSpec(actor, ()))
    head = invocation.workspace.start

    def build(view: LedgerView) -> Batch:
        now = mission.work_package(entity.entity_id, view)
        refuse_unless_open(mission, view)
        refuse_other_state(mission, now)
        refuse_taken(mission, now, head, view, needs_worktree=False)
        builder = BatchBuilder(view, actor=actor)
        collect_begin(builder, mission, now, invocation, "none", is_shown=True)
        return builder.build()

    with invocation.unless_refused():
        mission.ledger.record(build)
    return invocation


def judge(
    mission: OpenMission,
    work_package_id: str,
    verdict: Literal["approved", "changes_requested"],
    *,
    actor: str,
    summary: str,
    findings: Sequence[Finding] = (),
    commit: str | None = None,
) -> AttemptFailure | None:
    """Record a person's verdict on the head that was shown to it, or on `commit`; without either, on the head of now.

    A review that was not begun begins in the same batch. The verdict that was given last is not given twice: a command
    that was killed before it could tell is typed again.

    Returns:
        Why the work package is blocked now, if it was sent back too often.

    Raises:
        UsageError: INVALID_COMMIT.
        ConflictError: HEAD_MOVED; ALREADY_UNDER_REVIEW; STATE_CHANGED.
        RefusedError: NOTHING_TO_REVIEW, SELF_REVIEW, FEEDBACK_MISSING, MISSION_NOT_RUNNING, or as `integrate`.
    """
    view = mission.view()
    entity = mission.work_package(work_package_id, view)
    if not _is_repeated(entity, verdict, actor, summary):
        _refuse_not_handed_in(mission, entity)
        refuse_without_head(mission, entity)
        own = _own(mission, entity, view, actor)
        _refuse_moved(mission, entity, actor, commit)
        head = str(entity.facts["head_commit"])
        result = ReviewResult(verdict=verdict, reviewed_commit=head, summary=summary, findings=tuple(findings))
        if own is not None and entity.facts.get("review_place") != "none":
            blocked = apply_verdict(mission, own, result)
        elif own is not None:
            blocked = record_verdict(mission, own, result)
        else:
            refuse_unless_open(mission, view)
            refuse_taken(mission, entity, head, view, needs_worktree=False)
            invocation = review_invocation(mission, entity, AgentSpec(actor, ()))
            blocked = record_verdict(mission, invocation, result, begin=True)
        accept_if_finished(mission, run_id=None)
        return blocked
    if verdict == "approved" and not is_noted_integrated(entity):
        integrate(mission, work_package_id)
    accept_if_finished(mission, run_id=None)
    return None


def _own(mission: OpenMission, entity: EntityState, view: LedgerView, actor: str) -> Invocation | None:
    """The review that this person, or an agent of the same name, has begun and not ended."""
    if not is_under_review(entity, view) or not is_same_actor(str(entity.facts.get("reviewer")), actor):
        return None
    name = entity.entity_id
    known = view.entity("invocation", str(entity.facts.get("review_invocation_id")))
    assert known is not None  # `is_under_review` has seen it
    lane = mission.plan.placements[name].execution_lane
    head = str(entity.facts.get("head_commit"))
    workspace = describe(mission, lane, head, work_package_id=name, epoch=entity.epoch)
    if entity.facts.get("review_place") != "none":
        workspace = workspace_of(mission, name) or workspace
    folder = Path(str(known.facts.get("prompt_path", ""))).parent
    agent = AgentSpec(str(entity.facts.get("reviewer")), ())
    claim = replace(Claim.on(entity), epoch=int(known.facts.get("epoch", entity.epoch)), review=known.entity_id)
    base = str(entity.facts.get("base_commit", ""))
    return Invocation(known.entity_id, "review", agent, claim, workspace, base, folder)


def _refuse_moved(mission: OpenMission, entity: EntityState, actor: str, commit: str | None) -> None:
    """The verdict is on what was looked at, and on nothing that came after it."""
    if commit is not None and _COMMIT.fullmatch(commit.lower()) is None:
        raise UsageError(
            "INVALID_COMMIT",
            f"{commit[:80]!r} is no commit id of at least 7 hexadecimal digits",
            hint=f"kitty-flow wp show {entity.entity_id}, for its head",
        )
    head = str(entity.facts["head_commit"])
    shown = entity.facts.get("shown_heads") or {}
    seen = next((commit for name, commit in shown.items() if is_same_actor(name, actor)), None)
    wanted = commit.lower() if commit is not None else seen
    if wanted is None or head.startswith(wanted):
        return
    raise ConflictError(
        "HEAD_MOVED",
        f"{entity.entity_id} is at {head[:12]} by now, and {wanted[:12]} was looked at",
        hint=f"kitty-flow wp review {entity.entity_id} --mission {mission.slug}",
        details={"expected": wanted, "head_commit": head},
    )


def _is_repeated(entity: EntityState, verdict: str, actor: str, summary: str) -> bool:
    """Whether exactly this verdict is what the work package has got last."""
    facts, last = entity.facts, entity.last_event
    if not is_same_actor(str(facts.get("reviewer", "")), actor) or facts.get("verdict") != verdict:
        return False
    if verdict == "approved":
        return entity.state == "approved" and facts.get("reviewed_commit") == facts.get("head_commit")
    feedback: Any = facts.get("feedback") or {}
    is_last = last.trigger in ("request_changes", "block") and last.actor == actor
    return is_last and entity.state in ("planned", "blocked") and feedback.get("summary") == summary[:4000]


def parse_finding(text: str) -> Finding:
    """A finding as it is typed: ``PATH:LINE:TEXT``.

    Raises:
        UsageError: INVALID_FINDING.
    """
    found = _FINDING.fullmatch(text)
    if found is None:
        raise UsageError(
            "INVALID_FINDING",
            f"{text[:120]!r} is not of the form PATH:LINE:TEXT",
            hint="--finding 'src/parser.py:12:refuse an empty name'; what has no place goes into -m",
        )
    return Finding(path=found["path"], line=int(found["line"]), message=found["text"].strip())
