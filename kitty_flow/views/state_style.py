"""How the states of work packages look in text: a colour, and a symbol for who does not see colours.

Colours support the words and symbols and never replace them. The symbols are characters that every terminal shows one
column wide, whatever its locale (East Asian width "neutral").
"""

from __future__ import annotations

from typing import Final

__all__ = ["STATE_STYLE", "symbol"]

STATE_STYLE: Final = {
    "planned": "dim",
    "claimed": "cyan",
    "in_progress": "cyan",
    "for_review": "yellow",
    "in_review": "yellow",
    "approved": "green",
    "done": "bold green",
    "blocked": "bold red",
    "canceled": "dim",
}

_SYMBOL: Final = {
    "planned": ("\u25e6", "."),
    "claimed": ("\u25b8", ">"),
    "in_progress": ("\u25b8", ">"),
    "for_review": ("\u25cc", "o"),
    "in_review": ("\u25c9", "@"),
    "approved": ("\u2713", "+"),
    "done": ("\u2714", "*"),
    "blocked": ("\u2717", "!"),
    "canceled": ("\u2212", "-"),
}


def symbol(state: str, *, ascii_only: bool = False) -> str:
    """The sign of a work package's state."""
    return _SYMBOL.get(state, ("?", "?"))[ascii_only]
