"""Amounts are read exactly and written as people write them."""

from __future__ import annotations

import unittest
from fractions import Fraction

from pantry.quantity import Quantity


class Reading(unittest.TestCase):
    def test_every_way_to_write_an_amount(self) -> None:
        for text, amount in {"250 g": 250, "1/2 l": Fraction(1, 2), "1 1/2 tbsp": Fraction(3, 2), "3": 3}.items():
            self.assertEqual(Quantity.parse(text).amount, amount, text)

    def test_text_is_not_an_amount(self) -> None:
        for text in ("", "some", "1/0 g", "2 3 g"):
            with self.assertRaises(ValueError, msg=text):
                Quantity.parse(text)


class Writing(unittest.TestCase):
    def test_what_was_read_is_written_again(self) -> None:
        for text in ("250 g", "1/2 l", "1 1/2 tbsp", "3", "0 ml"):
            self.assertEqual(str(Quantity.parse(text)), text)
