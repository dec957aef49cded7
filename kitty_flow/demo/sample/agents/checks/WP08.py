"""What the reviewer wants of the guide."""

import unittest
from pathlib import Path

SUBJECT = "docs/guide.md"


class Guide(unittest.TestCase):
    def test_examples(self) -> None:
        """the guide shows how to read and how to scale"""
        text = Path(SUBJECT).read_text(encoding="utf-8")
        for call in ("read(", "scaled("):
            self.assertIn(call, text)
