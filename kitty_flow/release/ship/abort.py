"""Giving up a release while nothing of it is public, and insisting on one that was begun."""

from __future__ import annotations

from kitty_flow.errors import RefusedError, UsageError
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.run import run_lock
from kitty_flow.machines import Facts
from kitty_flow.release.ship.commands import clear_scratch, scratch
from kitty_flow.release.ship.publish import done_steps, probe, steps
from kitty_flow.release.ship.recorded import open_release
from kitty_flow.release.ship.sheet import Release, ShipOptions, record_step
from kitty_flow.release.ship.tag import remove_tag

__all__ = ["abort_release", "refuse_without_release"]


def abort_release(mission: OpenMission, reason: str) -> Release:
    """Close the release that was begun. A tag that it made here is taken away, if nobody else can have seen it.

    Raises:
        UsageError: NO_RELEASE_IN_PROGRESS.
        RefusedError: ALREADY_PUBLIC, something was published or pushed.
        ConflictError: LOCK_TIMEOUT, the release is still running.
        ExternalToolError: the remote or a probe does not say what is public.
    """
    with run_lock(mission):
        release = refuse_without_release(mission)
        public = _public(release)
        if public:
            raise RefusedError(
                "ALREADY_PUBLIC",
                f"{public} is public, and cannot be taken back; the release can only be finished",
                hint=f"kitty-flow ship {mission.slug} --resume",
            )
        remove_tag(release)
        clear_scratch(release)
        record_step(
            release, "abort", evidence={"reason": reason}, facts=Facts(reason=reason, public=False), reason=reason
        )
        return release


def _public(release: Release) -> str:
    """What somebody else can see already; empty for nothing. Asked, not concluded from how far the release came."""
    done = done_steps(release)
    if done:
        return ", ".join(sorted(done))
    if release.tag_object and release.remote_tag() == release.tag_object:
        return f"the tag {release.tag}"
    if release.state != "tagged" or not steps(release):
        return ""
    with scratch(release) as workplace:
        seen = [step.name for step in steps(release) if probe(workplace, step)[0] != "absent"]
    return ", ".join(seen)


def refuse_without_release(mission: OpenMission) -> Release:
    """The release that was begun and not ended.

    Raises:
        UsageError: NO_RELEASE_IN_PROGRESS.
    """
    release = open_release(mission, ShipOptions())
    if release is None:
        raise UsageError(
            "NO_RELEASE_IN_PROGRESS",
            f"no release of {mission.slug} was begun and left unfinished",
            hint=f"kitty-flow ship {mission.slug} --version X --plan",
        )
    return release
