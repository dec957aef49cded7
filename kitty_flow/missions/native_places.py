"""In which lines of a native mission file the tables and their keys stand; the TOML parser does not tell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = ["Table", "tables", "top_level_keys"]

_TOKEN: Final = re.compile(
    r'(?P<text>"""(?:[^\\]|\\.)*?""""{0,2}|' + r"'''.*?''''{0,2}" + r'|"(?:[^"\\\n]|\\.)*+"|' + r"'[^'\n]*+')"
    r"|(?P<comment>\#[^\n]*+)"
    r"|(?P<head>^[ \t]*+\[(?P<double>\[)?[ \t]*+(?P<name>[A-Za-z0-9_-]++)[ \t]*+\])"
    r"|(?P<key>^[ \t]*+(?P<word>[A-Za-z0-9_-]++)[ \t]*+=)",
    re.MULTILINE | re.DOTALL,
)


class Table(NamedTuple):
    """A table of the file: the line of its head, and the lines of its keys."""

    line: int
    keys: Mapping[str, int]


def tables(text: str) -> tuple[Table | None, tuple[Table, ...]]:
    """The `[mission]` table and the `[[work_package]]` tables of `text`, which is valid TOML."""
    mission: Table | None = None
    work_packages: list[Table] = []
    keys: dict[str, int] = {}
    line, position = 1, 0
    for token in _TOKEN.finditer(text):
        line += text.count("\n", position, token.start())
        position = token.start()
        if token["head"]:
            keys = {}
            if token["double"] and token["name"] == "work_package":
                work_packages.append(Table(line, keys))
            elif not token["double"] and token["name"] == "mission":
                mission = Table(line, keys)
        elif token["key"]:
            keys.setdefault(token["word"], line)
    return mission, tuple(work_packages)


def top_level_keys(text: str) -> dict[str, int]:
    """The line of every key that stands before the first table of `text`, which is valid TOML."""
    keys: dict[str, int] = {}
    line, position = 1, 0
    for token in _TOKEN.finditer(text):
        line += text.count("\n", position, token.start())
        position = token.start()
        if token["head"]:
            break
        if token["key"]:
            keys.setdefault(token["word"], line)
    return keys
