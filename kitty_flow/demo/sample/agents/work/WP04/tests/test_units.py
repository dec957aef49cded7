"""Amounts of one kind add up, others do not."""

from __future__ import annotations

import unittest

from pantry.quantity import Quantity
from pantry.units import add, same_kind


def total(one: str, other: str) -> str:
    return str(add(Quantity.parse(one), Quantity.parse(other)))


class Adding(unittest.TestCase):
    def test_one_unit_stays(self) -> None:
        self.assertEqual(total("250 g", "125 g"), "375 g")
        self.assertEqual(total("1/2 tsp", "1/2 tsp"), "1 tsp")

    def test_units_of_one_kind_are_converted(self) -> None:
        self.assertEqual(total("500 g", "1 kg"), "1 1/2 kg")
        self.assertEqual(total("2 tbsp", "100 ml"), "130 ml")

    def test_weight_and_volume_are_different(self) -> None:
        self.assertFalse(same_kind("g", "ml"))
        with self.assertRaises(ValueError):
            total("1 g", "1 ml")
