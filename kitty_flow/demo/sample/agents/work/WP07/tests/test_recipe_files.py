"""Every recipe in the collection can be read."""

from __future__ import annotations

import unittest
from pathlib import Path

from pantry.recipe import read

FILES = sorted((Path(__file__).parent.parent / "recipes").glob("*.txt"))


class Collection(unittest.TestCase):
    def test_every_file_is_a_recipe(self) -> None:
        self.assertGreaterEqual(len(FILES), 2)
        for path in FILES:
            with self.subTest(path.name):
                self.assertTrue(read(path.read_text(encoding="utf-8")).ingredients)
