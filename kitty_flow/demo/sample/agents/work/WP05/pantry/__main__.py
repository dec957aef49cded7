"""The command line: `python -m pantry COMMAND ...`. Every command adds itself to `COMMANDS`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pantry.recipe import Recipe, read
from pantry.scale import scaled


def _load(path: str) -> Recipe:
    return read(Path(path).read_text(encoding="utf-8"))


def _add_scale(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("scale", help="print a recipe for another number of servings")
    command.add_argument("file")
    command.add_argument("serves", type=int)
    command.set_defaults(run=_scale)


def _scale(options: argparse.Namespace) -> int:
    print(scaled(_load(options.file), options.serves))
    return 0


COMMANDS: list[Callable[[argparse._SubParsersAction[argparse.ArgumentParser]], None]] = [_add_scale]


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
    try:
        return int(options.run(options))
    except (OSError, ValueError) as error:
        print(f"pantry: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
