"""The gates of the ship pipeline by name: each answers pass, fail or error; an error blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from kitty_flow.errors import KittyFlowError, RefusedError
from kitty_flow.model.gate import GateResult
from kitty_flow.release.command_gate import answer_of
from kitty_flow.release.gate_answers import closed_gate, open_gate
from kitty_flow.release.ship import preflight_gates
from kitty_flow.release.ship.artifacts import missing_artifacts
from kitty_flow.release.ship.coherence import changelog_entry_present, version_coherent
from kitty_flow.release.ship.commands import scratch
from kitty_flow.release.ship.override import overridden
from kitty_flow.release.ship.sheet import Release

__all__ = ["GATES", "ask_gate", "check_gates"]

ShipGate = Callable[[Release], tuple[GateResult, ...]]


def _one(gate: Callable[[Release], GateResult]) -> ShipGate:
    return lambda release: (gate(release),)


def _release_gates_pass(release: Release) -> tuple[GateResult, ...]:
    if release.release_gates:
        return tuple(release.release_gates)
    if not release.settings.gate:
        return (open_gate("release_gates_pass", "no release gate is configured ([[ship.gate]])"),)
    return (open_gate("release_gates_pass", "all passed on this commit or were overridden, as recorded"),)


def _artifacts_built(release: Release) -> tuple[GateResult, ...]:
    if release.settings.build is None:
        return (open_gate("artifacts_built", "no build is configured ([ship.build])"),)
    lost = missing_artifacts(release)
    if lost or not release.artifacts:
        what = ", ".join(lost) or "nothing was recorded"
        message = f"the artifacts are not there as they were built: {what}"
        again = f"kitty-flow ship {release.mission.slug} --abort, then {release.command}"
        return (closed_gate("artifacts_built", "ARTIFACTS_LOST", message, remediation=again),)
    return (open_gate("artifacts_built", ", ".join(release.artifacts)),)


def _checked(name: str) -> ShipGate:
    def gate(release: Release) -> tuple[GateResult, ...]:
        found = tuple(result for result in release.checks if result.gate == name)
        return found or (open_gate(name, "passed or overridden, as recorded"),)

    return gate


def _command(name: str) -> ShipGate:
    """The gate of a command that the project's own pipeline has; it runs on the release commit."""

    def gate(release: Release) -> tuple[GateResult, ...]:
        command = release.pipeline.commands[name]
        with scratch(release) as workplace:
            done = workplace.run(f"gate-{name}", command.argv, command.timeout_s).outcome
        remedy = f"look at {done.log_path}; then {release.command}"
        return (answer_of(command, done, release.commit, remedy),)

    return gate


GATES: Final[Mapping[str, ShipGate]] = {
    "artifacts_built": _artifacts_built,
    "artifacts_named_by_version": _checked("artifacts_named_by_version"),
    "artifacts_reproducible": _checked("artifacts_reproducible"),
    "artifacts_sound": _checked("artifacts_sound"),
    "changelog_entry_present": changelog_entry_present,
    "config_unchanged": _one(preflight_gates.config_unchanged),
    "landing_holds": _one(preflight_gates.landing_holds),
    "mission_merged": _one(preflight_gates.mission_merged),
    "release_gates_pass": _release_gates_pass,
    "signing_possible": _one(preflight_gates.signing_possible),
    "tag_absent_at_remote": _one(preflight_gates.tag_absent_at_remote),
    "tag_absent_here": _one(preflight_gates.tag_absent_here),
    "tag_at_release_commit": _one(preflight_gates.tag_at_release_commit),
    "version_coherent": version_coherent,
    "version_follows_last_tag": _one(preflight_gates.version_follows_last_tag),
    "version_valid": _one(preflight_gates.version_valid),
}


def ask_gate(name: str, release: Release) -> tuple[GateResult, ...]:
    """One gate's answers, several where it looks at several things; what it raises is an answer too, and closes it."""
    gate = GATES.get(name)
    if name in release.pipeline.commands:
        gate = _command(name)
    if gate is None:
        return (closed_gate(name, "GATE_UNKNOWN", f"shipping has no gate {name!r}", outcome="error"),)
    try:
        return gate(release)
    except (KittyFlowError, OSError, ValueError) as error:
        message = f"the gate {name} could not be checked: {getattr(error, 'message', error)}"
        code = getattr(error, "code", "GATE_ERROR")
        remedy = getattr(error, "hint", None) or "kitty-flow doctor"
        return (closed_gate(name, code, message, outcome="error", remediation=remedy),)


def check_gates(release: Release, names: Sequence[str]) -> None:
    """Ask every named gate and keep the answers; all of them are asked, so that one look shows everything.

    Raises:
        RefusedError: with the code of the first gate that did not pass and every answer in `details`.
    """
    asked = [result for name in names for result in ask_gate(name, release)]
    results = overridden(release, asked)
    release.gates.extend(results)
    refuse_closed(results)


def refuse_closed(results: Sequence[GateResult]) -> None:
    """Refuse when one of the answers is closed.

    Raises:
        RefusedError: with the code of the first one.
    """
    closed = [result for result in results if not result.is_open]
    if not closed:
        return
    details = {"gates": [result.model_dump(exclude_defaults=True) for result in results]}
    for result in closed:
        details |= result.details
    raise RefusedError(
        closed[0].diagnostic_code,
        "; ".join(result.message for result in closed),
        hint=closed[0].remediation or None,
        details=details,
    )
