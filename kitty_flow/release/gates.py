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
from kitty_flow.release.repository_gates import config_unchanged, ledger_descends, worktrees_clean
from kitty_flow.release.review_gates import (
    approved_heads_reviewed,
    owned_files_respected,
    reviewers_are_not_implementers,
    verdicts_consistent,
)
from kitty_flow.release.secret_gate import no_secrets
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

__all__ = ["GATES", "ask_gate", "ask_gates", "check_gates"]

_FIRST: Final = ("config_unchanged",)
"""While one of these is closed nothing else is asked: `git status` runs filters, a fetch runs a transport program."""

_BEFORE_THE_MOVE: Final[Mapping[str, Gate]] = {
    "approved_heads_integrated": approved_heads_integrated,
    "approved_heads_reviewed": approved_heads_reviewed,
    "checkout_can_follow": checkout_can_follow,
    "checkout_clean": checkout_clean,
    "config_unchanged": config_unchanged,
    "landing_recomputed": landing_recomputed,
    "ledger_descends": ledger_descends,
    "mission_accepted": mission_accepted,
    "mission_unmoved": mission_unmoved,
    "no_secrets": no_secrets,
    "no_user_operation_in_progress": no_user_operation_in_progress,
    "owned_files_respected": owned_files_respected,
    "reviewers_are_not_implementers": reviewers_are_not_implementers,
    "target_exists": target_exists,
    "target_in_sync": target_in_sync,
    "target_unmoved": target_unmoved,
    "verdicts_consistent": verdicts_consistent,
    "worktrees_clean": worktrees_clean,
}
"""They guard the move of the target. Once it has moved they have nothing to say: the landing must be finished."""

GATES: Final[Mapping[str, Gate]] = {
    **_BEFORE_THE_MOVE,
    "landing_proved": landing_proved,
    "merge_clean": merge_clean,
    "tests_pass": tests_pass,
}


def check_gates(landing: Landing, names: tuple[str, ...]) -> None:
    """Ask the named gates and keep the answers; all are asked, so that one look shows everything, unless what git runs
    for them is not to be trusted.

    Raises:
        RefusedError: with the code of the first gate that did not pass and every gate's answer in `details`.
    """
    results = ask_gates(landing, names)
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


def ask_gates(landing: Landing, names: tuple[str, ...]) -> list[GateResult]:
    """The answers of the named gates in their order, overrides marked; those that come first are also asked first."""
    has_moved = landing.is_landed()

    def ask(some: list[str]) -> list[GateResult]:
        found = [_passed(n) if has_moved and n in _BEFORE_THE_MOVE else ask_gate(n, landing) for n in some]
        return overridden(landing.mission, found, landing.options, {"merge_id": landing.id})

    first = ask([name for name in names if name in _FIRST])
    if not all(result.is_open for result in first):
        return first
    answers = {result.gate: result for result in (*first, *ask([name for name in names if name not in _FIRST]))}
    return [answers[name] for name in names]


def _passed(name: str) -> GateResult:
    return open_gate(name, "the target has moved to the candidate already; the landing is finished")


def ask_gate(name: str, landing: Landing) -> GateResult:
    """One gate's answer; what it raises is an answer too, and closes it."""
    gate = GATES.get(name)
    if name in landing.commands:
        gate = partial(ask_command, landing.commands[name])
    if gate is None:
        return _error(name, "GATE_UNKNOWN", f"there is no gate {name!r}", landing)
    try:
        return gate(landing)
    except (KittyFlowError, OSError, ImportError) as error:
        message = f"the gate {name} could not be checked: {getattr(error, 'message', error)}"
        return _error(name, "GATE_ERROR", message, landing)


def _error(name: str, code: str, message: str, landing: Landing) -> GateResult:
    return closed_gate(
        name,
        code,
        message,
        outcome="error",
        subject=landing.mission.slug,
        invariant="a gate that cannot answer stays closed",
        remediation=f"kitty-flow doctor, then kitty-flow merge {landing.mission.slug}",
    )
