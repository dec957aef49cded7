"""Giving up a landing before it has moved the target, and insisting on one that was begun."""

from __future__ import annotations

from kitty_flow.errors import RefusedError, UsageError
from kitty_flow.flow.mission import OpenMission
from kitty_flow.flow.run import run_lock
from kitty_flow.machines import Facts
from kitty_flow.release.landing import Landing, MergeOptions, record_step
from kitty_flow.release.recorded import open_landing

__all__ = ["abort_merge", "refuse_without_landing"]


def abort_merge(mission: OpenMission, reason: str) -> Landing:
    """Close the landing that was begun; the target, the mission and every checkout are as they were before it.

    The user's own unfinished merges are none of its business.

    Raises:
        UsageError: NO_MERGE_IN_PROGRESS.
        RefusedError: ALREADY_LANDED, the target has moved; the same merge command finishes it.
        ConflictError: LOCK_TIMEOUT, the merge is still running.
    """
    with run_lock(mission):
        landing = refuse_without_landing(mission)
        if landing.is_landed():
            raise RefusedError(
                "ALREADY_LANDED",
                f"{mission.target_ref} has moved to {landing.candidate_commit[:12]} already; "
                "what landed is finished, not aborted",
                hint=f"kitty-flow merge {mission.slug} finishes it",
            )
        facts = Facts(reason=reason, landed=False)
        record_step(landing, "abort", evidence={"reason": reason}, facts=facts, reason=reason)
        return landing


def refuse_without_landing(mission: OpenMission) -> Landing:
    """The landing that was begun and not ended.

    Raises:
        UsageError: NO_MERGE_IN_PROGRESS.
    """
    landing = open_landing(mission, MergeOptions(None))
    if landing is None:
        raise UsageError(
            "NO_MERGE_IN_PROGRESS",
            f"no merge of {mission.slug} was begun and left unfinished",
            hint=f"kitty-flow merge {mission.slug} --plan",
        )
    return landing
