"""What the reviewer wants of the shopping list."""

import unittest

from pantry.recipe import read
from pantry.shopping import shopping_list

SUBJECT = shopping_list


class List(unittest.TestCase):
    def test_empty(self) -> None:
        """no recipes need nothing"""
        self.assertEqual(shopping_list([]), [])

    def test_units(self) -> None:
        """500 g and 1 kg of flour are 1 1/2 kg"""
        recipe = read("# Bread\nserves: 1\n- 500 g flour\n- 1 kg flour\n")
        self.assertEqual(shopping_list([recipe]), ["1 1/2 kg flour"])
