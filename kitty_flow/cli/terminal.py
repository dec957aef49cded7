"""What a terminal may see: data without control characters, tables that fit 80 columns, colour when it is wanted.

`NO_COLOR` and `FORCE_COLOR` are honoured by rich, which is imported only when a table or progress is really shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["console", "fields", "safe", "safe_block", "table", "wrapped"]

# C0, DEL and C1; soft hyphen; zero-width and bidirectional marks; line and paragraph separators; interlinear marks;
# lone surrogates; tag characters. All of them move the cursor, reorder or hide text instead of showing a character.
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_UNSAFE_IN_BLOCK: Final = re.compile(_UNSAFE.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))


def safe(text: str) -> str:
    """`text` as one line that cannot steer a terminal: control characters become visible escapes such as ``\\x1b``."""
    return _UNSAFE.sub(_escape, text)


def safe_block(text: str) -> str:
    """As `safe`, but line feeds stay line feeds."""
    return _UNSAFE_IN_BLOCK.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character) or _numbered(ord(character))


def _numbered(code: int) -> str:
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def console(*, stderr: bool = False) -> Console:
    """A rich console for data: no markup, no guessed highlights; plain and 80 columns wide without a terminal."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table without rules. Every cell is made safe and wraps rather than being cut.

    A cell that is a list or a tuple is shown one item a line.
    """
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        grid.add_column(Text(column), overflow="fold")
    for row in rows:
        grid.add_row(*(Text(_cell(cell)) for cell in row))
    return grid


def _cell(value: object) -> str:
    items = value if isinstance(value, (list, tuple)) else (value,)
    return "\n".join(safe(str(item)) for item in items)


def wrapped(text: str, *, indent: int = 0, width: int | None = None) -> list[str]:
    """One line of text as lines that fit `width` columns, those of the terminal by default; what follows is indented.

    It is broken between words alone, so a longer word stands out.
    """
    import textwrap
    from shutil import get_terminal_size

    leading = text[: len(text) - len(text.lstrip(" "))]
    return textwrap.wrap(
        safe(text.strip()),
        max(20, width or get_terminal_size().columns),
        initial_indent=leading,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]


def fields(pairs: Iterable[tuple[str, object]]) -> str:
    """Names and values, one pair a line, the values in one column. Values are made safe; empty mappings left out."""
    known = [(name, safe(_field(value))) for name, value in pairs if value != {}]
    width = max((len(name) for name, _ in known), default=0)
    return "\n".join(f"{name:<{width}}  {value}".rstrip() for name, value in known)


def _field(value: object) -> str:
    return ", ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, Mapping) else str(value)
