"""Commit messages of the ledger: a diary that `git log` can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kitty_flow.model.text import printable

if TYPE_CHECKING:
    from kitty_flow.model.event import Event

__all__ = ["diary_line", "diary_message", "diary_trailers"]


def diary_line(event: Event) -> str:
    """One event in words: ``WP03 for_review → in_review (claude-3)``."""
    name = event.mission_slug if event.entity_type == "mission" else event.entity_id
    if event.entity_type in ("invocation", "merge"):
        name = f"{event.entity_type} {name[-8:]}"
    stays = event.kind == "annotation" or event.from_state == event.to_state
    step = f"{event.trigger}" if stays else f"{event.from_state or 'new'} → {event.to_state}"
    forced = " FORCED" if event.force else ""
    return printable(f"{name} {step}{forced} ({event.actor})", "?")


def diary_message(events: Sequence[Event], *, mission_state: str) -> str:
    """The whole message: a subject, one line for each event of a batch, and trailers."""
    lines = [diary_line(event) for event in events]
    last = events[-1]
    subject = lines[0] if len(lines) == 1 else f"{lines[0]} and {len(lines) - 1} more"
    body = "" if len(lines) == 1 else "\n".join(lines) + "\n\n"
    trailers = [f"Kitty-Event: {event.event_id}" for event in events[-16:]]
    trailers += diary_trailers(last.lamport, last.mission_slug, mission_state)
    return f"{subject}\n\n{body}" + "\n".join(trailers) + "\n"


def diary_trailers(lamport: int, mission_slug: str, mission_state: str) -> list[str]:
    """The trailers that every commit of a mission's ledger has; the catalog reads the mission from them."""
    return [f"Kitty-Lamport: {lamport}", printable(f"Kitty-Mission: {mission_slug} {mission_state}", "?")]
