"""The one JSON document of a command (shape: `docs/reference/json.md`, "Envelope")."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kitty_flow.errors import KittyFlowError
    from kitty_flow.model.diagnostic import Diagnostic

__all__ = ["envelope_text"]


def envelope_text(
    command: Sequence[str],
    data: Mapping[str, Any] | None,
    error: KittyFlowError | None,
    diagnostics: Sequence[Diagnostic],
    *,
    indent: int | None = None,
) -> str:
    """The document as one line of ASCII, or indented.

    Raises:
        TypeError: a value has no JSON form.
        ValueError: a number is not finite, or a value contains itself.
    """
    reported = None
    if error is not None:
        reported = {"code": error.code, "message": error.message, "hint": error.hint, "details": error.details}
    envelope = {
        "schema": f"kitty-flow/{'-'.join(command)}/1",
        "ok": error is None,
        "data": data,
        "error": reported,
        "diagnostics": [_remark(diagnostic) for diagnostic in diagnostics],
    }
    # ASCII: any terminal, pipe or locale can carry it, and no control character gets through unescaped.
    text = json.dumps(envelope, default=_jsonable, allow_nan=False, indent=indent)
    return text.replace("\x7f", "\\u007f") + "\n"


def _remark(diagnostic: Diagnostic) -> dict[str, Any]:
    shown: dict[str, Any] = diagnostic.model_dump(mode="json")
    return shown if shown["details"] else {name: value for name, value in shown.items() if name != "details"}


def _jsonable(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a JSON document")
