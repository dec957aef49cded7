"""What may be asked: text that is not empty, of a bounded length, without characters that no keyboard has."""

from __future__ import annotations

import unicodedata
from typing import Final

from kitty_flow.errors import UsageError

__all__ = ["MAX_REQUEST_BYTES", "checked_request"]

MAX_REQUEST_BYTES: Final = 16 * 1024
"""As UTF-8. A record holds it in one event, whose length is bounded (`model/event.py`)."""

_LINE_ENDS: Final = "\n\r\t"


def checked_request(text: str) -> str:
    """The request without blanks around it.

    Raises:
        UsageError: REQUEST_EMPTY, REQUEST_TOO_LARGE or REQUEST_UNREADABLE, for control characters and broken UTF-8.
    """
    # Four bytes a character at most: what is far too long is not looked at any further.
    if len(text) > MAX_REQUEST_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_REQUEST_BYTES:
        raise UsageError(
            "REQUEST_TOO_LARGE",
            f"the request is longer than {MAX_REQUEST_BYTES} bytes",
            hint="put the long part into a file, and name that in the request",
            details={"limit": MAX_REQUEST_BYTES},
        )
    if not text.strip():
        raise UsageError("REQUEST_EMPTY", "the request is empty", hint="kitty-flow advise 'what is to be done'")
    if not text.isprintable():
        for place, character in enumerate(text, 1):
            if character not in _LINE_ENDS and unicodedata.category(character) in ("Cc", "Cs"):
                raise UsageError(
                    "REQUEST_UNREADABLE",
                    f"character {place} of the request, U+{ord(character):04X}, is a control character or broken UTF-8",
                    hint="kitty-flow advise 'what is to be done', in plain text",
                    details={"position": place},
                )
    return text.strip()
