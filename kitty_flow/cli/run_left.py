"""What a run did not finish, in a sentence: what stands in the way, and how many others only wait for that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kitty_flow.flow.drive import Outcome

__all__ = ["are_held_by_others", "left_sentence"]

_WAITING: Final = ("DEPENDENCIES_NOT_SATISFIED", "LANE_BUSY", "OWNERSHIP_CONFLICT", "WAVE_BARRIER")
_IN_HAND: Final = ("claimed", "in_progress", "in_review")
_NAMED: Final = 6
"""So many are told with their reasons; the table, and the data under ``--json``, have them all."""


def left_sentence(left: Mapping[str, Outcome]) -> str:
    """Why the work packages of `left`, by id, are not finished; those that wait for others of them are counted."""
    roots = _roots(left)
    told = [_why_open(name, outcome) for name, outcome in list(roots.items())[:_NAMED]]
    if more := len(roots) - len(told):
        told.append(f"{more} more are not finished")
    waiting = len(left) - len(roots)
    words = "; ".join(told)
    if not waiting:
        return words
    return f"{words}, and {waiting} wait{'s' if waiting == 1 else ''} for {'it' if len(roots) == 1 else 'these'}"


def are_held_by_others(left: Mapping[str, Outcome]) -> bool:
    """Whether nothing stands in the way but what somebody else has in hand now."""
    roots = _roots(left).values()
    return bool(roots) and all(each.code == "NOT_PLANNED" and each.state in _IN_HAND for each in roots)


def _roots(left: Mapping[str, Outcome]) -> Mapping[str, Outcome]:
    roots = {name: each for name, each in left.items() if each.state != "planned" or each.code not in _WAITING}
    return roots or left


def _why_open(name: str, outcome: Outcome) -> str:
    message = str(outcome.message)
    return message if message.startswith(f"{name} ") else f"{name} is {outcome.state}: {message}"
