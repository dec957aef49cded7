"""What the reviewer wants of units."""

import unittest

from pantry.quantity import Quantity
from pantry.units import add

SUBJECT = add


class Units(unittest.TestCase):
    def test_order(self) -> None:
        """adding does not depend on the order"""
        one, other = Quantity.parse("1 tbsp"), Quantity.parse("1 l")
        self.assertEqual(add(one, other), add(other, one))

    def test_pieces(self) -> None:
        """pieces and grams are not added"""
        with self.assertRaises(ValueError):
            add(Quantity.parse("3"), Quantity.parse("3 g"))
