"""The gates of the merge pipeline by name: each looks at one thing and answers pass, fail or error; an error blocks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from kitty_flow.errors import KittyFlowError, RefusedError
from kitty_flow.model.gate import GateResult
from kitty_flow.release.command_gate import ask_command
from kitty_flow.release.gate_answers import Gate, closed_gate, open_gate
from kitty_flow.release.landing import Landing
from kitty_flow.release.mission_gates import approved_heads_integrated, mission_accepted, mission_unmoved
from kitty_flow.release.override import overridden
from kitty_flow.release.recompute import landing_recomputed
from kitty_flow.release.remote_gate import target_in_sync
from kitty_flow.release.review_gates import (
    approved_heads_reviewed,
    owned_files_respected,
    reviewers_are_not_implementers,
    verdicts_consistent,
)
from kitty_flow.release.target_gates import (
    checkout_can_follow,
    checkout_clean,
    landing_proved,
    merge_clean,
    no_user_operation_in_progress,
    target_exists,
    target_unmoved,
    tests_pass,
)

__all__ = ["GATES", "ask_gate", "check_gates"]

_BEFORE_THE_MOVE: Final[Mapping[str, Gate]] = {
    "approved_heads_integrated": approved_heads_integrated,
    "approved_heads_reviewed": approved_heads_reviewed,
    "checkout_can_follow": checkout_can_follow,
    "checkout_clean": checkout_clean,
    "landing_recomputed": landing_recomputed,
    "mission_accepted": mission_accepted,
    "mission_unmoved": mission_unmoved,
    "no_user_operation_in_progress": no_user_operation_in_progress,
    "owned_files_respected": owned_files_respected,
    "reviewers_are_not_implementers": reviewers_are_not_implementers,
    "target_exists": target_exists,
    "target_in_sync": target_in_sync,
    "target_unmoved": target_unmoved,
    "verdicts_consistent": verdicts_consistent,
}
"""They guard the move of the target. Once it has moved they have nothing to say: the landing must be finished."""

GATES: Final[Mapping[str, Gate]] = {
    **_BEFORE_THE_MOVE,
    "landing_proved": landing_proved,
    "merge_clean": merge_clean,
    "tests_pass": tests_pass,
}


def check_gates(landing: Landing, names: tuple[str, ...]) -> None:
    """Ask every named gate and keep the answers; all of them are asked, so that one look shows everything.

    Raises:
        RefusedError: with the code of the first gate that did not pass and every gate's answer in `details`.
    """
    has_moved = landing.is_landed()
    results = [_passed(name) if has_moved and name in _BEFORE_THE_MOVE else ask_gate(name, landing) for name in names]
    results = overridden(landing, results)
    landing.gates.extend(results)
    closed = [r for r in results if not r.is_open]
    if closed:
        first = closed[0]
        raise RefusedError(
            first.diagnostic_code,
            "; ".join(r.message for r in closed),
            hint=first.remediation or None,
            details={"gates": [r.model_dump() for r in results]},
        )


def _passed(name: str) -> GateResult:
    return open_gate(name, "the target has moved to the candidate already; the landing is finished")


def ask_gate(name: str, landing: Landing) -> GateResult:
    """One gate's answer; what it raises is an answer too, and closes it."""
    gate = GATES.get(name)
    if name in landing.commands:
        gate = partial(ask_command, landing.commands[name])
    if gate is None:
        return closed_gate(name, "GATE_UNKNOWN", f"there is no gate {name!r}", outcome="error")
    try:
        return gate(landing)
    except (KittyFlowError, OSError) as error:
        message = f"the gate {name} could not be checked: {getattr(error, 'message', error)}"
        return closed_gate(name, "GATE_ERROR", message, outcome="error", remediation="kitty-flow doctor")
