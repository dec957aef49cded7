"""What is asked of artifacts before anybody gets them: the right name and version, sound metadata, the same bytes."""

from __future__ import annotations

import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from kitty_flow.agents.command import AgentSpec
from kitty_flow.errors import KittyFlowError
from kitty_flow.flow.project_command import run_command
from kitty_flow.model.gate import GateResult
from kitty_flow.release.gate_answers import closed_gate, open_gate
from kitty_flow.release.ship.artifacts import artifact_paths, build, built_metadata
from kitty_flow.release.ship.commands import scratch
from kitty_flow.release.ship.order import canonical
from kitty_flow.release.ship.sheet import Release
from kitty_flow.release.tested_tree import digest_of

__all__ = ["check_artifacts"]

_NAMED = "artifacts_named_by_version"
_SOUND = "artifacts_sound"
_SAME = "artifacts_reproducible"


def check_artifacts(release: Release) -> list[GateResult]:
    """The answers of the gates about artifacts that the pipeline has; one that cannot tell is closed with an error."""
    results = []
    wanted = {name for edge in release.pipeline.edges for name in edge.gates}
    for name, check in ((_NAMED, _named_by_version), (_SOUND, _sound), (_SAME, _reproducible)):
        if name not in wanted:
            continue
        try:
            results.append(check(release))
        except (KittyFlowError, OSError) as error:
            code = getattr(error, "code", "GATE_ERROR")
            message = f"{name} could not be checked: {getattr(error, 'message', error)}"
            remedy = getattr(error, "hint", None) or release.command
            results.append(closed_gate(name, code, message, outcome="error", remediation=remedy))
    return results


def _named_by_version(release: Release) -> GateResult:
    """Wheels and sdists state the version that is shipped, and one name among them."""
    found = {path.name: meta for path in artifact_paths(release) if (meta := built_metadata(path)) is not None}
    if not found:
        return open_gate(_NAMED, "no artifact is a wheel or an sdist, so there is no metadata to compare")
    wrong = [
        n for n, meta in found.items() if canonical(meta.version, "pep440") != canonical(release.version, "pep440")
    ]
    names = {re.sub(r"[-_.]+", "-", meta.name).lower() for meta in found.values()}
    if not wrong and len(names) == 1:
        return open_gate(_NAMED, f"{', '.join(found)}: {next(iter(names))} {release.version}")
    code, subject = "ARTIFACT_NAMES_DIFFER", next(iter(found))
    message = f"the artifacts are of different projects: {', '.join(sorted(names))}"
    if wrong:
        code, subject = "ARTIFACT_VERSION_DIFFERS", wrong[0]
        message = "; ".join(f"{n} says {found[n].version!r}, not {release.version!r}" for n in wrong)
    return closed_gate(
        _NAMED,
        code,
        message,
        subject=subject,
        invariant="what is built is what is shipped",
        remediation=release.command,
    )


def _sound(release: Release) -> GateResult:
    """`twine check --strict` has nothing to say about wheels and sdists."""
    paths = [path for path in artifact_paths(release) if built_metadata(path) is not None]
    if not paths:
        return open_gate(_SOUND, "no artifact is a wheel or an sdist, so twine has nothing to check")
    twine = _twine()
    if twine is None:
        return closed_gate(
            _SOUND,
            "TWINE_MISSING",
            "twine is not installed, so nobody can say whether the artifacts are sound",
            outcome="error",
            remediation=f"{sys.executable} -m pip install 'kitty-flow[ship]', then {release.command}",
        )
    log = release.folder / "logs" / "twine.log"
    log.unlink(missing_ok=True)
    spec = AgentSpec("twine", (*twine, "check", "--strict", *map(str, paths)), 300.0, 0.0)
    done = run_command(spec, release.folder, log, None)
    if done.reason == "exited" and done.exit_code == 0:
        return open_gate(_SOUND, f"twine check --strict passes {len(paths)} file(s)")
    last = [line.strip() for line in done.tail.splitlines() if line.strip()][-1:]
    return closed_gate(
        _SOUND,
        "ARTIFACT_UNSOUND",
        f"twine check --strict says no: {' '.join(last)}",
        subject=paths[0].name,
        invariant="what is published can be read by an index",
        remediation=f"look at {log}; then {release.command}",
    )


def _twine() -> tuple[str, ...] | None:
    if find_spec("twine") is not None:
        return (sys.executable, "-m", "twine")
    found = shutil.which("twine")
    return (str(Path(found).absolute()),) if found else None


def _reproducible(release: Release) -> GateResult:
    """A second build in another worktree gives the same bytes, where the settings ask for that."""
    settings = release.settings.build
    if settings is None or not settings.reproducible:
        return open_gate(_SAME, "a second build is not asked for (reproducible under [ship.build])")
    with scratch(release, "ship-again") as workplace:
        _, made = build(workplace, settings, "build-again")
        again = {name: digest_of(path) for name, path in made.items()}
    recorded = release.artifacts or {}
    differing = sorted(name for name in {*again, *recorded} if again.get(name) != recorded.get(name))
    if not differing:
        return open_gate(_SAME, "a second build gave the same bytes")
    return closed_gate(
        _SAME,
        "BUILD_NOT_REPRODUCIBLE",
        f"a second build of the same commit gave other bytes: {', '.join(differing)}",
        subject=differing[0],
        invariant="anybody can build what is published",
        remediation="let the build take its times from SOURCE_DATE_EPOCH, or set reproducible = false",
    )
