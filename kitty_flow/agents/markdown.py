"""Text of others inside Markdown: in blocks and code that it cannot close."""

from __future__ import annotations

import re

from kitty_flow.model.text import printable

__all__ = ["code", "fenced", "line"]


def fenced(text: str, info: str = "text") -> str:
    """A code block that `text` cannot close."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{info}\n{text.rstrip()}\n{fence}\n"


def code(text: str) -> str:
    """Inline code that `text` cannot close and that stays on one line."""
    flat = line(text)
    ticks = "`" * (_longest_run(flat) + 1)
    padding = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{ticks}{padding}{flat}{padding}{ticks}"


def line(text: str) -> str:
    """`text` without line breaks and control characters."""
    return printable(text).strip()


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
