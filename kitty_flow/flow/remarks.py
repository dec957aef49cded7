"""What a ledger's reader has to be told beside the answer: conflicts between clones, damage, a ref that moved back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kitty_flow.ledger.fold import Conflict
from kitty_flow.ledger.view import LedgerView

if TYPE_CHECKING:
    from kitty_flow.model.diagnostic import Diagnostic

__all__ = ["conflict_sentence", "open_conflicts", "remarks"]

_SHOWN: Final = 5
_AT_WORK: Final = ("in_progress", "for_review", "in_review")
_SETTLED: Final = ("approved", "done", "canceled", "merged", "shipped", "aborted")


def open_conflicts(view: LedgerView) -> tuple[Conflict, ...]:
    """The conflicts of entities that are still on their way; the others are history, and so are missions that two
    clones moved to the same state, unless each amended it."""
    found = []
    for conflict in view.conflicts:
        entity = view.entity(conflict.entity_type, conflict.entity_id)
        same = conflict.entity_type == "mission" and conflict.winner_trigger == conflict.loser_trigger != "amend"
        if entity is not None and entity.state not in _SETTLED and not same:
            found.append(conflict)
    return tuple(found)


def conflict_sentence(conflict: Conflict) -> str:
    """Which of two events counts, and by which rule."""
    is_work_package = conflict.entity_type == "work_package"
    name = conflict.entity_id if is_work_package else f"{conflict.entity_type} {conflict.entity_id}"
    lost = len(conflict.superseded) - 1
    return (
        f"{name}: {conflict.winner_trigger} by {conflict.winner_actor} counts, "
        f"{conflict.loser_trigger} by {conflict.loser_actor}{f' and {lost} more event(s) on it' if lost else ''} "
        "is superseded: two clones recorded without knowing of each other, and the larger event id wins "
        f"({conflict.winner} over {conflict.loser}); both stay in the log"
    )


def remarks(view: LedgerView) -> tuple[Diagnostic, ...]:
    """Diagnostics for whoever reads this view."""
    found = [_warning("LEDGER_CONFLICT", conflict_sentence(c)) for c in open_conflicts(view)[:_SHOWN]]
    found += [
        _warning(
            "LEDGER_LINE_DAMAGED", f"the line {d.where} is damaged and was left out: {d.why}; kitty-flow doctor ledger"
        )
        for d in view.damage[:_SHOWN]
    ]
    found += [
        _info("PLANNING_IN_WORKTREE", f"{name} is not worked on in the main checkout: {entity.facts['place_reason']}")
        for name, entity in view.of_type("work_package").items()
        if entity.state in _AT_WORK and entity.facts.get("place") == "worktree" and entity.facts.get("place_reason")
    ][:_SHOWN]
    if view.rewound_from is not None:
        found.append(
            _warning(
                "LEDGER_REWOUND",
                f"{view.ref} was moved back: it does not contain {view.rewound_from[:12]}, which was acknowledged, so "
                "this answer may lack events; kitty-flow doctor ledger --fix brings both together again",
            )
        )
    return tuple(found)


def _info(code: str, message: str) -> Diagnostic:
    from kitty_flow.model.diagnostic import Diagnostic

    return Diagnostic(severity="info", diagnostic_code=code, message=message, phase="workspace")


def _warning(code: str, message: str) -> Diagnostic:
    from kitty_flow.model.diagnostic import Diagnostic

    return Diagnostic(severity="warning", diagnostic_code=code, message=message, phase="ledger")
