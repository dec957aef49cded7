"""The command line: `python -m pantry COMMAND ...`. Every command adds itself to `COMMANDS`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

COMMANDS: list[Callable[[argparse._SubParsersAction[argparse.ArgumentParser]], None]] = []


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; without one, say what there is."""
    parser = argparse.ArgumentParser(prog="pantry", description="Recipes as plain text.")
    commands = parser.add_subparsers(metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    options = parser.parse_args(words)
    if not hasattr(options, "run"):
        parser.print_help()
        return 0
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(main())
