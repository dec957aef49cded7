"""A recipe for more people, or for fewer."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from pantry.quantity import Quantity
from pantry.recipe import Recipe


def scaled(recipe: Recipe, serves: int) -> Recipe:
    """The recipe for `serves` people. Raises ValueError when nobody is to be served."""
    if serves < 1:
        raise ValueError("somebody has to be served")
    factor = Fraction(serves, recipe.serves)
    ingredients = tuple(
        replace(i, quantity=Quantity(i.quantity.amount * factor, i.quantity.unit)) for i in recipe.ingredients
    )
    return replace(recipe, serves=serves, ingredients=ingredients)
