"""`python -m kitty_flow`: the same as the console script."""

from __future__ import annotations

import sys

from kitty_flow.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
