"""What all recipes together need."""

from __future__ import annotations

from collections.abc import Iterable

from pantry.quantity import Quantity
from pantry.recipe import Recipe
from pantry.units import add, same_kind


def shopping_list(recipes: Iterable[Recipe]) -> list[str]:
    """One line for each ingredient, by name; what cannot be added, such as g and ml of milk, gets a line each."""
    needed: dict[str, list[Quantity]] = {}
    for recipe in recipes:
        for ingredient in recipe.ingredients:
            _put(needed.setdefault(ingredient.name, []), ingredient.quantity)
    return [f"{quantity} {name}" for name in sorted(needed) for quantity in needed[name]]


def _put(quantities: list[Quantity], another: Quantity) -> None:
    for index, known in enumerate(quantities):
        if same_kind(known.unit, another.unit):
            quantities[index] = add(known, another)
            return
    quantities.append(another)
