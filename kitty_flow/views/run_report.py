"""The report of a mission for people: a table and sentences in a terminal, or a Markdown page.

Text of agents and missions is data: in the terminal one clean line, in Markdown inside code or a block that it cannot
close, never a heading, a link or an image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.text import Text

from kitty_flow.agents.markdown import code, fenced, line
from kitty_flow.flow.activity import Usage
from kitty_flow.flow.report import MissionReport, PackageReport
from kitty_flow.model.text import clean
from kitty_flow.views.figures import clock, dollars, large, many, span
from kitty_flow.views.grid import Grid
from kitty_flow.views.live_board import plain_width
from kitty_flow.views.state_style import STATE_STYLE

__all__ = ["report_markdown", "report_text"]

_FINISHED: Final = ("approved", "done", "canceled")
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
    told = [*head, *_totals(report), *_problems(report)]
    if left_out:
        page = f"kitty-flow status {report.mission['slug']} --report FILE"
        told.append(f"{left_out} approved at the first try are not listed; everything: {page}")
    told += [f"next: {each}" for each in report.next_commands[:3]]
    below = Text("\n".join(map(clean, told)))
    return Group(_Rows(report, shown), "", below) if shown else below


def _went_well(each: PackageReport) -> bool:
    return each.state in _FINISHED and each.attempts <= 1 and not (each.rejections or each.failures or each.force_count)


class _Rows:
    """The table of a report in a terminal: one line each, whatever the width; who worked where that differs."""

    def __init__(self, report: MissionReport, shown: Sequence[PackageReport]) -> None:
        self._report = report
        self._shown = shown

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        columns, rows = _table(self._report, self._shown)
        left_out = set() if len(_teams(self._report)) > 1 else {"WHO"}
        left_out |= {"TITLE", "REVIEWS", "WHO"} if options.max_width < _NARROW else set()
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


def _teams(report: MissionReport) -> set[tuple[str, ...]]:
    """Who implemented and who reviewed, as far as that differs from one work package to the next."""
    names = [(each.implementers, each.reviewers) for each in report.work_packages]
    implementers = {one for one, _ in names if one} or {()}
    reviewers = {other for _, other in names if other} or {()}
    return {(*one, *other) for one in implementers for other in reviewers}


def _who(each: PackageReport) -> str:
    return ", ".join(dict.fromkeys((*each.implementers, *each.reviewers)))


def report_markdown(report: MissionReport) -> str:
    """The report as a page."""
    mission = report.mission
    parts = [f"# Report of {code(str(mission['slug']))}\n"]
    parts.append(
        f"{code(str(mission['title']) or '-')} is **{mission['state']}**; as of "
        f"{report.made_at:%Y-%m-%d %H:%M:%S} UTC.\n"
    )
    parts.append("".join(f"- {sentence}\n" for sentence in _totals(report)))
    if report.work_packages:
        parts.append("## Work packages\n")
        parts.append(_markdown_table(report))
        parts.append("## Waves\n")
        parts.append(_markdown_waves(report))
    left = [each for each in report.work_packages if each.failure is not None or each.state == "blocked"]
    if left:
        parts.append("## What went wrong\n")
        parts += [_markdown_problem(each) for each in left]
    if report.remarks:
        parts.append("## To be looked at\n")
        parts.append("".join(f"- {code(remark[:_SENTENCE])}\n" for remark in report.remarks))
    if report.next_commands:
        parts.append("## What to do next\n")
        parts.append(fenced("\n".join(report.next_commands), "sh"))
    return "\n".join(parts)


def _table(report: MissionReport, shown: Sequence[PackageReport]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Names and cells; tokens and cost only where anybody told any."""
    columns = ["WP", "TITLE", "STATE", "TRY", "REVIEWS", "WHO", "TIME"]
    has_tokens, has_cost = bool(report.usage.tokens), bool(report.usage.cost_usd)
    columns += ["TOKENS"] if has_tokens else []
    columns += ["COST"] if has_cost else []
    rows = []
    for each in shown:
        state = each.state + (f" (forced {each.force_count}x)" if each.force_count else "")
        took = clock(each.worked_s) if each.attempts else ""
        row = [
            each.id,
            each.title,
            state,
            str(each.attempts or ""),
            _reviews(each),
            _who(each),
            took,
        ]
        row += [large(each.usage.tokens) if each.usage.tokens else ""] if has_tokens else []
        row += [dollars(each.usage.cost_usd) if each.usage.cost_usd else ""] if has_cost else []
        rows.append(tuple(row))
    return tuple(columns), rows


def _reviews(each: PackageReport) -> str:
    rejected = f", {each.rejections} no" if each.rejections else ""
    return f"{each.reviews}{rejected}" if each.reviews else ""


def _problems(report: MissionReport) -> Iterator[str]:
    """A sentence for everything that is not as it should be, with where to read on."""
    told = set()
    for each in report.work_packages:
        if each.state not in _FINISHED and each.failure is not None:
            failure = each.failure
            told.add(f"{each.id} is blocked: {each.reason}")
            log = f"; its output: {failure.log_path}" if failure.log_path else ""
            yield f"{each.id}: {failure.action} by {failure.agent} failed: {failure.message[:_SENTENCE]}{log}"
    yield from (remark[:_SENTENCE] for remark in report.remarks if remark not in told)


def _totals(report: MissionReport) -> Iterator[str]:
    packages = report.work_packages
    counted = [each for each in packages if each.state != "canceled"]
    finished = sum(each.state in _FINISHED for each in counted)
    yield f"{finished} of {many(len(counted), 'work package', 'work packages')} approved, in {_wave_words(report)}"
    attempts, rejections = sum(e.attempts for e in packages), sum(e.rejections for e in packages)
    failures = sum(e.failures for e in packages)
    if attempts:
        words = [many(attempts, "attempt", "attempts")]
        words += [f"{rejections} sent back by review"] if rejections else []
        words += [f"{failures} failed"] if failures else []
        teams = _teams(report)
        words += [f"by {' and '.join(teams.pop())}"] if len(teams) == 1 else []
        yield f"{', '.join(words)}; {span(report.worked_s)} of work within {span(report.elapsed_s)}"
    if report.usage.tokens or report.usage.cost_usd:
        yield f"used {_used(report.usage)}"
    open_runs = sum(run["outcome"] is None for run in report.runs)
    if open_runs:
        yield f"{many(open_runs, 'run', 'runs')} did not end in order, or is still going on"


def _used(usage: Usage) -> str:
    words = [f"{large(usage.input)} tokens in, {large(usage.output)} out"] if usage.tokens else []
    words += [dollars(usage.cost_usd)] if usage.cost_usd else []
    unknown = f" ({many(usage.unknown, 'invocation', 'invocations')} told nothing)" if usage.unknown else ""
    return ", ".join(words) + unknown


def _wave_words(report: MissionReport) -> str:
    over = sum(wave.finished == len(wave.work_packages) for wave in report.waves)
    return f"{over} of {many(len(report.waves), 'wave', 'waves')}"


def _markdown_waves(report: MissionReport) -> str:
    return "".join(
        f"- wave {wave.number}, {wave.finished} of {len(wave.work_packages)} finished: "
        f"{', '.join(map(code, wave.work_packages))}\n"
        for wave in report.waves
    )


def _markdown_table(report: MissionReport) -> str:
    columns, rows = _table(report, report.work_packages)
    lines = [f"| {' | '.join(name.capitalize() if len(name) > 2 else name for name in columns)} |"]
    lines.append("|" + " --- |" * len(columns))
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def _markdown_problem(each: PackageReport) -> str:
    told = f"### {code(each.id)}\n\n"
    if each.failure is not None:
        failure = each.failure
        told += f"The last {code(failure.action)} by {code(failure.agent)} failed ({code(failure.code)}):\n\n"
        told += fenced(_lines(failure.message))
        told += f"\nIts output: {code(failure.log_path)}\n" if failure.log_path else ""
    elif each.reason:
        told += f"It is {each.state}:\n\n" + fenced(_lines(each.reason))
    return told


def _lines(text: str) -> str:
    return "\n".join(line(each) for each in text.splitlines())


def _cell(text: str) -> str:
    """Text of others in a table, as code: there alone a web address, a name after @ or a picture stays what it is."""
    return code(text).replace("|", "\\|") if text.strip() else ""
