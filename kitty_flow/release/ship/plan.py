"""The release before it happens: the real gates, and what every probe says now; nothing is recorded or made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from kitty_flow.errors import KittyFlowError
from kitty_flow.flow.mission import OpenMission
from kitty_flow.machines import step_order
from kitty_flow.model.gate import GateResult
from kitty_flow.release.override import marked
from kitty_flow.release.ship.commands import Workplace, scratch
from kitty_flow.release.ship.gates import ask_gate
from kitty_flow.release.ship.override import check_overrides
from kitty_flow.release.ship.publish import Step, done_steps, probe, steps
from kitty_flow.release.ship.recorded import fresh_release, is_outdated, open_release
from kitty_flow.release.ship.sheet import Release, ShipOptions

__all__ = ["PlannedStep", "ShipPlan", "plan_release"]

_TELLS_NOW: Final = "plan"
"""The gates before this step can answer now; those after it are about what a release makes."""


@dataclass(frozen=True)
class PlannedStep:
    """A command that would run, and for publish steps what the probe says: present, absent, different, or why not."""

    kind: str
    name: str
    command: tuple[str, ...]
    says: str = ""


@dataclass(frozen=True)
class ShipPlan:
    """What a release would do now. `begun_state` is how far one that was interrupted has come."""

    version: str
    tag: str
    release_commit: str
    begun_state: str | None
    gates: tuple[GateResult, ...]
    later: tuple[str, ...]
    steps: tuple[PlannedStep, ...]
    remote: str | None
    proposed_changelog_block: str | None

    @property
    def closed(self) -> tuple[GateResult, ...]:
        """The gates that would stop the release."""
        return tuple(gate for gate in self.gates if not gate.is_open)

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            **self.__dict__,
            "gates": [gate.model_dump(exclude_defaults=True) for gate in self.gates],
            "steps": [dict(step.__dict__) for step in self.steps],
            "would_ship": not self.closed,
        }


def plan_release(mission: OpenMission, version: str | None, options: ShipOptions) -> ShipPlan:
    """Ask every gate that can answer now, and every probe. A scratch worktree comes and goes for the probes.

    Raises:
        UsageError: VERSION_MISSING, TARGET_BRANCH_MISSING, GATE_NOT_OVERRIDABLE or REASON_MISSING.
        ConflictError: LOCK_TIMEOUT, another plan is being made.
    """
    release = open_release(mission, options)
    if release is None or version not in (None, release.version) or is_outdated(release):
        release = fresh_release(mission, version or (release.version if release else None), options)
    check_overrides(release)
    pipeline = release.pipeline
    order = step_order(pipeline)
    at = order.index(_TELLS_NOW) + 1
    now = dict.fromkeys(name for step in order[:at] for name in pipeline.gates_before(step))
    for command in pipeline.commands:
        now.pop(command, None)  # a look runs no command of the project but the probes
    later = dict.fromkeys(name for step in order for name in pipeline.gates_before(step) if name not in now)
    gates = tuple(marked((answer for name in now for answer in ask_gate(name, release)), options))
    proposed = next((gate.details.get("proposed_changelog_block") for gate in gates if gate.details), None)
    return ShipPlan(
        release.version,
        release.tag,
        release.commit,
        release.state,
        gates,
        tuple(later),
        tuple(_planned(release)),
        release.remote_name,
        proposed,
    )


def _planned(release: Release) -> list[PlannedStep]:
    settings = release.settings
    found = [PlannedStep("gate", gate.name, gate.command) for gate in settings.gate]
    if settings.build is not None:
        found.append(PlannedStep("build", settings.build.artifacts, settings.build.command))
    if not settings.publish:
        return found
    done = done_steps(release) if release.state else frozenset()
    with scratch(release, "ship-plan") as workplace:
        for step in steps(release):
            says = "done" if step.name in done else _says(workplace, step)
            found.append(PlannedStep("publish", step.name, step.settings.command, says))
    return found


def _says(workplace: Workplace, step: Step) -> str:
    if step.is_open:
        return "asked once the artifacts are built"
    try:
        return probe(workplace, step)[0]
    except KittyFlowError as error:
        return f"{error.code}: {error.message}"
