"""What routing a request comes to: a route, or an error that says which profiles were possible and why."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Literal, NamedTuple

from kitty_flow.errors import UsageError

__all__ = ["AmbiguousRouteError", "Candidate", "Confidence", "NoRouteError", "ProfileNotFoundError", "Route", "ask"]

Confidence = Literal["exact", "canonical_verb", "profile_verb", "domain_keyword", "plugin"]
"""How a profile was found, the surest first: it was named; a verb that everybody means the same by; a verb or a keyword
that the profile itself lists; or what a plug-in said."""

_SHORT = 200


class Candidate(NamedTuple):
    """A profile that fits a request, what it would do, and why it fits."""

    profile_id: str
    action: str
    match_reason: str


class Route(NamedTuple):
    """The one profile that a request goes to."""

    profile_id: str
    action: str
    confidence: Confidence
    match_reason: str


class ProfileNotFoundError(UsageError):
    """PROFILE_NOT_FOUND: no profile has the id that was given. `suggestions` are the nearest ones."""

    def __init__(self, name: str, known: Sequence[str], suggestions: Sequence[str]) -> None:
        self.suggestions = tuple(suggestions)
        meant = f"; did you mean {suggestions[0]!r}?" if suggestions else f"; known: {', '.join(known)}"
        super().__init__(
            "PROFILE_NOT_FOUND",
            f"there is no profile {name[:_SHORT]!r}{meant}",
            hint="kitty-flow profiles list",
            details={"profile": name[:_SHORT], "suggestions": list(suggestions), "known": list(known)},
        )


class AmbiguousRouteError(UsageError):
    """ROUTER_AMBIGUOUS: several profiles fit equally well. `candidates` says which, what they would do, and why."""

    def __init__(self, request: str, candidates: Sequence[Candidate]) -> None:
        self.candidates = tuple(candidates)
        told = "; ".join(f"{c.profile_id} ({c.action}: {c.match_reason})" for c in candidates)
        super().__init__(
            "ROUTER_AMBIGUOUS",
            f"{len(candidates)} profiles fit equally well: {told}",
            hint=f"choose one: {ask(candidates[0].profile_id, request)}",
            details={"candidates": [c._asdict() for c in candidates]},
        )


class NoRouteError(UsageError):
    """ROUTER_NO_MATCH: nothing in the request leads to a profile. `suggestions` are words that may have been meant."""

    def __init__(self, request: str, suggestions: Sequence[tuple[str, str, str]], known: Sequence[str]) -> None:
        self.suggestions = tuple(suggestions)
        meant = "; ".join(f"{word!r} may mean {other!r} ({profile})" for word, other, profile in suggestions)
        super().__init__(
            "ROUTER_NO_MATCH",
            f"no verb and no keyword of the request leads to a profile{f': {meant}' if meant else ''}",
            hint=f"name one: {ask(suggestions[0][2] if suggestions else 'PROFILE', request)}; "
            "kitty-flow profiles list shows them",
            details={
                "suggestions": [{"word": w, "meant": m, "profile_id": p} for w, m, p in suggestions],
                "known": list(known),
            },
        )


def ask(profile_id: str, request: str) -> str:
    """The command that puts the request to a profile; a long request is not written out again."""
    said = shlex.quote(request) if len(request) <= _SHORT and request.isprintable() else "REQUEST"
    return f"kitty-flow ask {profile_id} {said}"
