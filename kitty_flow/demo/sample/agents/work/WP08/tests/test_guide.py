"""The examples of the guide are true."""

from __future__ import annotations

import doctest
import unittest
from pathlib import Path

GUIDE = Path(__file__).parent.parent / "docs" / "guide.md"


class Guide(unittest.TestCase):
    def test_every_example_gives_what_it_says(self) -> None:
        result = doctest.testfile(str(GUIDE), module_relative=False, encoding="utf-8")
        self.assertGreater(result.attempted, 0)
        self.assertEqual(result.failed, 0)
