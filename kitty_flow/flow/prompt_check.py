"""The check of a prompt immediately before it is used (seed contract review-prompt-metadata, RPM-001 and RPM-002).

The file is read again and compared with what the ledger and the repository say, never with what was in memory when it
was written: what lies between may be another process, another repository, or a hand that edited it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kitty_flow.agents.prompt import IDENTITY_FIELDS, identity_mismatches, prompt_identity
from kitty_flow.errors import RefusedError
from kitty_flow.flow.mission import OpenMission
from kitty_flow.ledger.view import EntityState

if TYPE_CHECKING:
    from kitty_flow.flow.invocation import Invocation

__all__ = ["refuse_other_prompt"]

_MAX_BYTES: Final = 16 * 1024 * 1024
_RULES: Final = {
    "MISSING": "RPM-002: a prompt whose identity cannot be read starts nothing",
    "MISMATCH": "RPM-001: a prompt names the repository, mission, work package, worktree and invocation it is for",
}


def refuse_other_prompt(mission: OpenMission, invocation: Invocation) -> None:
    """Refuse an invocation whose prompt file is not the one that the ledger has for it, whole and unchanged.

    Raises:
        RefusedError: REVIEW_PROMPT_METADATA_MISMATCH or REVIEW_PROMPT_METADATA_MISSING (without REVIEW_ for an
            implementer's prompt), with `requested_context`, `prompt_context` and `prompt_path` in the details.
    """
    view = mission.view()
    known = view.entity("invocation", invocation.id)
    entity = mission.recorded_work_package(invocation.work_package_id, view)
    wanted = _canonical(mission, invocation, known, entity)
    try:
        data = _read(invocation.prompt_path)
        found = prompt_identity(data.decode("utf-8", "surrogateescape"))
    except (OSError, RefusedError) as error:
        raise _refusal(mission, invocation, "MISSING", wanted, None, [], str(error)) from error
    if known is not None and "created_at" not in known.facts:  # begun by a version that did not record it
        wanted["created_at"] = found.get("created_at", "")
    differing = list(identity_mismatches(wanted, found))
    if known is not None and known.facts.get("prompt_digest") not in (None, hashlib.sha256(data).hexdigest()):
        differing.append("content")
    if known is None or known.state != "started" or not _is_current(invocation, entity):
        differing.append("invocation_state")
    if differing:
        raise _refusal(mission, invocation, "MISMATCH", wanted, found, differing, ", ".join(differing))


def _canonical(
    mission: OpenMission, invocation: Invocation, known: EntityState | None, entity: EntityState
) -> dict[str, str]:
    """The identity as the ledger and the repository have it now."""
    facts = known.facts if known is not None else {}
    values = (
        known.entity_id if known is not None else invocation.id,
        str(mission.project.root),
        mission.id,
        mission.slug,
        str(facts.get("work_package_id", invocation.work_package_id)),
        str(invocation.workspace.checkout.path),
        mission.branch,
        invocation.workspace.branch,
        str(entity.facts.get("base_commit", "")),
        str(facts.get("prompt_path", invocation.prompt_path)),
        str(facts.get("created_at", "")),
    )
    return dict(zip(IDENTITY_FIELDS, values, strict=True))


def _is_current(invocation: Invocation, entity: EntityState) -> bool:
    """Whether the ledger says that this invocation works on, or reviews, the work package now."""
    state, name = ("in_progress", "invocation_id")
    if invocation.action == "review":
        state, name = ("in_review", "review_invocation_id")
    return entity.state == state and entity.facts.get(name) == invocation.id and entity.epoch == invocation.epoch


def _read(path: Path) -> bytes:
    """The bytes of a regular file that is no link; a pipe put there cannot make us wait."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("it is not a regular file")
        return stream.read(_MAX_BYTES)


def _refusal(
    mission: OpenMission,
    invocation: Invocation,
    kind: str,
    wanted: dict[str, str],
    found: dict[str, str] | None,
    differing: list[str],
    why: str,
) -> RefusedError:
    is_review = invocation.action == "review"
    code = f"{'REVIEW_' if is_review else ''}PROMPT_METADATA_{kind}"
    name, option = invocation.work_package_id, mission.option
    remedy = f"kitty-flow next --agent NAME --role review{option}, which writes a new prompt"
    if not is_review:
        remedy = f"kitty-flow wp release {name} --reason TEXT{option}; the next attempt gets a new prompt"
    what = "cannot be trusted" if kind == "MISSING" else "is not the one that was written for it"
    details: dict[str, Any] = {
        "diagnostic_code": code,
        "violated_invariant": _RULES[kind],
        "requested_context": wanted,
        "prompt_context": found,
        "prompt_path": str(invocation.prompt_path),
        "mismatches": differing,
        "remediation": remedy,
    }
    message = f"the prompt of {name} {what} ({why[:300]}); nothing was started"
    return RefusedError(code, message, hint=remedy, details=details)
