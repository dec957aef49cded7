"""Publish steps: each is asked for by its probe before and after it is taken, and none is taken twice.

Intent, command, probe, done: the intent is in the ledger before the command runs, so that a release which was killed
knows that something may be there already, and gives the probe time to see it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from kitty_flow.agents.settings_ship import PublishSettings
from kitty_flow.errors import ExternalToolError, RefusedError
from kitty_flow.release.ship.artifacts import missing_artifacts
from kitty_flow.release.ship.commands import Ran, Workplace
from kitty_flow.release.ship.sheet import Release, note

__all__ = ["ANSWERS", "Found", "Step", "done_steps", "probe", "publish", "steps"]

Found = Literal["present", "absent", "different"]
ANSWERS: Final[tuple[Found, ...]] = ("present", "absent", "different")
"""What a probe prints on a line of its own: there with this content, not there, there with another content."""

_PAUSE_S: Final = 1.0
_BEGIN: Final = "begin_publish"
_CONFIRM: Final = "confirm_publish"


@dataclass(frozen=True)
class Step:
    """One thing to make public: a configured step, for one artifact where its command names ``{artifact}``."""

    settings: PublishSettings
    artifact: str = ""
    sha256: str = ""

    @property
    def name(self) -> str:
        """How the step is told and recorded."""
        return f"{self.settings.name}/{self.artifact}" if self.artifact else self.settings.name

    @property
    def is_open(self) -> bool:
        """Whether it is for an artifact that is yet to be built."""
        return not self.artifact and _is_for_each(self.settings)


def steps(release: Release) -> tuple[Step, ...]:
    """All steps in their order."""
    return tuple(_steps(release))


def _steps(release: Release) -> Iterator[Step]:
    for settings in release.settings.publish:
        if _is_for_each(settings) and release.artifacts is not None:
            yield from (Step(settings, name, digest) for name, digest in sorted(release.artifacts.items()))
        else:
            yield Step(settings)


def _is_for_each(settings: PublishSettings) -> bool:
    return any("{artifact}" in word for word in settings.command)


def done_steps(release: Release) -> frozenset[str]:
    """The steps that the ledger knows to be done."""
    return _noted(release, _CONFIRM)


def _noted(release: Release, name: str) -> frozenset[str]:
    events = release.mission.ledger.events()
    return frozenset(str(e.evidence["step"]) for e in events if e.entity_id == release.id and e.trigger == name)


def probe(workplace: Workplace, step: Step) -> tuple[Found, Ran]:
    """Ask whether what the step makes public is there.

    Raises:
        ExternalToolError: PROBE_FAILED, it did not say; SHIP_COMMAND_MISSING.
    """
    ran = workplace.run(f"probe-{step.name}", step.settings.probe, step.settings.timeout_s, _words(workplace, step))
    said = [line.strip() for line in ran.outcome.tail.splitlines() if line.strip() in ANSWERS]
    if ran.passed and len(said) == 1:
        return next(answer for answer in ANSWERS if answer == said[0]), ran
    raise ExternalToolError(
        "PROBE_FAILED",
        f"the probe of {step.name} did not say whether it is there ({ran.how}); a probe ends with status 0 and prints "
        f"{', '.join(ANSWERS[:-1])} or {ANSWERS[-1]} on a line",
        hint=f"look at {ran.outcome.log_path}; then {workplace.release.command}",
        details={"step": step.name, "output": ran.outcome.tail},
    )


def publish(workplace: Workplace) -> list[str]:
    """Take every step that is not done yet; returns the names of all.

    Raises:
        RefusedError: PUBLISHED_DIFFERS, something else is there; PUBLISH_FAILED; ARTIFACTS_LOST.
        ExternalToolError: PROBE_FAILED or SHIP_COMMAND_MISSING.
    """
    release = workplace.release
    done, begun = done_steps(release), _noted(release, _BEGIN)
    for step in steps(release):
        if step.name not in done:
            _take(workplace, step, is_begun=step.name in begun)
    return [step.name for step in steps(release)]


def _take(workplace: Workplace, step: Step, *, is_begun: bool) -> None:
    release = workplace.release
    found, ran = _settled(workplace, step) if is_begun else probe(workplace, step)
    if found == "absent":
        _refuse_without_artifacts(release)
        if not is_begun:
            note(release, _BEGIN, {"step": step.name, "sha256": step.sha256})
        settings = step.settings
        command = workplace.run(f"publish-{step.name}", settings.command, settings.timeout_s, _words(workplace, step))
        found, ran = _settled(workplace, step) if command.passed else probe(workplace, step)
        if found == "absent":
            raise RefusedError(
                "PUBLISH_FAILED",
                f"{step.name} ended with {command.how}, and its probe says that nothing is there",
                hint=f"look at {command.outcome.log_path}; then {release.command}",
                details={"step": step.name, "output": command.outcome.tail},
            )
        ran = command if found == "present" else ran
    if found == "different":
        raise RefusedError(
            "PUBLISHED_DIFFERS",
            f"{step.name}: something else than what was built is there under the same name",
            hint=f"look at {ran.outcome.log_path}; what is public stays, so ship another version",
            details={"step": step.name},
        )
    note(release, _CONFIRM, {"step": step.name, "sha256": step.sha256, **ran.as_data()})


def _settled(workplace: Workplace, step: Step) -> tuple[Found, Ran]:
    """The probe's answer, with patience for a service that shows a thing some time after it has taken it."""
    deadline = time.monotonic() + step.settings.settle_s
    found, ran = probe(workplace, step)
    while found == "absent" and time.monotonic() < deadline:
        time.sleep(min(_PAUSE_S, max(0.0, deadline - time.monotonic())))
        found, ran = probe(workplace, step)
    return found, ran


def _words(workplace: Workplace, step: Step) -> dict[str, str]:
    folder = workplace.release.folder / "artifacts"
    return (
        {"artifact": str(folder / step.artifact), "file": step.artifact, "sha256": step.sha256} if step.artifact else {}
    )


def _refuse_without_artifacts(release: Release) -> None:
    lost = missing_artifacts(release)
    if lost:
        raise RefusedError(
            "ARTIFACTS_LOST",
            f"{', '.join(lost)} is not in {release.folder} any more, or not as it was built",
            hint=f"put it back, or kitty-flow ship {release.mission.slug} --abort and ship again",
            details={"artifacts": dict(release.artifacts or {})},
        )
