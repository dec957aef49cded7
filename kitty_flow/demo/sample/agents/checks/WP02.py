"""What the reviewer wants of amounts."""

import unittest

from pantry.quantity import Quantity

SUBJECT = Quantity


class Amounts(unittest.TestCase):
    def test_exact(self) -> None:
        """three thirds are one"""
        third = Quantity.parse("1/3 l")
        self.assertEqual(third.amount * 3, 1)

    def test_decimals(self) -> None:
        """0.5 is one half"""
        self.assertEqual(str(Quantity.parse("0.5 kg")), "1/2 kg")
