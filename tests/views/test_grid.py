"""The quick table looks like rich's own."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from kitty_flow.views.grid import Grid

COLUMNS = ("WAVE", "WP", "TITLE", "STATE")
WORDS = st.lists(st.sampled_from(["a", "longer", "Überschrift", "漢字かな交じり文", "x" * 30]), max_size=9)
ROWS = st.lists(
    st.tuples(st.sampled_from(["", "12"]), st.sampled_from(["WP1", "WP1000"]), WORDS.map(" ".join), st.just("planned")),
    max_size=4,
)


def shown(renderable: RenderableType, width: int, *, colours: bool = False) -> list[str]:
    system: Literal["standard"] | None = "standard" if colours else None
    console = Console(file=io.StringIO(), width=width, force_terminal=colours, color_system=system, markup=False)
    console.print(renderable, crop=False)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def table_of_rich(rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False)
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


@given(ROWS, st.sampled_from([60, 80, 120]))
def test_it_breaks_lines_where_rich_does(rows: list[tuple[str, ...]], width: int) -> None:
    lines = shown(Grid(COLUMNS, rows), width)
    assert lines == shown(table_of_rich(rows), width)
    assert all(cell_len(line) <= width for line in lines)


@pytest.mark.parametrize("width", [1, 5, 20, 30])
def test_a_narrow_terminal_loses_no_text(width: int) -> None:
    row = ("12", "WP1000", "Some words and one" + "x" * 30, "planned")
    text = "".join("".join(shown(Grid(COLUMNS, [row]), width)).split())
    assert sorted(text) == sorted("".join((*COLUMNS, *row)).replace(" ", ""))


def test_only_the_styled_column_has_a_style() -> None:
    rows = [("1", "WP1", "A title that takes more than one line here", "planned"), ("", "WP2", "B", "done")]
    grid = Grid(COLUMNS, rows, styled=3, styles=["red", "bold green"])
    head, *lines = shown(grid, 40, colours=True)
    assert head.startswith("\x1b[1mWAVE")
    assert "\x1b[31mplanned\x1b[0m" in lines[0]
    assert "\x1b[1;32mdone\x1b[0m" in lines[-1]
    assert "".join(lines).count("\x1b[") == 4


def test_no_word_is_folded_while_another_column_can_give_way() -> None:
    row = ("41", "WP01", "in_progress -> for_review", "implementer-command", "it says " + "why and " * 20)
    columns = ("CLOCK", "WHAT", "CHANGE", "ACTOR", "REASON")
    lines = shown(Grid(columns, [row], whole_words=True), 80)
    assert "implementer-command" in lines[1]
    assert "in_progress ->" in lines[1]
    assert all(cell_len(line) <= 80 for line in lines)
    text = "".join("".join(shown(Grid(columns, [row], whole_words=True), 12)).split())
    assert sorted(text) == sorted("".join((*columns, *row)).replace(" ", ""))
