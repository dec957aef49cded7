"""Reads lists of file patterns and of requirement ids, as people write them in prose."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["REQUIREMENT", "files_in_cell", "listed_files", "listed_requirements"]

REQUIREMENT: Final = r"(?:FR|NFR|C|REQ)-[0-9]{1,4}[a-z]?(?![\w-])"
_REQUIREMENT: Final = re.compile(
    r"(?<![\w-])([A-Z]{1,8})-([0-9]{1,4})([a-z]?)(?!\w)(?:\s?(?:[-\u2013—]|\.{2,3}|to|through)\s?\1-([0-9]{1,4})(?!\w))?"
)
_CODE: Final = re.compile(r"`([^`]{1,512})`")
_LABEL: Final = re.compile(
    r"(?:owned[ _]files|files[ _]owned|files|file ownership|owns)[*_` ]{0,4}:[*_ ]{0,4}", re.IGNORECASE
)
_ITEM: Final = re.compile(r"(?:`[^`]{0,512}`|[^,])+")
_BREAK: Final = re.compile(r"<br\s{0,3}/?>", re.IGNORECASE)
_NOTE: Final = re.compile(r"\s(?:\(|—|\u2013|-\s|#)")
_BULLET: Final = re.compile(r"\s{0,40}(?:[-*+•]|[0-9]{1,3}[.)])\s+")
_NOTHING: Final = frozenset({"", "-", "—", "none", "n/a", "[]"})
_MAX_RANGE: Final = 200


def listed_files(raws: Iterable[str]) -> tuple[list[str], list[str]]:
    """The file patterns in the raw lines of a field, and what stands there that is none."""
    found: dict[str, None] = {}
    other: list[str] = []
    for raw in raws:
        label = _LABEL.search(raw)
        text = (raw[label.end() :] if label else _BULLET.sub("", raw, count=1)).split("|", 1)[0]
        _sort(_CODE.findall(text) or [_before_note(item) for item in text.split(",")], found, other)
    return list(found), other


def files_in_cell(cell: str) -> tuple[list[str], list[str]]:
    """The file patterns in a raw table cell, parted by commas or ``<br>``, and what stands there that is none."""
    found: dict[str, None] = {}
    other: list[str] = []
    for item in _ITEM.findall(_BREAK.sub(",", cell)):
        _sort(_CODE.findall(item) or [_before_note(item)], found, other)
    return list(found), other


def _before_note(item: str) -> str:
    return _NOTE.split(item.strip(), maxsplit=1)[0]


def _sort(items: Iterable[str], found: dict[str, None], other: list[str]) -> None:
    for item in (each.strip().strip("[]'\"").rstrip(".;") for each in items):
        if _is_pattern(item):
            found.setdefault(item)
        elif item.lower() not in _NOTHING:
            other.append(item)


def listed_requirements(text: str) -> list[str]:
    """The requirement ids in a text, with ranges such as ``FR-014..FR-020`` written out."""
    found: dict[str, None] = {}
    for kind, first, letter, last in _REQUIREMENT.findall(text):
        found.setdefault(f"{kind}-{first}{letter}")
        if last:
            low, high = int(first), int(last)
            found.update(
                dict.fromkeys(f"{kind}-{n:0{len(first)}d}" for n in range(low + 1, min(high, low + _MAX_RANGE) + 1))
            )
    return list(found)


def _is_pattern(text: str) -> bool:
    return bool(text) and not re.search(r"\s", text) and any(sign in text for sign in "/.*")
