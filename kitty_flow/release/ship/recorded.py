"""The releases that the ledger knows: the one to go on with after an interruption, and the completed one."""

from __future__ import annotations

from typing import Final

from kitty_flow.errors import RefusedError, UsageError
from kitty_flow.flow.mission import OpenMission
from kitty_flow.ledger.ledger import new_ulid
from kitty_flow.ledger.view import EntityState
from kitty_flow.machines import Facts
from kitty_flow.release.ship.sheet import Release, ShipOptions, record_step

__all__ = ["fresh_release", "is_outdated", "open_release", "proved_release", "take_up"]

_EARLY: Final = ("planned", "checked", "built", "verified")
"""Nothing but files of ours came of a release in these states."""


def take_up(mission: OpenMission, version: str | None, options: ShipOptions) -> Release:
    """The interrupted release if it can still go on, otherwise a new one; an outdated one is closed first.

    Raises:
        UsageError: VERSION_MISSING or TARGET_BRANCH_MISSING.
        RefusedError: RELEASE_IN_PROGRESS, another version was begun.
    """
    found = open_release(mission, options)
    if found is None:
        return fresh_release(mission, version, options)
    if version not in (None, found.version):
        raise RefusedError(
            "RELEASE_IN_PROGRESS",
            f"the release of {found.version} was begun and is {found.state}",
            hint=f"kitty-flow ship {mission.slug} --resume"
            + (f", or kitty-flow ship {mission.slug} --abort" if found.state in (*_EARLY, "tagged") else ""),
        )
    if not is_outdated(found):
        return found
    reason = f"{mission.target_branch} moved on from {found.commit[:12]}"
    record_step(found, "abort", evidence={"reason": reason}, facts=Facts(reason=reason, public=False), reason=reason)
    fresh = fresh_release(mission, found.version, options)
    fresh.remarks.append(f"the release that was begun earlier was closed: {reason}")
    return fresh


def fresh_release(mission: OpenMission, version: str | None, options: ShipOptions) -> Release:
    """A release that is yet to be begun, of the target as it is.

    Raises:
        UsageError: VERSION_MISSING or TARGET_BRANCH_MISSING.
    """
    if version is None:
        raise UsageError(
            "VERSION_MISSING",
            f"no release of {mission.slug} was begun, so nothing says which version is meant",
            hint=f"kitty-flow ship {mission.slug} --version X --plan",
        )
    commit = mission.project.repository.refs.commit(mission.target_ref)
    if commit is None:
        raise UsageError(
            "TARGET_BRANCH_MISSING",
            f"the target branch {mission.target_branch!r} does not exist here",
            hint="git fetch, then make that branch here",
        )
    return Release(mission, options, new_ulid(), version, commit)


def open_release(mission: OpenMission, options: ShipOptions) -> Release | None:
    """The release that was begun and not ended, if there is one."""
    found = [e for e in mission.view().of_type("release").values() if e.state not in ("proved", "aborted")]
    return _release(mission, options, found[-1]) if found else None


def proved_release(mission: OpenMission) -> Release | None:
    """The release that was completed, if there is one."""
    found = [e for e in mission.view().of_type("release").values() if e.state == "proved"]
    return _release(mission, ShipOptions(), found[-1]) if found else None


def is_outdated(release: Release) -> bool:
    """Whether the target has moved on before the tag was made, so that the new tip is what has to be released."""
    refs = release.mission.project.repository.refs
    if release.state not in _EARLY or refs.commit(release.mission.target_ref) == release.commit:
        return False
    return not release.tag_object or refs.read(release.tag_ref) != release.tag_object


def _release(mission: OpenMission, options: ShipOptions, entity: EntityState) -> Release:
    """What was recorded; options that were given before still hold."""
    facts = entity.facts
    before = facts.get("options", {})
    merged = ShipOptions(
        options.push or bool(before.get("push")),
        tuple(dict.fromkeys([*before.get("overrides", ()), *options.overrides])),
        options.reason or str(before.get("reason", "")),
    )
    artifacts = facts.get("artifacts")
    return Release(
        mission,
        merged,
        entity.entity_id,
        str(facts["version"]),
        str(facts["release_commit"]),
        entity.state,
        dict(artifacts) if artifacts is not None else None,
        str(facts.get("tag_object", "")),
        str(facts["tag"]),
    )
