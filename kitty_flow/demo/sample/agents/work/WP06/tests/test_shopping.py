"""One list for all recipes."""

from __future__ import annotations

import io
import tempfile
import unittest
from contextlib import redirect_stdout
from pathlib import Path

from pantry.__main__ import main
from pantry.recipe import read
from pantry.shopping import shopping_list

BREAD = "# Bread\nserves: 8\n- 1 kg flour\n- 600 ml water\n"
PANCAKES = "# Pancakes\nserves: 4\n- 250 g flour\n- 3 eggs\n"


class Shopping(unittest.TestCase):
    def test_amounts_of_all_recipes_add_up(self) -> None:
        self.assertEqual(shopping_list([read(BREAD), read(PANCAKES)]), ["3 eggs", "1 1/4 kg flour", "600 ml water"])

    def test_what_cannot_be_added_stays_apart(self) -> None:
        milk = read("# Milk\nserves: 1\n- 100 g milk\n- 100 ml milk\n")
        self.assertEqual(shopping_list([milk]), ["100 g milk", "100 ml milk"])

    def test_the_command_prints_the_list(self) -> None:
        with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()) as out:
            path = Path(folder) / "bread.txt"
            path.write_text(BREAD, encoding="utf-8")
            self.assertEqual(main(["shop", str(path), str(path)]), 0)
        self.assertEqual(out.getvalue(), "2 kg flour\n1 1/5 l water\n")
