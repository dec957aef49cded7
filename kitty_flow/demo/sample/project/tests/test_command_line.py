"""The command line without a command."""

from __future__ import annotations

import io
import unittest
from contextlib import redirect_stdout

from pantry.__main__ import main


class WithoutCommand(unittest.TestCase):
    def test_help_is_printed(self) -> None:
        with redirect_stdout(io.StringIO()) as out:
            self.assertEqual(main([]), 0)
        self.assertIn("usage: pantry", out.getvalue())
