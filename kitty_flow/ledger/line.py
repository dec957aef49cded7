"""One line of a log: one strict JSON object, without NaN, duplicate keys or numbers that are too large."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

__all__ = ["dump_line", "load_line"]


def dump_line(data: Mapping[str, Any]) -> bytes:
    """The line, newline included: sorted keys, UTF-8.

    Raises:
        ValueError, TypeError: it has no JSON form.
    """
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8") + b"\n"


def load_line(line: bytes) -> Any:
    """What a line says.

    Raises:
        ValueError: it is no strict JSON.
        RecursionError: it is nested too deeply.
    """
    return json.loads(line, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_float=_finite)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("duplicate key")
    return data


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large")
    return number
