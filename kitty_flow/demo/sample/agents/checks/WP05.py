"""What the reviewer wants of scaling: any number of servings, exactly."""

import unittest

from pantry.recipe import read
from pantry.scale import scaled

SUBJECT = scaled
FOUR = read("# Pancakes\nserves: 4\n- 250 g flour\n")


def flour(serves: int) -> str:
    """How much flour so many people need."""
    return str(scaled(FOUR, serves).ingredients[0].quantity)


class AnyNumber(unittest.TestCase):
    def test_larger_party(self) -> None:
        """250 g for 4 must become 375 g for 6"""
        self.assertEqual(flour(6), "375 g")

    def test_smaller_party(self) -> None:
        """250 g for 4 must become 125 g for 2"""
        self.assertEqual(flour(2), "125 g")
