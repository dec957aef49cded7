"""A profile: who is asked, what for, and by which rules. Plain and frozen; a command starts without pydantic."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from kitty_flow.invocation.verbs import ROLES

__all__ = ["Profile", "Source"]

Source = Literal["shipped", "project"]


@dataclass(frozen=True)
class Profile:
    """One profile, as its file has it (docs/reference/profiles.md).

    Args:
        id: its name in commands and records; the stem of its file.
        name: its title.
        purpose: what it is for, one or two sentences.
        role: one of `ROLES`; the canonical verbs of the role's action lead to it.
        priority: 0 to 100; decides between profiles that fit a request equally well.
        verbs: verbs of its own that lead to it.
        domain_keywords: words or phrases of its field that lead to it.
        collaborators: profiles that it asks.
        hands_off_to: profiles that go on with its results.
        directives: rules that it follows; part of the governance context.
        boundaries: what it does not do; part of the governance context.
        source: whether it ships with kitty-flow or is the project's own.
        path: its file, as it is named to people.
    """

    id: str
    name: str
    purpose: str
    role: str
    priority: int = 50
    verbs: tuple[str, ...] = ()
    domain_keywords: tuple[str, ...] = ()
    collaborators: tuple[str, ...] = ()
    hands_off_to: tuple[str, ...] = ()
    directives: tuple[str, ...] = ()
    boundaries: tuple[str, ...] = ()
    source: Source = "shipped"
    path: str = ""

    @property
    def action(self) -> str:
        """What it does when the request names nothing else: the action of its role."""
        return ROLES[self.role]

    def as_data(self) -> dict[str, Any]:
        """All fields, JSON-ready."""
        return {**asdict(self), "action": self.action}
