"""What is to be recorded, and the proof that it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kitty_flow.ledger.view import LedgerView

if TYPE_CHECKING:
    from kitty_flow.model.event import EntityType, Event

__all__ = ["Batch", "Draft", "Receipt"]


@dataclass(frozen=True)
class Draft:
    """A fact to be recorded: one decided transition of one entity, or an annotation (`to_state` None)."""

    entity_type: EntityType
    entity_id: str
    machine: str
    machine_digest: str
    trigger: str
    actor: str
    from_state: str | None = None
    to_state: str | None = None
    reason: str | None = None
    epoch: int | None = None
    force: bool = False
    evidence: Mapping[str, Any] = field(default_factory=dict)
    payload: Mapping[str, Any] = field(default_factory=dict)
    correlation_id: str | None = None


@dataclass(frozen=True)
class Batch:
    """What one use case wants recorded together, with attachments (path in the ledger's tree to content)."""

    drafts: Sequence[Draft]
    attachments: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Receipt:
    """Proof that events are in the ledger: the ref, the commit that it moved to, the events as read back, and the paths
    of their segments in that commit."""

    ref: str
    commit: str
    events: tuple[Event, ...]
    paths: tuple[str, ...]
    view: LedgerView
