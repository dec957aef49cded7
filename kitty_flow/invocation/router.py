"""The router: which profile a request goes to. Deterministic, without a model, a clock or a look at anything else.

The rules (docs/adr/0026), each taken only where those before it left several profiles, or none:

1. A profile that is named is taken.
2. Verbs in the place of a command, at the beginning of the request, count: the canonical ones lead to every profile of
   the action's role, a profile's own verbs to that profile. Without a command, verbs and domain keywords anywhere do;
   what follows an article or the like (``the plan``) is no verb.
3. Among those profiles, whoever has a verb and a keyword in the request comes before one that has only one of them,
4. a keyword of more words before a shorter one, and before a verb alone,
5. a higher priority before a lower one. Several that are still equal are an error, and so is none: nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from typing import Final

from kitty_flow.invocation.profile import Profile
from kitty_flow.invocation.route import (
    AmbiguousRouteError,
    Candidate,
    Confidence,
    NoRouteError,
    ProfileNotFoundError,
    Route,
)
from kitty_flow.invocation.verbs import CANONICAL_VERBS, CONJUNCTIONS, DETERMINERS, OPENINGS, ROLES, action_of
from kitty_flow.invocation.words import Word, phrase, stem, words

__all__ = ["candidates_of", "find_profile", "route"]

_LOOKED_AT: Final = 50
_SUGGESTED: Final = 3


@dataclass(frozen=True)
class _Match:
    """What leads to one profile: a verb, a keyword, or both; each as it stands in the request."""

    profile: Profile
    verb: Word | None
    keyword: str | None
    keyword_words: int

    @property
    def action(self) -> str:
        return (self.verb and action_of(self.verb.stem)) or self.profile.action

    @property
    def weight(self) -> int:
        """The words of the keyword; a verb alone weighs as much as a keyword of one word."""
        return max(1, self.keyword_words)

    @property
    def confidence(self) -> Confidence:
        if self.verb is None:
            return "domain_keyword"
        return "canonical_verb" if action_of(self.verb.stem) else "profile_verb"

    @property
    def reason(self) -> str:
        parts = []
        if self.verb is not None:
            kind = "verb" if action_of(self.verb.stem) else "own verb"
            parts.append(f"{kind} '{self.verb.text}'")
        if self.keyword is not None:
            parts.append(f"keyword '{self.keyword}'")
        return " and ".join(parts)

    def candidate(self) -> Candidate:
        return Candidate(self.profile.id, self.action, self.reason)


def route(request: str, profiles: Sequence[Profile], *, hint: str | None = None) -> Route:
    """The profile that `request` goes to; `hint` is the id of one that was named.

    The order of `profiles` makes no difference.

    Raises:
        ProfileNotFoundError: PROFILE_NOT_FOUND.
        AmbiguousRouteError: ROUTER_AMBIGUOUS.
        NoRouteError: ROUTER_NO_MATCH.
    """
    if hint is not None:
        return _named(find_profile(profiles, hint), request)
    found = _matches(words(request), profiles)
    best = _best(found)
    if not best:
        raise NoRouteError(request, _suggestions(words(request), profiles), sorted(p.id for p in profiles))
    if len(best) > 1:
        raise AmbiguousRouteError(request, [match.candidate() for match in best])
    (only,) = best
    beaten = [match for match in _best_without_priority(found) if match is not only]
    why = only.reason
    if beaten:
        others = ", ".join(f"{match.profile.id} {match.profile.priority}" for match in beaten)
        why += f"; its priority {only.profile.priority} is above that of {others}"
    return Route(only.profile.id, only.action, only.confidence, why)


def find_profile(profiles: Sequence[Profile], name: str) -> Profile:
    """The profile whose id is `name`; case makes no difference.

    Raises:
        ProfileNotFoundError: PROFILE_NOT_FOUND, with the ids that were probably meant.
    """
    wanted = name.strip().casefold()
    for profile in profiles:
        if profile.id == wanted:
            return profile
    known = sorted(profile.id for profile in profiles)
    raise ProfileNotFoundError(name, known, get_close_matches(wanted[:200], known))


def candidates_of(request: str, profiles: Sequence[Profile]) -> tuple[Candidate, ...]:
    """Every profile to which something in the request leads, by id."""
    return tuple(match.candidate() for match in _matches(words(request), profiles))


def _named(profile: Profile, request: str) -> Route:
    """The route to a profile that was named. The request's command says what is to be done, else the profile's role."""
    actions = (action_of(word.stem) for word in _commands(words(request), ()))
    action = next((action for action in actions if action), profile.action)
    return Route(profile.id, action, "exact", f"profile '{profile.id}' was named")


def _matches(said: Sequence[Word], profiles: Sequence[Profile]) -> list[_Match]:
    """What leads to a profile, by the profile's id. With a command its verbs alone choose; keywords add to that."""
    ordered = sorted(profiles, key=lambda profile: profile.id)
    own = frozenset(stem(verb.casefold()) for profile in ordered for verb in profile.verbs)
    commands = _commands(said, own)
    verbs = commands or [*said[:1], *(word for before, word in pairwise(said) if before.text not in DETERMINERS)]
    found = [_match(profile, verbs, said) for profile in ordered]
    return [m for m in found if m.verb is not None or (m.keyword is not None and not commands)]


def _match(profile: Profile, verbs: Sequence[Word], said: Sequence[Word]) -> _Match:
    own = {stem(verb.casefold()) for verb in profile.verbs}
    canonical = next((word for word in verbs if action_of(word.stem) == ROLES[profile.role]), None)
    verb = canonical or next((word for word in verbs if word.stem in own), None)
    keyword, length = _keyword(profile.domain_keywords, [word.stem for word in said])
    return _Match(profile, verb, keyword, length)


def _keyword(keywords: Iterable[str], stems: Sequence[str]) -> tuple[str | None, int]:
    """The longest keyword whose words follow each other in the request, the first by name of several; and its words."""
    known, text = frozenset(stems), "\0".join(("", *stems, ""))
    found = []
    for keyword in keywords:
        parts = phrase(keyword)
        if known.issuperset(parts) and "\0".join(("", *parts, "")) in text:
            found.append((-len(parts), keyword))
    if not found:
        return None, 0
    length, keyword = min(found)
    return keyword, -length


def _commands(said: Sequence[Word], own: Iterable[str]) -> list[Word]:
    """The verbs with which the request begins: one, or several that follow each other (``implement and review``)."""
    own, found = frozenset(own), list[Word]()
    for word in said:
        if action_of(word.stem) or word.stem in own:
            found.append(word)
        elif word.text not in (CONJUNCTIONS if found else OPENINGS) and not word.text.isdecimal():
            break
    return found


def _best(found: list[_Match]) -> list[_Match]:
    equal = _best_without_priority(found)
    highest = max((match.profile.priority for match in equal), default=0)
    return [match for match in equal if match.profile.priority == highest]


def _best_without_priority(found: list[_Match]) -> list[_Match]:
    both = [match for match in found if match.verb is not None and match.keyword is not None] or found
    longest = max((match.weight for match in both), default=0)
    return [match for match in both if match.weight == longest]


def _suggestions(said: Sequence[Word], profiles: Sequence[Profile]) -> list[tuple[str, str, str]]:
    """For words of the request that nearly lead to a profile: the word, the one that was perhaps meant, the profile."""
    leads: dict[str, str] = {}
    for profile in sorted(profiles, key=lambda profile: profile.id):
        verbs = (*CANONICAL_VERBS[profile.action], *profile.verbs)
        for lead in (*verbs, *profile.domain_keywords):
            leads.setdefault(lead.casefold(), profile.id)
    found = []
    for word in dict.fromkeys(word.text for word in said[:_LOOKED_AT]):
        near = get_close_matches(word, leads, n=1, cutoff=0.8) if word not in leads else []
        found += [(word, meant, leads[meant]) for meant in near]
    return found[:_SUGGESTED]
