"""A person lets a mission pass a closed gate: by name, for a reason, on record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kitty_flow.errors import UsageError
from kitty_flow.flow.actor import current_user
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import LedgerView
from kitty_flow.model.gate import GateResult
from kitty_flow.release.landing import Landing, MergeOptions

__all__ = ["OVERRIDABLE", "check_overrides", "overridden"]

OVERRIDABLE: Final = (
    "approved_heads_reviewed",
    "config_unchanged",
    "no_secrets",
    "owned_files_respected",
    "reviewers_are_not_implementers",
    "target_in_sync",
    "verdicts_consistent",
    "worktrees_clean",
)
"""Gates about how the work came about. What keeps a landing exact (the ledger, the branches, the checkouts, the merge,
the tests) has no exception: without it nobody could say what landed."""


def check_overrides(options: MergeOptions) -> None:
    """Refuse an override that names no gate that may be overridden, or gives no reason.

    Raises:
        UsageError: GATE_NOT_OVERRIDABLE or REASON_MISSING.
    """
    for name in options.overrides:
        if name not in OVERRIDABLE:
            raise UsageError(
                "GATE_NOT_OVERRIDABLE",
                f"the gate {name!r} cannot be overridden; these can: {', '.join(OVERRIDABLE)}",
                hint="kitty-flow dags show merge",
            )
    if options.overrides and not options.reason.strip():
        raise UsageError("REASON_MISSING", "an override needs a reason", hint="repeat the command with --reason TEXT")


def overridden(landing: Landing, results: Sequence[GateResult]) -> list[GateResult]:
    """The answers, with those that a person overrides marked so; each override is recorded before it counts."""
    options, who = landing.options, current_user()
    found = [
        result.model_copy(update={"overridden_by": who, "override_reason": options.reason})
        if not result.is_open and result.gate in options.overrides
        else result
        for result in results
    ]
    new = [result for result in found if result.overridden_by]
    if new:
        _record(landing, new)
    return found


def _record(landing: Landing, results: Sequence[GateResult]) -> None:
    mission = landing.mission

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=current_user(), correlation_id=landing.id)
        for result in results:
            evidence = {
                "overridden_gate": result.gate,
                "diagnostic_code": result.diagnostic_code,
                "gate_message": result.message[:2000],
                "merge_id": landing.id,
            }
            builder.annotate("mission", mission.id, "override_gate", evidence=evidence, reason=landing.options.reason)
        return builder.build()

    mission.ledger.record(build)
