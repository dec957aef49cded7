"""The one-line form of a subtask, shared by the readers: ``T001 Write the reader``."""

from __future__ import annotations

import re
from typing import Final

from kitty_flow.model.mission import Subtask

__all__ = ["parse_subtask"]

_SUBTASK: Final = re.compile(r"([A-Za-z]{1,8}-?[0-9]{1,8}[a-z]?)(?:[\s:.)-]+(.*))?", re.DOTALL)


def parse_subtask(text: str) -> Subtask | None:
    """The subtask in ``T001 Write the reader`` (or just ``T001``); None when it does not begin with an id."""
    match = _SUBTASK.fullmatch(text.strip())
    return None if match is None else Subtask(id=match[1], title=(match[2] or "").strip())
