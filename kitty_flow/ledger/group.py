"""Group commit: what several threads want recorded at the same time is decided in turn and goes into one commit.

Each decides on the view that those before it leave behind. What one of them refuses is its own affair; nothing that was
decided on facts that are not durable yet is told before they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from kitty_flow.ledger.draft import Batch, Receipt
from kitty_flow.ledger.persistence import not_recorded, refuse_rewound
from kitty_flow.ledger.recording import following, make_events
from kitty_flow.ledger.segment import encode_event
from kitty_flow.ledger.view import LedgerView

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = ["Asked", "Decided", "answer_all", "decide_in_turn", "no_publication"]


def no_publication(commit: str) -> None:
    """The publication of a batch that nobody else has to see before it is committed."""


@dataclass(eq=False)
class Asked:
    """What one caller wants recorded, and the answer once there is one."""

    build: Callable[[LedgerView], Batch]
    publish: Callable[[str], None] = no_publication
    receipt: Receipt | None = None
    refusal: BaseException | None = None

    @property
    def is_answered(self) -> bool:
        """Whether the caller can go on."""
        return self.receipt is not None or self.refusal is not None

    @property
    def is_published(self) -> bool:
        """Whether somebody else must see its commit first; then nothing else may be in it."""
        return self.publish is not no_publication

    def answer(self) -> Receipt:
        """The receipt; or the refusal is raised."""
        if self.refusal is not None:
            raise self.refusal
        assert self.receipt is not None
        return self.receipt


@dataclass(frozen=True, eq=False)
class Decided:
    """What one caller's `build` came to: events, perhaps none; or a refusal. `is_certain`: on durable facts alone."""

    asked: Asked
    events: tuple[Event, ...]
    lines: tuple[bytes, ...]
    attachments: Mapping[str, bytes]
    refusal: Exception | None
    is_certain: bool


def decide_in_turn(
    view: LedgerView, line: Sequence[Asked], mission: tuple[str, str], writer: Callable[[], str], at: datetime
) -> tuple[list[Decided], list[Asked]]:
    """Decide as many as one commit can hold; the others have to wait for the next one.

    A batch with attachments is the last of its commit, because later ones may read them; and one that is published has
    a commit of its own.
    """
    decided: list[Decided] = []
    is_certain = True
    for number, asked in enumerate(line):
        if asked.is_published and not is_certain:
            return decided, list(line[number:])
        one = _decide(view, asked, mission, writer, at, is_certain)
        decided.append(one)
        if one.events:
            view, is_certain = following(view, one.events, view.tip)[0], False
            if one.attachments or asked.is_published:
                return decided, list(line[number + 1 :])
    return decided, []


def _decide(
    view: LedgerView, asked: Asked, mission: tuple[str, str], writer: Callable[[], str], at: datetime, is_certain: bool
) -> Decided:
    events: tuple[Event, ...] = ()
    try:
        batch = asked.build(view)
        if not batch.drafts:
            return Decided(asked, (), (), {}, None, is_certain)
        assert mission[1], "a log is written by those who know its mission"
        refuse_rewound(view)
        events = make_events(view, batch.drafts, mission, writer(), at)
        lines = tuple(encode_event(event) for event in events)
        return Decided(asked, events, lines, batch.attachments, None, is_certain)
    except Exception as error:
        refusal = error
        if events:
            refusal = not_recorded(view.ref, events, error)
            refusal.__cause__ = error
        return Decided(asked, (), (), {}, refusal, is_certain)


def answer_all(
    decided: Sequence[Decided], view: LedgerView, commit: str, paths: Mapping[str, str], *, is_committed: bool
) -> list[Asked]:
    """Give everybody the answer, and return those whose decision rested on what was not committed.

    Args:
        view: the ledger after the `commit`.
        paths: the segment of each event by its id.
    """
    uncertain = []
    for one in decided:
        if one.asked.is_answered:
            continue
        if not is_committed and not one.is_certain:
            uncertain.append(one.asked)
        elif one.refusal is not None:
            one.asked.refusal = one.refusal
        else:
            own = tuple(dict.fromkeys(paths[event.event_id] for event in one.events))
            one.asked.receipt = Receipt(view.ref, commit, one.events, own, view)
    return uncertain
