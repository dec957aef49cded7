"""Closing an invocation as a person or an agent names it: by a beginning of its id, and only where that is its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kitty_flow.flow.project import Project
from kitty_flow.invocation.listing import find_record
from kitty_flow.invocation.runtime import complete
from kitty_flow.ledger.op_log import OPS_REF

if TYPE_CHECKING:
    from kitty_flow.invocation.record import InvocationRecord, Outcome

__all__ = ["close"]


def close(
    project: Project,
    named: str,
    outcome: Outcome,
    *,
    summary: str | None = None,
    evidence: Path | None = None,
    artifacts: Sequence[str] = (),
    commits: Sequence[str] = (),
    actor: str | None = None,
) -> InvocationRecord:
    """Close the invocation whose id begins with `named`.

    Raises:
        RefusedError: INVOCATION_OF_MISSION, with the command that ends a step of a mission; as `complete`.
        UsageError: INVOCATION_AMBIGUOUS or INVALID_INVOCATION_ID; as `complete`.
        ConflictError, LedgerError: as `complete`.
    """
    record = find_record(project, named)
    if record.log != OPS_REF:
        from kitty_flow.invocation.mission_steps import refuse_mission_step

        refuse_mission_step(project, record, outcome)
    return complete(
        project,
        record.invocation_id,
        outcome,
        summary=summary,
        evidence=evidence,
        artifacts=artifacts,
        commits=commits,
        actor=actor,
    )
