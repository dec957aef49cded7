"""What is to be known about reports beside the held step: how one is typed, and which are refused.

Refused is a report on a step whose lease ran out, on another one than is held, or without a result; the work is kept.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Literal

from kitty_flow.errors import ConflictError, ExternalToolError, RefusedError
from kitty_flow.flow.expire import EXPIRED
from kitty_flow.flow.invocation import Invocation
from kitty_flow.flow.lease import holder_of
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.workspace import salvage
from kitty_flow.ledger.view import EntityState

__all__ = ["last_role", "refuse_another_step", "refuse_late", "refuse_no_file", "report_command"]


def report_command(mission: OpenMission, agent: str, result_path: str, action: str) -> str:
    """The command that reports a held step, fit for a shell; it goes on in the role of the step."""
    role = " --role review" if action == "review" else ""
    return f"kitty-flow next --agent {shlex.quote(agent)}{role} --result {shlex.quote(result_path)}{mission.option}"


def last_role(mission: OpenMission, agent: str) -> Literal["implement", "review"]:
    """The role of the step that the agent had last: who reports without naming a role goes on in it."""
    own = _invocations(mission, agent).values()
    last = max(own, key=lambda known: known.last_event.lamport, default=None)
    return "review" if last is not None and last.facts.get("action") == "review" else "implement"


def refuse_no_file(result: str, words: tuple[str, ...], hint: str) -> None:
    """Refuse a `result` that is none of the `words` and no file.

    Raises:
        RefusedError: RESULT_MISSING.
    """
    if result in words or os.path.lexists(result):
        return
    wanted = f"neither {', '.join(words)} nor a file that exists" if words else "not a file that exists"
    raise RefusedError("RESULT_MISSING", f"{result!r:.300} is {wanted}", hint=hint, details={"path": result[:4096]})


def refuse_another_step(
    mission: OpenMission,
    agent: str,
    held: Invocation | None,
    result: str,
    *,
    epoch: int | None,
    work_package_id: str | None,
) -> None:
    """Refuse a report that means another step than the one that `agent` holds now.

    Which one it means is told by the folder of the invocation's own result file, else by work package and epoch.

    Raises:
        ConflictError: CLAIM_EXPIRED, it means one whose lease ran out.
        RefusedError: STALE_EPOCH, it means one that the agent does not hold any more.
    """
    named = mission.view().entity("invocation", Path(result).absolute().parent.name)
    if named is None or named.facts.get("agent") != agent:
        is_meant = held is not None and work_package_id in (None, held.work_package_id) and epoch in (None, held.epoch)
        if is_meant or (work_package_id is None and epoch is None):
            return
        wanted = work_package_id or (held.work_package_id if held else None)
        named = None
        for known in _invocations(mission, agent).values():
            facts = known.facts
            if wanted in (None, facts.get("work_package_id")) and epoch in (None, facts.get("epoch")):
                named = known
    if named is not None and (held is None or named.entity_id != held.id):
        _refuse_expired(mission, named)
    if held is not None and (named is None or named.entity_id != held.id):
        raise RefusedError(
            "STALE_EPOCH",
            f"the report is not for {held.work_package_id} with epoch {held.epoch}, which {agent} holds; "
            "nothing was reported",
            hint=f"kitty-flow next --agent {agent}{mission.option}",
            details={"work_package_id": held.work_package_id, "epoch": held.epoch, "invocation_id": held.id},
        )


def refuse_late(mission: OpenMission, agent: str) -> None:
    """Tell an agent that holds nothing that the lease of what it had last ran out.

    Raises:
        ConflictError: CLAIM_EXPIRED.
    """
    own = _invocations(mission, agent)
    if own:
        _refuse_expired(mission, own[max(own)])


def _invocations(mission: OpenMission, agent: str) -> dict[str, EntityState]:
    """All invocations that the agent ever had, by id."""
    known = mission.view().of_type("invocation")
    return {name: entity for name, entity in sorted(known.items()) if entity.facts.get("agent") == agent}


def _refuse_expired(mission: OpenMission, invocation: EntityState) -> None:
    facts = invocation.facts
    if invocation.state != "abandoned" or facts.get("code") != EXPIRED:
        return
    name, agent = str(facts.get("work_package_id")), str(facts.get("agent"))
    worktree = facts.get("retired_worktree")
    ref = _kept(mission, invocation) or facts.get("salvage_ref")
    now = mission.recorded_work_package(name)
    is_held = now.state in ("claimed", "in_progress", "in_review")
    where = f"; what is in {worktree} is kept under {ref}" if ref else "; nothing unsaved was found"
    raise ConflictError(
        "CLAIM_EXPIRED",
        f"the lease of {agent} on {name} ran out, so that it was taken back and nothing is recorded for it any more: "
        f"{name} is {now.state}{f', held by {holder_of(now)}' if is_held else ''}{where}",
        hint=f"kitty-flow next --agent {agent}{mission.option}",
        details={
            "work_package_id": name,
            "invocation_id": invocation.entity_id,
            "epoch": facts.get("epoch"),
            "current_epoch": now.epoch,
            "state": now.state,
            "holder": holder_of(now) if is_held else None,
            "worktree": worktree,
            "salvage_ref": ref,
        },
    )


def _kept(mission: OpenMission, invocation: EntityState) -> str | None:
    """Keep what came into the retired worktree since its lease ran out; the salvage ref, None when nothing did."""
    name, worktree = str(invocation.facts.get("work_package_id")), invocation.facts.get("retired_worktree")
    checkout = mission.project.worktrees.at(Path(str(worktree))) if worktree else None
    if checkout is None:
        return None
    label = f"late-{invocation.entity_id}"
    try:
        return salvage(mission, checkout, work_package_id=name, label=label, held_by="")
    except ExternalToolError:
        return None
