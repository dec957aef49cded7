"""Amounts of things, exact to the fraction."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

UNITS = ("g", "kg", "ml", "l", "tsp", "tbsp")

_AMOUNT = re.compile(r"(?:(\d+)\s+)?(\d+/[1-9]\d*|\d+(?:\.\d+)?)(?=\s|$)", re.ASCII)


@dataclass(frozen=True)
class Quantity:
    """So much of something; the unit is empty for things that are counted."""

    amount: Fraction
    unit: str = ""

    @classmethod
    def parse(cls, text: str) -> Quantity:
        """Read ``1 1/2 tbsp``. Raises ValueError when there is anything else in it."""
        quantity, rest = cls.split(text)
        if rest:
            raise ValueError(f"{rest!r} is not a unit")
        return quantity

    @classmethod
    def split(cls, text: str) -> tuple[Quantity, str]:
        """The quantity at the beginning of a text, and the rest. Raises ValueError when there is none."""
        found = _AMOUNT.match(text.strip())
        if found is None or (found[1] and "/" not in found[2]):
            raise ValueError(f"{text!r} does not begin with an amount")
        amount = Fraction(found[2]) + int(found[1] or 0)
        rest = text.strip()[found.end() :].strip()
        unit, _, name = rest.partition(" ")
        return (cls(amount, unit), name.strip()) if unit in UNITS else (cls(amount), rest)

    def __str__(self) -> str:
        whole, part = divmod(self.amount, 1)
        words = [str(whole)] if whole or not part else []
        words += [str(part)] if part else []
        return " ".join([*words, self.unit]).strip()
