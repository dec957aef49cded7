"""A person lets a mission pass a closed gate: by name, for a reason, on record; in a merge as in a release."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final, Protocol

from kitty_flow.errors import UsageError
from kitty_flow.flow.actor import current_user
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.flow.mission import OpenMission
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import LedgerView
from kitty_flow.model.gate import GateResult

__all__ = ["OVERRIDABLE", "OVERRIDABLE_IN_SHIP", "Asked", "marked", "overridden", "refuse_overrides"]

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

OVERRIDABLE_IN_SHIP: Final = (
    "artifacts_reproducible",
    "artifacts_sound",
    "changelog_entry_present",
    "config_unchanged",
    "version_follows_last_tag",
)
"""Beside the project's own release gates. What says which code a version is (the landing, the places that state the
version, the tag's name) has no exception."""


class Asked(Protocol):
    """What a person asked for: `overrides` are closed gates to pass, all for the same `reason`."""

    @property
    def overrides(self) -> tuple[str, ...]: ...

    @property
    def reason(self) -> str: ...


def refuse_overrides(asked: Asked, known: Collection[str] = OVERRIDABLE, pipeline: str = "merge") -> None:
    """Refuse an override of another gate than the `known` ones, or without a reason.

    Raises:
        UsageError: GATE_NOT_OVERRIDABLE or REASON_MISSING.
    """
    for name in asked.overrides:
        if name not in known:
            raise UsageError(
                "GATE_NOT_OVERRIDABLE",
                f"the gate {name!r} cannot be overridden; these can: {', '.join(known)}",
                hint=f"kitty-flow dags show {pipeline}",
            )
    if asked.overrides and not asked.reason.strip():
        raise UsageError("REASON_MISSING", "an override needs a reason", hint="repeat the command with --reason TEXT")


def marked(results: Iterable[GateResult], asked: Asked, who: str = "you") -> list[GateResult]:
    """The answers, with those that a person overrides marked so."""
    return [
        result.model_copy(update={"overridden_by": who, "override_reason": asked.reason})
        if not result.is_open and result.gate in asked.overrides
        else result
        for result in results
    ]


def overridden(
    mission: OpenMission, results: Iterable[GateResult], asked: Asked, cause: Mapping[str, str]
) -> list[GateResult]:
    """As `marked`; each override is recorded before it counts.

    Args:
        cause: the name and the id of the merge or release that it is for.
    """
    before = list(results)
    found = marked(before, asked, current_user())
    new = [after for was, after in zip(before, found, strict=True) if after is not was]

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=current_user(), correlation_id=next(iter(cause.values())))
        for result in new:
            evidence = {
                "overridden_gate": result.gate,
                "diagnostic_code": result.diagnostic_code,
                "gate_message": result.message[:2000],
                **cause,
            }
            builder.annotate("mission", mission.id, "override_gate", evidence=evidence, reason=asked.reason)
        return builder.build()

    if new:
        mission.ledger.record(build)
    return found
