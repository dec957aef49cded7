"""The kinds of values that stand in the settings file, with the words in which a wrong one is refused."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

__all__ = ["Command", "Count", "Limit", "Seconds", "Text", "Words"]


def _argv(value: object) -> object:
    """Refuse a shell line by name; a list becomes the tuple that the frozen model holds."""
    if isinstance(value, str):
        words = ", ".join(f'"{word}"' for word in value.split())
        raise ValueError(f"must be a list of words, not one string; write [{words}] (no shell runs it)")
    if not isinstance(value, list):
        raise ValueError("must be a list of words")
    if not value or not all(isinstance(word, str) and "\0" not in word for word in value) or not value[0]:
        raise ValueError("must be a list of at least one word, the program first, each a string")
    return tuple(value)


def _words(value: object) -> object:
    """A list of strings as the tuple that the frozen model holds."""
    if not isinstance(value, list) or not all(isinstance(word, str) and "\0" not in word for word in value):
        raise ValueError('must be a list of words, such as ["one", "two"]')
    return tuple(value)


Command = Annotated[tuple[str, ...], BeforeValidator(_argv)]
"""A program and its arguments; no shell ever sees them."""

Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
"""Any number of words."""

Limit = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
"""A positive, finite number."""

Seconds = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
"""A finite time in seconds; 0 turns off what it limits."""

Count = Annotated[int, Field(strict=True, ge=1)]
Text = Annotated[str, Field(strict=True)]
