"""What a machine does not allow, told without its words: where something stands, and what a person can do with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kitty_flow.model.event import EntityType

__all__ = ["illegal_hint", "illegal_sentence"]

_DONE: Final = {
    "abort": "aborted",
    "accept": "accepted",
    "amend": "amended",
    "approve": "approved",
    "block": "blocked",
    "cancel": "canceled",
    "claim": "claimed",
    "merge": "merged",
    "pause": "paused",
    "release": "released",
    "reopen": "reopened",
    "resume": "resumed",
    "start": "started",
    "submit": "handed in",
    "unblock": "unblocked",
}
"""A trigger as what would have been done."""

_STATES: Final = {"for_review": "waiting for a review", "in_review": "being reviewed", "in_progress": "in progress"}

_BY_HAND: Final = {
    "work_package": ("block", "unblock", "release", "cancel", "reopen"),
    "mission": ("pause", "resume", "accept", "amend", "abort"),
}
"""Triggers that are commands of `wp` and `mission`."""


def illegal_sentence(
    entity_type: EntityType, name: str, state: str | None, trigger: str, allowed: Sequence[str]
) -> str | None:
    """Such as "WP01 is in progress, so it cannot be unblocked; it can be blocked"; None for other machines."""
    if entity_type not in _BY_HAND or state is None or trigger not in _DONE:
        return None
    possible = [_DONE[each] for each in _BY_HAND[entity_type] if each in allowed]
    words = f"{', '.join(possible[:-1])} or {possible[-1]}" if len(possible) > 1 else "".join(possible)
    rest = f"; it can be {words}" if words else "; nothing follows on that"
    return f"{name} is {_STATES.get(state, state)}, so it cannot be {_DONE[trigger]}{rest}"


def illegal_hint(entity_type: EntityType, name: str, mission_slug: str) -> str:
    """The command that tells how it stands."""
    command = f"mission show {mission_slug}" if entity_type == "mission" else f"why {name} -m {mission_slug}"
    return f"kitty-flow {command}"
