"""Which units measure the same kind of thing, and how to add them."""

from __future__ import annotations

from fractions import Fraction

from pantry.quantity import Quantity

_KINDS: tuple[dict[str, Fraction], ...] = (
    {"kg": Fraction(1000), "g": Fraction(1)},
    {"l": Fraction(1000), "tbsp": Fraction(15), "tsp": Fraction(5), "ml": Fraction(1)},
    {"": Fraction(1)},
)
_SPOONS = ("tsp", "tbsp")


def same_kind(one: str, other: str) -> bool:
    """Whether two units can be added."""
    return any(one in kind and other in kind for kind in _KINDS)


def add(one: Quantity, other: Quantity) -> Quantity:
    """The sum in the most readable unit. Raises ValueError for things that cannot be added, such as g and ml."""
    if one.unit == other.unit:
        return readable(Quantity(one.amount + other.amount, one.unit))
    for kind in _KINDS:
        if one.unit in kind and other.unit in kind:
            least = next(unit for unit, factor in kind.items() if factor == 1)
            return readable(Quantity(one.amount * kind[one.unit] + other.amount * kind[other.unit], least))
    raise ValueError(f"{one} and {other} cannot be added")


def readable(quantity: Quantity) -> Quantity:
    """The same amount in kg or l from 1000 g or ml on; spoons stay spoons."""
    for kind in _KINDS:
        if quantity.unit in kind and quantity.unit not in _SPOONS:
            total = quantity.amount * kind[quantity.unit]
            largest = next(iter(kind))
            if largest != quantity.unit and total >= kind[largest]:
                return Quantity(total / kind[largest], largest)
    return quantity
