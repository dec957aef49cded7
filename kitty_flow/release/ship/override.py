"""A person ships past a closed gate: the same as in a merge, and the project's release gates besides."""

from __future__ import annotations

from collections.abc import Iterable

from kitty_flow.machines.gate_names import GATE_NAMES
from kitty_flow.model.gate import GateResult
from kitty_flow.release import override
from kitty_flow.release.ship.sheet import Release

__all__ = ["check_overrides", "overridden"]


def check_overrides(release: Release) -> None:
    """Refuse an override that names no gate that may be overridden, or gives no reason.

    Raises:
        UsageError: GATE_NOT_OVERRIDABLE or REASON_MISSING.
        DefinitionError: INVALID_DAG, the project's own pipeline is not valid.
    """
    # A release gate that has the name of a gate of the pipeline does not open that one.
    taken = GATE_NAMES["pipeline"] | release.pipeline.commands.keys()
    own = [gate.name for gate in release.settings.gate if gate.name not in taken]
    override.refuse_overrides(release.options, (*override.OVERRIDABLE_IN_SHIP, *own), "ship")


def overridden(release: Release, results: Iterable[GateResult]) -> list[GateResult]:
    """The answers, with those that a person overrides marked so; each override is recorded before it counts."""
    return override.overridden(release.mission, results, release.options, {"release_id": release.id})
