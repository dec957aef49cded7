"""The gates of the merge pipeline by name: each looks at one thing and answers pass, fail or error; an error blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kitty_flow.errors import KittyFlowError, RefusedError
from kitty_flow.model.gate import GateResult
from kitty_flow.release.gate_answers import Gate, closed_gate, open_gate
from kitty_flow.release.landing import Landing
from kitty_flow.release.mission_gates import approved_heads_integrated, mission_accepted, mission_unmoved
from kitty_flow.release.target_gates import (
    checkout_clean,
    landing_proved,
    merge_clean,
    no_user_operation_in_progress,
    target_exists,
    target_unmoved,
    tests_pass,
)

__all__ = ["GATES", "check_gates"]

_BEFORE_THE_MOVE: Final[Mapping[str, Gate]] = {
    "approved_heads_integrated": approved_heads_integrated,
    "checkout_clean": checkout_clean,
    "mission_accepted": mission_accepted,
    "mission_unmoved": mission_unmoved,
    "no_user_operation_in_progress": no_user_operation_in_progress,
    "target_exists": target_exists,
    "target_unmoved": target_unmoved,
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
    results = [_passed(name) if has_moved and name in _BEFORE_THE_MOVE else _ask(name, landing) for name in names]
    landing.gates.extend(results)
    closed = [r for r in results if r.outcome != "pass"]
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


def _ask(name: str, landing: Landing) -> GateResult:
    gate = GATES.get(name)
    if gate is None:
        return closed_gate(name, "GATE_UNKNOWN", f"there is no gate {name!r}", outcome="error")
    try:
        return gate(landing)
    except (KittyFlowError, OSError) as error:
        message = f"the gate {name} could not be checked: {getattr(error, 'message', error)}"
        return closed_gate(name, "GATE_ERROR", message, outcome="error", remediation="kitty-flow doctor")
