"""A person ships past a closed gate: by name, for a reason, on record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kitty_flow.errors import UsageError
from kitty_flow.flow.actor import current_user
from kitty_flow.flow.batch import BatchBuilder
from kitty_flow.ledger.ledger import Batch
from kitty_flow.ledger.view import LedgerView
from kitty_flow.machines.gate_names import GATE_NAMES
from kitty_flow.model.gate import GateResult
from kitty_flow.release.ship.sheet import Release

__all__ = ["OVERRIDABLE", "check_overrides", "overridden"]

OVERRIDABLE: Final = (
    "artifacts_reproducible",
    "artifacts_sound",
    "changelog_entry_present",
    "version_follows_last_tag",
)
"""Beside the project's own release gates. What says which code a version is (the landing, the places that state the
version, the tag's name) has no exception."""


def check_overrides(release: Release) -> None:
    """Refuse an override that names no gate that may be overridden, or gives no reason.

    Raises:
        UsageError: GATE_NOT_OVERRIDABLE or REASON_MISSING.
    """
    own = [gate.name for gate in release.settings.gate]
    # A release gate that has the name of a gate of the pipeline does not open that one.
    known = (*OVERRIDABLE, *(name for name in own if name not in GATE_NAMES["pipeline"]))
    for name in release.options.overrides:
        if name not in known:
            raise UsageError(
                "GATE_NOT_OVERRIDABLE",
                f"the gate {name!r} cannot be overridden; these can: {', '.join(known)}",
                hint="kitty-flow dags show ship",
            )
    if release.options.overrides and not release.options.reason.strip():
        raise UsageError("REASON_MISSING", "an override needs a reason", hint="repeat the command with --reason TEXT")


def overridden(release: Release, results: Sequence[GateResult]) -> list[GateResult]:
    """The answers, with those that a person overrides marked so; each override is recorded before it counts."""
    options, who = release.options, current_user()
    found = [
        result.model_copy(update={"overridden_by": who, "override_reason": options.reason})
        if not result.is_open and result.gate in options.overrides
        else result
        for result in results
    ]
    new = [after for before, after in zip(results, found, strict=True) if after is not before]
    if new:
        _record(release, new)
    return found


def _record(release: Release, results: Sequence[GateResult]) -> None:
    mission = release.mission

    def build(view: LedgerView) -> Batch:
        builder = BatchBuilder(view, actor=current_user(), correlation_id=release.id)
        for result in results:
            evidence = {
                "overridden_gate": result.gate,
                "diagnostic_code": result.diagnostic_code,
                "gate_message": result.message[:2000],
                "release_id": release.id,
            }
            builder.annotate("mission", mission.id, "override_gate", evidence=evidence, reason=release.options.reason)
        return builder.build()

    mission.ledger.record(build)
