"""A terminal of the few control sequences that the live board writes; any other is an error, so that none creeps in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rich.cells import cell_len

_SEQUENCE = re.compile(r"\x1b\[(\?7[lh]|\d*[AKJ]|[\d;]*m)")


@dataclass
class Terminal:
    """Lines of text, written from the top; what scrolls out at the top stays in `lines`."""

    columns: int = 80
    lines: list[str] = field(default_factory=lambda: [""])
    row: int = 0
    column: int = 0
    colours: set[str] = field(default_factory=set)
    wraps: bool = True

    def feed(self, text: str) -> None:
        """Take what a program writes."""
        while text:
            if text[0] == "\x1b":
                found = _SEQUENCE.match(text)
                assert found, f"what is {text[:20]!r}?"
                self._obey(found[1])
                text = text[found.end() :]
                continue
            self._put(text[0])
            text = text[1:]

    def shown(self) -> list[str]:
        """The lines without blanks at their ends, and without empty lines at the end."""
        return "\n".join(line.rstrip() for line in self.lines).rstrip("\n").split("\n")

    def _obey(self, sequence: str) -> None:
        number, kind = sequence[:-1], sequence[-1]
        if kind == "A":
            self.row = max(0, self.row - int(number or 1))
        elif kind == "K":
            self.lines[self.row] = self.lines[self.row][: self.column]
        elif kind == "J":
            self.lines[self.row :] = [self.lines[self.row][: self.column]]
        elif kind == "m":
            self.colours.add(number)
        else:
            self.wraps = sequence == "?7h"

    def _put(self, character: str) -> None:
        if character == "\r":
            self.column = 0
            return
        if character == "\n":
            self._down()
            return
        assert character.isprintable(), repr(character)
        line = self.lines[self.row]
        if self.wraps and cell_len(line[: self.column]) + cell_len(character) > self.columns:
            self._down()
            self.column = 0
            line = self.lines[self.row]
        self.lines[self.row] = line[: self.column].ljust(self.column) + character + line[self.column + 1 :]
        self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")
