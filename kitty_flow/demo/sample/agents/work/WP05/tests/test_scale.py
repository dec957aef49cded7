"""A recipe can be made for more people."""

from __future__ import annotations

import unittest

from pantry.recipe import read
from pantry.scale import scaled

PANCAKES = read("# Pancakes\nserves: 4\n- 250 g flour\n- 3 eggs\n")


class Scaling(unittest.TestCase):
    def test_twice_as_many_need_twice_as_much(self) -> None:
        recipe = scaled(PANCAKES, 8)
        self.assertEqual([str(i.quantity) for i in recipe.ingredients], ["500 g", "6"])
        self.assertEqual(recipe.serves, 8)

    def test_nobody_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            scaled(PANCAKES, 0)
