"""The one form in which a bundle is written: no byte of it could be another one and mean the same.

Keys are sorted, text is ASCII, so that showing the file shows no terminal anything but text, and the document carries
the SHA-256 of all the rest of itself. A file that does not read back to its own bytes is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from kitty_flow.errors import DefinitionError
from kitty_flow.ledger.line import load_line

__all__ = ["DIGEST", "MAX_BYTES", "MAX_DEPTH", "canonical", "parse", "sealed"]

MAX_BYTES: Final = 10 * 1024 * 1024
"""A larger file is not read: the events of a landing are some kilobytes for each work package."""

MAX_DEPTH: Final = 64
DIGEST: Final = "content_sha256"


def canonical(document: Any) -> bytes:
    """The bytes of a document, newline included.

    Raises:
        ValueError: it is no JSON.
    """
    return json.dumps(document, sort_keys=True, ensure_ascii=True, allow_nan=False, indent=1).encode("ascii") + b"\n"


def sealed(statement: Mapping[str, Any]) -> dict[str, Any]:
    """The statement with the digest of its content in its predicate."""
    predicate = {key: value for key, value in statement["predicate"].items() if key != DIGEST}
    content = {**statement, "predicate": predicate}
    predicate = {**predicate, DIGEST: hashlib.sha256(canonical(content)).hexdigest()}
    return {**statement, "predicate": predicate}


def parse(content: bytes) -> dict[str, Any]:
    """The statement in a bundle, if the bundle is in the one form and has the digest that it claims.

    Raises:
        DefinitionError: BUNDLE_DAMAGED.
    """
    if len(content) > MAX_BYTES:
        raise damaged(f"it is larger than {MAX_BYTES // (1024 * 1024)} MB")
    try:
        document = load_line(content)
        if _depth(document) > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
        if not isinstance(document, dict) or not isinstance(document.get("predicate"), dict):
            raise ValueError("it is no statement with a predicate")
        if canonical(document) != content:
            raise ValueError("it is not in the form in which kitty-flow writes a bundle")
        if sealed(document) != document:
            raise ValueError("its content has another digest than it claims")
    except (ValueError, RecursionError) as error:
        raise damaged(str(error).splitlines()[0][:200]) from error
    return document


def damaged(why: str) -> DefinitionError:
    """The error for a file that is not, or not any more, a bundle as it was written."""
    return DefinitionError(
        "BUNDLE_DAMAGED",
        f"this is no evidence bundle as kitty-flow writes it: {why}",
        hint="kitty-flow verify MISSION --bundle-out FILE, in a clone with the ledger, writes it anew",
    )


def _depth(document: Any) -> int:
    """How deeply lists and objects are nested; no more than one level beyond the limit is looked at."""
    level, found = 0, [document]
    while found and level <= MAX_DEPTH:
        level += 1
        found = [
            child
            for each in found
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
    return level
