"""What the reviewer wants of reading a recipe: the example of the plan can be read."""

import re
import unittest
from pathlib import Path
from textwrap import dedent

from pantry.recipe import read

SUBJECT = read


class Example(unittest.TestCase):
    def test_example_of_the_plan(self) -> None:
        """the example of docs/plan.md has four ingredients"""
        plan = Path("docs/plan.md").read_text(encoding="utf-8")
        blocks = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", plan, re.MULTILINE)
        self.assertEqual(len(read(dedent(blocks[0]).strip()).ingredients), 4)

    def test_no_title(self) -> None:
        """a recipe without a title is refused"""
        with self.assertRaises(ValueError):
            read("serves: 4\n- 3 eggs\n")
