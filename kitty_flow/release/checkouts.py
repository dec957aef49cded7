"""The user's checkouts of the target: asked before anything moves, brought along afterwards, never overwritten."""

from __future__ import annotations

from kitty_flow.errors import KittyFlowError, RefusedError
from kitty_flow.git.worktrees import Checkout
from kitty_flow.release.landing import Landing
from kitty_flow.release.target_gates import checkout_can_follow

__all__ = ["bring_along", "catch_up", "check_checkouts"]


def check_checkouts(landing: Landing) -> None:
    """Refuse before anything moves when a checkout of the target could not follow.

    Raises:
        RefusedError: CHECKOUT_WOULD_LOSE_EDITS.
    """
    answer = checkout_can_follow(landing)
    if not answer.is_open:
        raise RefusedError(
            answer.diagnostic_code, answer.message, hint=answer.remediation, details={"checkout": answer.subject}
        )


def bring_along(landing: Landing) -> None:
    """Let the checkouts of the target follow the move. Repeatable; what cannot follow is remarked and left alone.

    The target has moved by now, so nothing that goes wrong here may keep the landing from being recorded.
    """
    if landing.target_commit == landing.candidate_commit:
        return
    tip = landing.mission.project.repository.refs.commit(landing.mission.target_ref)
    for checkout in landing.checkouts():
        hindrance = _follow(landing, checkout, tip)
        if hindrance is not None:
            landing.remarks.append(f"{checkout.path} was left as it is: {hindrance}")


def catch_up(landing: Landing) -> None:
    """Let a checkout follow that could not when the mission landed: its index still is the commit from before.

    Otherwise the user's next commit would take the landed work back.
    """
    before, new = str(landing.target_commit), landing.candidate_commit
    if landing.mission.project.repository.refs.commit(landing.mission.target_ref) != new:
        return
    for checkout in landing.checkouts():
        words = ("diff-index", "--cached", "--quiet")
        if checkout.git.status(*words, new) and not checkout.git.status(*words, before):
            hindrance = _follow(landing, checkout, new)
            if hindrance is not None:
                landing.remarks.append(f"{checkout.path} was left as it is: {hindrance}")


def _follow(landing: Landing, checkout: Checkout, tip: str | None) -> str | None:
    """Move one checkout; otherwise says why it stays where it is."""
    before, new = str(landing.target_commit), landing.candidate_commit
    if tip != new:
        # After a merge that was killed: the user went on from the landed commit, with an index that we do not know.
        return f"{landing.mission.target_branch} has moved on from the landed commit {new[:12]}"
    try:
        operation = checkout.operation_in_progress()
        if operation is not None:
            return f"a {operation} of yours is in progress there"
        if not checkout.can_move(before, new):
            return "it was edited meanwhile, so it does not show the landed commit yet"
        checkout.move(before, new)
    except (KittyFlowError, OSError) as error:
        return f"it could not follow to the landed commit ({getattr(error, 'message', error)})"
    return None
