"""The report of a mission in a terminal: a table and sentences. All text of agents and missions is one clean line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.text import Text

from kitty_flow.flow.report import MissionReport, PackageReport
from kitty_flow.flow.standing import FINISHED
from kitty_flow.model.text import clean
from kitty_flow.views.grid import Grid
from kitty_flow.views.live_board import plain_width
from kitty_flow.views.report_lines import table, teams, totals
from kitty_flow.views.state_style import STATE_STYLE

__all__ = ["report_text"]

_SENTENCE: Final = 300
_ROWS: Final = 40
"""Of more work packages a terminal shows only those that did not simply go well."""
_NARROW: Final = 60


def report_text(report: MissionReport, *, head: Sequence[str] = ()) -> RenderableType:
    """The report for a terminal, below the lines of `head`. All text of others is made safe."""
    shown = report.work_packages
    if len(shown) > _ROWS:
        shown = tuple(each for each in shown if not _went_well(each))
    left_out = len(report.work_packages) - len(shown)
    told = [*head, *totals(report), *_problems(report)]
    if left_out:
        page = f"kitty-flow status {report.mission['slug']} --report FILE"
        told.append(f"{left_out} approved at the first try are not listed; everything: {page}")
    told += [f"next: {each}" for each in report.next_commands[:3]]
    below = Text("\n".join(map(clean, told)))
    return Group(_Rows(report, shown), "", below) if shown else below


def _went_well(each: PackageReport) -> bool:
    return each.state in FINISHED and each.attempts <= 1 and not (each.rejections or each.failures or each.force_count)


class _Rows:
    """The table of a report in a terminal: one line each, whatever the width; who worked where that differs."""

    def __init__(self, report: MissionReport, shown: Sequence[PackageReport]) -> None:
        self._report = report
        self._shown = shown

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        columns, rows = table(self._report, self._shown)
        left_out = set() if len(teams(self._report)) > 1 else {"WHO"}
        left_out |= {"TITLE", "REVIEWS", "REJECTED", "WHO"} if options.max_width < _NARROW else set()
        kept = [place for place, name in enumerate(columns) if name not in left_out]
        names = [columns[place] for place in kept]
        cells = [[plain_width(row[place]) for place in kept] for row in rows]
        room = options.max_width - 2 * (len(names) - 1)
        widths = [max(map(cell_len, column)) for column in zip(names, *cells, strict=True)]
        for name, least in (("TITLE", 12), ("WHO", 12), ("STATE", 8)):
            if name in names and (excess := sum(widths) - room) > 0:
                widths[names.index(name)] = max(least, widths[names.index(name)] - excess)
        cells = [[_fitting(cell, width) for cell, width in zip(row, widths, strict=True)] for row in cells]
        styles = [STATE_STYLE.get(each.state, "") for each in self._shown]
        yield Grid(names, cells, styled=names.index("STATE"), styles=styles)


def _fitting(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 2)).rstrip() + ".."


def _problems(report: MissionReport) -> Iterator[str]:
    """A sentence for everything that is not as it should be, with where to read on."""
    told = set()
    for each in report.work_packages:
        if each.state not in FINISHED and each.failure is not None and not each.failure.is_overcome:
            failure = each.failure
            told.add(f"{each.id} is blocked: {each.reason}")
            log = f"; its output: {failure.log_path}" if failure.log_path else ""
            yield f"{each.id}: {failure.action} by {failure.agent} failed: {failure.message[:_SENTENCE]}{log}"
    yield from (remark[:_SENTENCE] for remark in report.remarks if remark not in told)
