"""Reads the loosely typed fields of frontmatter: a list may be written as text, and null comes in several spellings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from kitty_flow.missions.findings import Findings
from kitty_flow.missions.subtask_text import parse_subtask
from kitty_flow.missions.yaml_text import YamlValue
from kitty_flow.model.mission import Subtask

__all__ = ["string", "strings", "subtasks"]

_NOTHING: Final = frozenset({"", "~", "null", "none", "[]"})
_ID_LIST: Final = re.compile(r"[A-Z]{1,8}-?[0-9]+(?:[\s,]+[A-Z]{1,8}-?[0-9]+)*")


def string(fields: Mapping[str, YamlValue], key: str, where: str, findings: Findings) -> str:
    """The text of a field, stripped; empty when it is absent or null."""
    value = fields.get(key, "")
    if isinstance(value, str):
        return "" if value.strip() in ("~", "null") else value.strip()
    findings.problem("WRONG_TYPE", f"{key} must be text", where)
    return ""


def strings(fields: Mapping[str, YamlValue], key: str, where: str, findings: Findings) -> tuple[str, ...]:
    """The items of a list field; a text stands for its items parted by commas or lines."""
    value = fields.get(key, "")
    if isinstance(value, str):
        if value.strip().casefold() in _NOTHING:
            return ()
        return tuple(item.strip() for item in re.split(r"[,\n]", value) if item.strip())
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(item.strip() for item in value if isinstance(item, str) and item.strip())
    findings.problem("WRONG_TYPE", f"{key} must be a list of texts", where)
    return ()


def subtasks(fields: Mapping[str, YamlValue], where: str, findings: Findings) -> tuple[Subtask, ...]:
    """The subtasks: ids, ``T001 title`` texts, one-entry mappings ``T001: title``, or one text that lists them."""
    value = fields.get("subtasks", "")
    if isinstance(value, str):
        value = [] if value.strip().casefold() in _NOTHING else _split(value)
    if not isinstance(value, list):
        findings.problem("WRONG_TYPE", "subtasks must be a list", where)
        return ()
    found: dict[str, Subtask] = {}
    for number, item in enumerate(value, start=1):
        subtask = _subtask(item, number)
        if subtask is None:
            findings.problem("INVALID_SUBTASK", f"subtask {number} must be an id, a text or 'id: title'", where)
        elif found.setdefault(subtask.id, subtask) is not subtask:
            findings.warn("DUPLICATE_SUBTASK_ID", f"subtask {subtask.id} is listed twice; the first counts", where)
    return tuple(found.values())


def _split(text: str) -> list[YamlValue]:
    if _ID_LIST.fullmatch(text.strip()):
        return list(re.split(r"[\s,]+", text.strip()))
    return [line.strip().removeprefix("- ") for line in text.splitlines() if line.strip()]


def _subtask(item: YamlValue, number: int) -> Subtask | None:
    if isinstance(item, dict) and len(item) == 1:
        ((name, title),) = item.items()
        item = f"{name} {title}" if isinstance(title, str) else ""
    if not isinstance(item, str) or not item.strip():
        return None
    # A title without an id still needs a name that a result file can refer to.
    return parse_subtask(item) or Subtask(id=f"S{number:02d}", title=item.strip())
