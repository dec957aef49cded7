"""What the reviewer wants of the recipe format."""

import unittest
from pathlib import Path

SUBJECT = "docs/plan.md"


class Format(unittest.TestCase):
    def test_example(self) -> None:
        """the format is shown by an example"""
        self.assertIn("    serves: ", Path(SUBJECT).read_text(encoding="utf-8"))

    def test_refusals(self) -> None:
        """it says what is refused"""
        self.assertIn("## Refused", Path(SUBJECT).read_text(encoding="utf-8"))
