"""What is recorded together with the end of an attempt, beyond the end itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from kitty_flow.ledger.view import EntityState, LedgerView

if TYPE_CHECKING:
    from kitty_flow.model.event import EntityType

__all__ = ["Annotation", "Consequence", "Follow", "nothing_follows"]


class Annotation(NamedTuple):
    """A fact to record beside the end of an attempt."""

    entity_type: EntityType
    entity_id: str
    name: str
    evidence: Mapping[str, Any]


class Consequence(NamedTuple):
    """`evidence` goes with the end itself, the annotations come after it.

    `used` goes with the end of the invocation: what it used, for reports that add up invocations.
    """

    evidence: Mapping[str, Any]
    annotations: tuple[Annotation, ...] = ()
    used: Mapping[str, Any] = {}


Follow: TypeAlias = Callable[[EntityState, LedgerView], Consequence]
"""Says from a work package as it is, and the view that has it, what its end is recorded with."""


def nothing_follows(entity: EntityState, view: LedgerView) -> Consequence:
    """Nothing more."""
    return Consequence({})
