"""What the reviewer wants of the collection."""

import unittest
from pathlib import Path

from pantry.recipe import read

SUBJECT = "recipes"


class Collection(unittest.TestCase):
    def test_steps(self) -> None:
        """every recipe says what to do"""
        for path in Path(SUBJECT).glob("*.txt"):
            self.assertTrue(read(path.read_text(encoding="utf-8")).steps, path.name)
