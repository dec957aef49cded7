"""A table without rules that is quick for thousands of rows; it looks like rich's, whose cost is that of a row's cells.

It is a rich renderable: colours, `NO_COLOR` and the width stay the console's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions
from rich.segment import Segment
from rich.style import Style

__all__ = ["Grid"]

_GAP = "  "


class Grid:
    """Rows of cells below bold column names. Columns that do not fit are narrowed, the widest first, and wrap.

    Args:
        columns: the names.
        rows: one plain line of text for each column.
        styled: the column whose cells have a style.
        styles: the style of that cell, row by row.
        whole_words: no word is folded while another column can be narrowed in its stead.
    """

    def __init__(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        styled: int = 0,
        styles: Iterable[str] = (),
        whole_words: bool = False,
    ) -> None:
        self._columns = columns
        self._rows = rows
        self._styled = styled
        self._styles = styles
        self._whole_words = whole_words

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        segments = self._segments(options.max_width)
        if console.color_system is not None:
            yield from segments
        else:  # nothing will have a style, and rich works on every segment by itself
            yield Segment("".join(segment.text for segment in segments))

    def _segments(self, room: int) -> Iterator[Segment]:
        measured = [[_width(cell) for cell in row] for row in (self._columns, *self._rows)]
        widths = [max(column) for column in zip(*measured, strict=True)]
        if self._whole_words and _excess(widths, room) > 0:
            columns = zip(*(self._columns, *self._rows), strict=True)
            widths = _fitted(widths, room, [max(_width(w) for c in column for w in c.split(" ")) for column in columns])
        widths = _fitted(widths, room, [1] * len(widths))
        for line in _lines(self._columns, measured[0], widths):
            yield Segment(_GAP.join(line), Style(bold=True))
            yield Segment.line()
        known: dict[str, Style] = {}
        unstyled = ""
        for row, taken, name in zip(self._rows, measured[1:], self._styles or [""] * len(self._rows), strict=True):
            style = known.get(name) or known.setdefault(name, Style.parse(name))
            for line in _lines(row, taken, widths):
                cell = line[self._styled].rstrip()
                yield Segment(unstyled + "".join([part + _GAP for part in line[: self._styled]]))
                yield Segment(cell, style)
                rest = [line[self._styled][len(cell) :], *line[self._styled + 1 :]]
                unstyled = _GAP.join(rest).rstrip() + "\n"
        yield Segment(unstyled)


def _excess(widths: Sequence[int], room: int) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1) - room


def _fitted(widths: list[int], room: int, least: Sequence[int]) -> list[int]:
    """What each column needs, less what there is no room for, but at least `least`; no column vanishes."""
    excess = _excess(widths, room)
    while excess > 0:
        spare = [width if width > low else 0 for width, low in zip(widths, least, strict=True)]
        if not any(spare):
            break
        widths[spare.index(max(spare))] -= 1
        excess -= 1
    return widths


def _lines(row: Sequence[str], taken: Sequence[int], widths: Sequence[int]) -> list[list[str]]:
    """The lines that a row takes, each as its cells, padded to the widths; `taken` is what they take unwrapped."""
    first = [cell + " " * (width - used) for cell, used, width in zip(row, taken, widths, strict=True)]
    lines = [first]
    for place, (used, width) in enumerate(zip(taken, widths, strict=True)):
        if used > width:
            parts = [part + " " * (width - _width(part)) for part in _wrapped(row[place], width)]
            while len(lines) < len(parts):
                lines.append([" " * each for each in widths])
            for line, part in zip(lines, parts, strict=False):
                line[place] = part
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    """The words of `text` in lines of at most `width` columns; a longer word is folded."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if _width(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        *full, line = chop_cells(word, width) if _width(word) > width else [word]
        lines += full
    return [*lines, line]


def _width(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)
