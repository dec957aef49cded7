"""Recipes, and the text format that `docs/plan.md` describes."""

from __future__ import annotations

from dataclasses import dataclass

from pantry.quantity import Quantity


@dataclass(frozen=True)
class Ingredient:
    """So much of one thing."""

    quantity: Quantity
    name: str

    def __str__(self) -> str:
        return f"- {self.quantity} {self.name}"


@dataclass(frozen=True)
class Recipe:
    """What to do with what, for how many."""

    title: str
    serves: int
    ingredients: tuple[Ingredient, ...]
    steps: str = ""

    def __str__(self) -> str:
        lines = [f"# {self.title}", f"serves: {self.serves}", "", *map(str, self.ingredients)]
        return "\n".join([*lines, "", self.steps] if self.steps else lines)


def read(text: str) -> Recipe:
    """Read a recipe. Raises ValueError with the line of the first mistake."""
    title, serves, ingredients, steps = "", 0, [], []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            if line.startswith("# "):
                title = line[2:].strip()
            elif line.startswith("serves:"):
                serves = _servings(line.partition(":")[2].strip())
            elif line.startswith("- "):
                ingredients.append(_ingredient(line[2:]))
            else:
                steps.append(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    if not title or not serves:
        raise ValueError(f"line 1: the recipe has no {'servings' if title else 'title'}")
    return Recipe(title, serves, tuple(ingredients), "\n".join(steps).strip())


def _servings(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"{text!r} is not a number of servings")
    return int(text)


def _ingredient(text: str) -> Ingredient:
    quantity, name = Quantity.split(text)
    if not name:
        raise ValueError(f"{text!r} does not say of what")
    return Ingredient(quantity, name)
