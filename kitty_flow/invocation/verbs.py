"""The canonical verbs: which word asks for which action, and the role that each action belongs to (seed 000, T008)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kitty_flow.invocation.words import stem

__all__ = ["ACTIONS", "CANONICAL_VERBS", "CONJUNCTIONS", "DETERMINERS", "OPENINGS", "ROLES", "action_of"]

CANONICAL_VERBS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "implement": (
            *("implement", "build", "code", "develop", "create", "write", "generate", "produce"),
            *("output", "refine", "improve", "fix", "patch", "repair", "debug"),
        ),
        "review": ("review", "check", "inspect", "evaluate", "audit", "assess"),
        "plan": ("plan", "decompose", "break", "outline", "schedule", "prioritize", "triage", "rank", "order"),
        "specify": ("specify", "spec", "define", "requirements", "scope"),
        "design": ("design", "mockup", "prototype", "wireframe"),
        "analyze": (
            *("analyze", "investigate", "research", "explore", "study"),
            *("summarize", "synthesize", "compile", "report"),
        ),
        "curate": ("curate", "classify", "organize", "tag", "validate", "verify"),
        "coordinate": ("coordinate", "manage", "delegate", "monitor", "track"),
    }
)
"""The verbs of each action. British spellings and inflected forms are found too."""

ROLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "implementer": "implement",
        "reviewer": "review",
        "planner": "plan",
        "architect": "specify",
        "designer": "design",
        "researcher": "analyze",
        "curator": "curate",
        "manager": "coordinate",
    }
)
"""The action that each role does."""

ACTIONS: Final[Mapping[str, str]] = MappingProxyType({action: role for role, action in ROLES.items()})
"""The role that does each action."""

CONJUNCTIONS: Final = frozenset({"and", "or", "then", "also", "plus"})

_DETERMINERS: Final = """
    a an the this that these those my your our its his her their each every some any no of
"""
DETERMINERS: Final = frozenset(_DETERMINERS.split())
"""What follows one of these is a thing, not a command: ``the plan``, ``our code``."""

_OPENINGS: Final = """
    again ahead can could d dear do finally first go have hello help hey hi i just kindly let lets like ll me must need
    next now once please quickly s shall should somebody someone start to today try us want we will would you your
"""
OPENINGS: Final = CONJUNCTIONS | frozenset(_OPENINGS.split())
"""Words that may stand before a command without being its object: ``could you please review``."""

_STEMS: Final = {stem(verb): action for action, verbs in CANONICAL_VERBS.items() for verb in verbs}


def action_of(word: str) -> str | None:
    """The action that a word, given by its stem, asks for; None where it is no canonical verb."""
    return _STEMS.get(word)
