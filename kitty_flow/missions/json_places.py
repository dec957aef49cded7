"""In which line the objects of a JSON text begin. The standard parser forgets it, and problems have to name it."""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["object_lines"]

_TOKEN: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"|\{|\n')


def object_lines(value: Any, text: str) -> dict[int, int]:
    """The line of each object in `value`, by its `id()`; `text` is the JSON that `value` was read from.

    Objects are met in the same order in the text and in the value, since duplicate keys are refused before.
    """
    lines = _lines_of_braces(text)
    found: dict[int, int] = {}
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            found[id(each)] = next(lines)
            waiting.extend(reversed(each.values()))
        elif isinstance(each, list):
            waiting.extend(reversed(each))
    return found


def _lines_of_braces(text: str) -> Any:
    line = 1
    for token in _TOKEN.finditer(text):
        if token[0] == "\n":
            line += 1
        elif token[0] == "{":
            yield line
