"""Recipes are read, written, and refused with the line of the mistake."""

from __future__ import annotations

import unittest

from pantry.recipe import read

PANCAKES = "# Pancakes\nserves: 4\n\n- 250 g flour\n- 3 eggs\n\nWhisk and fry."


class Reading(unittest.TestCase):
    def test_every_part_is_found(self) -> None:
        recipe = read(PANCAKES)
        self.assertEqual((recipe.title, recipe.serves, recipe.steps), ("Pancakes", 4, "Whisk and fry."))
        self.assertEqual([i.name for i in recipe.ingredients], ["flour", "eggs"])

    def test_a_recipe_is_written_as_it_was_read(self) -> None:
        self.assertEqual(str(read(PANCAKES)), PANCAKES)

    def test_a_mistake_is_named_with_its_line(self) -> None:
        with self.assertRaisesRegex(ValueError, "line 2"):
            read("# Pancakes\nserves: some\n")
        with self.assertRaisesRegex(ValueError, "line 3"):
            read("# Pancakes\nserves: 4\n- flour\n")
