"""Proving again, from the refs alone, that a shipped mission is in its release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kitty_flow.flow.mission import OpenMission
from kitty_flow.release.ship.recorded import proved_release
from kitty_flow.release.verify import verify_mission

__all__ = ["ReleaseProof", "verify_release"]


@dataclass(frozen=True)
class ReleaseProof:
    """The tag of a release as it is here: `at` is its commit, None for no tag; `missing` is what it lacks."""

    version: str
    tag: str
    release_commit: str
    at: str | None
    is_recorded_tag: bool
    missing: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether the tag is the one that was made, at the commit that was shipped, with everything that is done."""
        return self.is_recorded_tag and self.at == self.release_commit and not self.missing

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**self.__dict__, "holds": self.holds}


def verify_release(mission: OpenMission) -> ReleaseProof | None:
    """The proof of the mission's release; None when it was not shipped. Changes nothing."""
    release = proved_release(mission)
    if release is None:
        return None
    refs = mission.project.repository.refs
    proofs = verify_mission(mission, release.commit)
    missing = tuple(p.work_package_id for p in proofs if p.head is not None and not p.holds)
    return ReleaseProof(
        release.version,
        release.tag,
        release.commit,
        refs.commit(release.tag_ref),
        refs.read(release.tag_ref) == release.tag_object,
        missing,
    )
